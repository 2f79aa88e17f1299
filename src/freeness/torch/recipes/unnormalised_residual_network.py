"""Residual networks without normalisation: every branch starts at 0, and its inside is smaller the more branches there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from freeness.torch.recipes.draws import constant, he, pieces
from freeness.torch.recipes.recipe import Start, StartRecipe, Subject
from freeness.torch.recipes.residual_network import branch_ends


@dataclass(frozen=True)
class UnnormalisedResidualNetwork(StartRecipe):
    """Fixup, or SkipInit where branches end with a trained scale of their own.

    Fixup: 0 in the last matrix of each branch and in the last layer; He's √(2/fan_in)·L^(-1/(2m-2)) inside a branch of m layers,
    L being the number of branches; He's elsewhere; biases 0. SkipInit: 0 in the scale that ends a branch, He's in all matrices.
    """

    name: ClassVar[str] = "residual network without normalisation"
    source: ClassVar[str] = "Zhang, Dauphin, Ma 2019 (Fixup), §2; De, Smith 2020 (SkipInit)"

    def fits(self, subject: Subject) -> bool:
        """Residual branches, no normalisation, and no tensors that only the model knows."""
        return bool(subject.branches) and subject.explained and not subject.normalised

    def starts(self, subject: Subject) -> Mapping[str, Start | str]:
        scales, ends = branch_ends(subject)
        factors = _factors(subject, scales)
        found: dict[str, Start | str] = {}
        for tensor in subject.tensors:
            role = tensor.part.role
            if tensor.name in scales:
                found[tensor.name] = constant(0, "the scale that ends a residual branch (SkipInit)")
            elif tensor.name in ends:
                found[tensor.name] = constant(0, "ends a residual branch (Fixup)")
            elif role == "matrix" and tensor.name in subject.heads and not scales:
                found[tensor.name] = constant(0, "gives the outputs (Fixup)")
            elif role == "matrix":
                inside = tensor.name in factors
                reason = (
                    "inside a residual branch: all together change the outputs by one step" if inside else "keeps q"
                )
                found[tensor.name] = he(tensor, reason, factors.get(tensor.name, 1.0))
            elif role == "bias":
                found[tensor.name] = pieces("bias")
        return found


def _factors(subject: Subject, scales: frozenset[str]) -> dict[str, float]:
    """L^(-1/(2m-2)) by name, that of the innermost branch that a weight is in; none where a scale ends it."""
    count = len(subject.branches)
    found: dict[str, float] = {}
    for branch in subject.branches:
        if branch.depth < 2 or scales & set(branch.scales):
            continue
        for name in branch.inside:
            found.setdefault(name, count ** (-1 / (2 * branch.depth - 2)))
    return found
