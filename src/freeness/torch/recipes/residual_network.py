"""Residual networks with normalisation: every branch starts at 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from freeness.torch.recipes.draws import beside_matrices, constant, gaussian, he
from freeness.torch.recipes.recipe import Start, StartRecipe, Subject

_HEAD = "gives the outputs: small, so that no class is preferred"


@dataclass(frozen=True)
class NormalisedResidualNetwork(StartRecipe):
    """He's variance 2/fan_in in all matrices, 0 in the last scale of each branch, N(0, σ²) in the last layer, biases 0.

    Where a branch ends without a scale, its last matrix is 0: as well the branch is 0 and learns in the first step.

    ``head``: σ of the last layer, 0.01 as published.
    """

    head: float = 0.01
    name: ClassVar[str] = "ResNet with normalisation"
    source: ClassVar[str] = "He et al. 2015, eq. 10; Goyal et al. 2017, §5.1"

    def fits(self, subject: Subject) -> bool:
        """Residual branches and normalisation, no plain Transformer, and no tensors that only the model knows."""
        transformer = subject.attends and not subject.convolutional
        return bool(subject.branches) and subject.normalised and subject.explained and not transformer

    def starts(self, subject: Subject) -> Mapping[str, Start | str]:
        scales, matrices = branch_ends(subject)
        found: dict[str, Start | str] = {}
        for tensor in subject.tensors:
            role = tensor.part.role
            if tensor.name in scales:
                found[tensor.name] = constant(0, "last scale of a residual branch, which starts at 0")
            elif tensor.name in matrices:
                found[tensor.name] = constant(0, "ends a residual branch without a scale, which starts at 0")
            elif role == "matrix" and tensor.name in subject.heads:
                found[tensor.name] = gaussian(self.head, _HEAD)
            elif role == "matrix":
                found[tensor.name] = he(tensor, "keeps q through rectifiers")
            elif (start := beside_matrices(tensor)) is not None:
                found[tensor.name] = start
        return found


def branch_ends(subject: Subject) -> tuple[frozenset[str], frozenset[str]]:
    """Last scales of branches; last matrices of those that have none, or one of another library, which may be added to 1."""
    foreign = {tensor.name for tensor in subject.tensors if tensor.part.role == "foreign"}
    scales = {name for one in subject.branches for name in one.scales if not foreign & set(one.scales)}
    bare = {name for one in subject.branches if not set(one.scales) & scales for name in one.matrices}
    return frozenset(scales), frozenset(bare)
