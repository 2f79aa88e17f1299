"""RWKV: sums of tokens with weights that decay at a rate of each channel."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from freeness.torch.recipes.draws import beside_matrices, constant, orthogonal, uniform
from freeness.torch.recipes.recipe import Start, StartRecipe, Subject
from freeness.torch.start.tensors import ModelTensor

_LEFT = "a rate, a bonus or a mixture of tokens: its published start goes by its name and its layer, so its own is left"


@dataclass(frozen=True)
class Rwkv(StartRecipe):
    """RWKV's start: matrices that end a branch, keys and gates are 0, so that the first step begins with the table alone.

    Other matrices are (semi-)orthogonal with the factor √(outputs/inputs) where it is above 1, half of that in the last layer.
    Tables are uniform in ±``table``, for a normalisation follows. Rates, bonuses and mixtures are left: names tell them apart.
    """

    table: float = 1e-4
    name: ClassVar[str] = "RWKV"
    source: ClassVar[str] = "Peng et al. 2023 (RWKV), §3.4 and appendix E, with its published code"

    def fits(self, subject: Subject) -> bool:
        """Residual branches and normalisation, and a trained rate that is added to an exponent which depends on the input."""
        rated = subject.wiring is not None and bool(subject.wiring.states.rates)
        return rated and bool(subject.branches) and subject.normalised

    def starts(self, subject: Subject) -> Mapping[str, Start | str]:
        assert subject.wiring is not None
        weighing = subject.wiring.states.weighing
        ends = {name for branch in subject.branches for name in branch.matrices}
        found: dict[str, Start | str] = {}
        for tensor in subject.tensors:
            role = tensor.part.role
            if role == "own":
                found[tensor.name] = _LEFT
            elif role == "table":
                found[tensor.name] = uniform(self.table, "a table in front of a normalisation", f"{self.table:g}")
            elif role == "matrix" and tensor.name in ends:
                found[tensor.name] = constant(0, "ends a residual branch, which starts at 0")
            elif role == "matrix" and tensor.name in weighing:
                found[tensor.name] = constant(0, "a key or a gate: all tokens weigh alike at first")
            elif role == "matrix":
                found[tensor.name] = _stretched(tensor, 0.5 if tensor.name in subject.heads else 1.0)
            elif (start := beside_matrices(tensor)) is not None:
                found[tensor.name] = start
        return found


def _stretched(tensor: ModelTensor, factor: float) -> Start:
    """(Semi-)orthogonal, with the factor √(outputs/inputs) where there are more outputs."""
    gain = factor * max(1.0, math.sqrt(tensor.part.fan_out / tensor.part.fan_in))
    drawn = orthogonal("")

    def values(one: ModelTensor, generator: torch.Generator) -> Tensor:
        return gain * drawn.values(one, generator)

    reason = "gives the outputs" if factor < 1 else "a matrix inside"
    return Start(f"{gain:.4g} times Haar, piece by piece", reason, values, "haar")
