"""Softmax attention between queries, keys and values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from freeness.errors import InputError, is_size
from freeness.network.moments import Step, Stream, joined
from freeness.network.operation import Operation, described


@dataclass(frozen=True)
class Attention(Operation):
    """y_p = Σ_p' A_pp' v_p' in each of ``heads``, A = softmax(q kᵀ·scale + mask), of three signals: queries, keys, values.

    ``scale``: ``"root"`` 1/√d_k, ``"full"`` 1/d_k, or a number. ``causal``: position p sees p' ≤ p only. ``key_heads``: heads
    of keys and values (grouped queries), as many as ``heads`` where None. The projections in front and behind are weights
    of their own.

    Source: Vaswani et al. (2017).
    """

    heads: int
    causal: bool = False
    scale: Literal["root", "full"] | float = "root"
    key_heads: int | None = None
    name: str = ""
    arity: ClassVar[int | None] = 3

    def __post_init__(self) -> None:
        groups = self.heads if self.key_heads is None else self.key_heads
        if not (is_size(self.heads) and is_size(groups) and self.heads % groups == 0):
            raise InputError(
                f"expected heads ≥ 1, a multiple of key_heads, got {self.heads!r} and {self.key_heads!r}; correct them."
            )


@joined.register
def _(operation: Attention, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    raise InputError(
        f"expected operations without softmax weights, got {described(operation)}, of which the theory has no second moments; "
        "measure the network instead."
    )
