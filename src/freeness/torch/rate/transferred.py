"""What a transfer of a learning rate tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from freeness.shown import Printed, Shown
from freeness.torch.start.roles import GroupRole

Verdict = Literal["as it is", "changed", "uncertain"]
Advised = Literal["rate", "groups"]


@dataclass(frozen=True, eq=False)
class GroupRate:
    """The rate of one group of parameters of the larger network; ``names``: theirs.

    ``decay``: weight decay, None where the optimiser came by its name alone and has whatever it is given.
    """

    role: GroupRole
    rate: float
    decay: float | None
    names: tuple[str, ...]
    parameters: tuple[nn.Parameter, ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        """The names with * in place of numbers that differ, each once.

        Example:
            >>> GroupRate("hidden", 0.1, 0.0, ("blocks.0.2.weight", "blocks.1.2.weight"), ()).patterns
            ('blocks.*.2.weight',)
        """
        return pattern_names(self.names)


def pattern_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names with * in place of numbers between dots that differ between names which are alike otherwise, each once.

    Example:
        >>> pattern_names(["h.0.attn.weight", "h.11.attn.weight", "h.0.2.bias", "h.11.2.bias", "wte.weight"])
        ('h.*.attn.weight', 'h.*.2.bias', 'wte.weight')
    """
    alike: dict[str, list[list[str]]] = {}
    for name in names:
        parts = name.split(".")
        alike.setdefault(".".join("*" if part.isdigit() else part for part in parts), []).append(parts)
    return tuple(
        ".".join(each[0] if len(set(each)) == 1 else "*" for each in zip(*kind, strict=True)) for kind in alike.values()
    )


@dataclass(frozen=True, eq=False)
class Transfer(Printed, Shown):
    """The rate of a small network carried to a big one, see :func:`~freeness.torch.transfer`.

    ``rate`` is for the whole of the big network, ``interval`` where the best rate is expected; ``parts`` are rates of groups of
    its parameters. ``verdict``: the rate transfers "as it is", is "changed", or is "uncertain" where the ways to carry it
    disagree, or the small network's start is no measure; ``reason`` says why in at most three sentences, and one more for a run
    of another length or batch. ``asked``: by which factor starts ask to multiply the rate, and layers; None of linear models.

    ``advised``: which of the two came nearer to the best in trials (docs/transfer.md): the rates by "groups" where nothing is
    normalised, and one "rate" elsewhere.

    ``given``: the rate of the small network; ``critical``: the critical rates of both, small first; ``outputs``: how much a unit
    rate moves the outputs of both; ``matched``: how parameters were matched; ``gradients``, ``passes``: gradient evaluations and
    forward passes of the big network. ``called``: how code calls the optimiser, its class and its numbers.
    """

    rate: float
    parts: tuple[GroupRate, ...]
    interval: tuple[float, float]
    verdict: Verdict
    reason: str
    given: float
    critical: tuple[float, float]
    outputs: tuple[float, float]
    matched: str
    gradients: int
    passes: int
    optimizer: str = "sgd"
    advised: Advised = "rate"
    called: tuple[str, str] = ("torch.optim.SGD", "")
    asked: tuple[float, float | None] = (1.0, None)

    @property
    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups as torch's optimisers take them: parameters, rate, and weight decay where it is known."""
        return [
            {"params": list(part.parameters), "lr": part.rate, "name": part.role}
            | ({} if part.decay is None else {"weight_decay": part.decay})
            for part in self.parts
        ]
