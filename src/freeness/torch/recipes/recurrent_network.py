"""Recurrent networks: orthogonal from step to step, gates of forgetting open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from freeness.torch.recipes.draws import beside_matrices, gaussian, glorot, orthogonal, pieces
from freeness.torch.recipes.recipe import Start, StartRecipe, Subject
from freeness.torch.start.tensors import ModelTensor


@dataclass(frozen=True)
class RecurrentNetwork(StartRecipe):
    """A Haar-orthogonal matrix from step to step in each gate, Glorot's variance elsewhere, biases 0, an LSTM's forgetting 1.

    Tables of embeddings get entries of variance 1, and 1/width where the last layer is the table as well.
    """

    name: ClassVar[str] = "recurrent network"
    source: ClassVar[str] = "Saxe et al. 2014 (orthogonal); Glorot, Bengio 2010; Jozefowicz et al. 2015 (forgetting)"

    def fits(self, subject: Subject) -> bool:
        """A recurrent module of torch."""
        return subject.has(nn.RNNBase, nn.RNNCellBase)

    def starts(self, subject: Subject) -> Mapping[str, Start | str]:
        return {tensor.name: start for tensor in subject.tensors if (start := _start(tensor)) is not None}


def _start(tensor: ModelTensor) -> Start | None:
    role, key = tensor.part.role, tensor.name.rpartition(".")[2]
    if role == "matrix":
        if key.startswith("weight_hh"):
            return orthogonal("from step to step: keeps the length of the state's gradient")
        return glorot(tensor, "keeps q forward and backward on average")
    if role == "table":
        if tensor.tied:
            width = tensor.shape[-1]
            return gaussian(1 / math.sqrt(width), "a table that is the last layer as well, drawn once", "1/√width")
        return gaussian(1.0, "a table of embeddings: what it gives has mean square 1")
    if role == "bias" and "forget" in tensor.part.pieces:
        return pieces("bias; the gate of forgetting starts at 1")
    return beside_matrices(tensor)
