"""Transformers whose residual sum is never normalised: what is added to it is scaled by depth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from freeness.torch.recipes.draws import beside_matrices, gaussian
from freeness.torch.recipes.recipe import Start, StartRecipe, Subject
from freeness.torch.start.tensors import ModelTensor


@dataclass(frozen=True)
class PreNormTransformer(StartRecipe):
    """GPT-2's start: N(0, σ²) in matrices and tables, σ/√N in the N matrices that add to the residual sum, biases 0.

    N = 2L for L blocks of attention and perceptron, so that the sum's mean square does not grow with depth.

    ``deviation``: σ, 0.02 as published, for widths of 768 and more; about √(2/(5·width)) in general.
    """

    deviation: float = 0.02
    name: ClassVar[str] = "pre-LN Transformer"
    source: ClassVar[str] = "Radford et al. 2019 (GPT-2), §2.3"

    def fits(self, subject: Subject) -> bool:
        """Attention, normalisation inside the branches, and none on the sum."""
        return is_transformer(subject) and not normalises_sums(subject)

    def starts(self, subject: Subject) -> Mapping[str, Start | str]:
        ends = {name for branch in subject.branches for name in branch.matrices}
        return transformer_starts(subject, self.deviation, frozenset(ends))


def is_transformer(subject: Subject) -> bool:
    """Whether attention and residual branches with normalisation make the model, and convolutions do not."""
    return subject.attends and subject.normalised and bool(subject.branches) and not subject.convolutional


def normalises_sums(subject: Subject) -> bool:
    """Whether most sums pass a normalisation on their way to the next one; the first may follow one on the embedding."""
    between = subject.branches[1:]
    return 2 * sum(branch.bare for branch in between) < len(between)


def transformer_starts(subject: Subject, deviation: float, ends: frozenset[str]) -> dict[str, Start | str]:
    """N(0, σ²) in matrices and tables, smaller in those that end a branch; biases and shifts 0, scales 1.

    Args:
        subject: the model.
        deviation: σ.
        ends: names of the matrices that get σ/√N, with N their number.
    """
    found: dict[str, Start | str] = {}
    for tensor in subject.tensors:
        if tensor.part.role == "matrix" and tensor.name in ends:
            formula = f"{deviation:g}/√{len(ends)}"
            reason = "adds to the residual sum, which so keeps its size at any depth"
            found[tensor.name] = gaussian(deviation / math.sqrt(len(ends)), reason, formula)
        elif tensor.part.role in ("matrix", "table"):
            found[tensor.name] = gaussian(deviation, _reason(tensor))
        elif (start := beside_matrices(tensor)) is not None:
            found[tensor.name] = start
    return found


def _reason(tensor: ModelTensor) -> str:
    if tensor.tied:
        return "a table that is the last layer as well, drawn once"
    return "a table of embeddings" if tensor.part.role == "table" else "a matrix inside"
