"""Layer, RMS and batch normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from freeness.errors import InputError, is_size
from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Normalisation(Operation):
    """x ↦ (x - mean)/√(variance + epsilon) at initialisation (γ = 1, β = 0).

    ``layer``: over the features of one sample; ``rms``: the same without the mean; ``batch``: each feature over a large batch
    and all positions. ``positions``: whether ``layer`` and ``rms`` also run over the positions. ``groups``:
    of channels, each normalised by itself (group normalisation).
    """

    kind: Literal["layer", "rms", "batch"]
    epsilon: float = 1e-5
    positions: bool = False
    name: str = ""
    groups: int = 1

    def __post_init__(self) -> None:
        if self.kind not in ("layer", "rms", "batch"):
            raise InputError(f"expected a normalisation layer, rms or batch, got {self.kind!r}; choose one.")
        if not is_size(self.groups):
            raise InputError(f"expected groups of channels ≥ 1, got {self.groups!r}; correct them.")
