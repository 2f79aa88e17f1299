"""Convolutional networks: each layer keeps the mean square of the signal through whatever it reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from freeness.torch.recipes.draws import beside_matrices, constant, gaussian
from freeness.torch.recipes.recipe import Start, StartRecipe, Subject
from freeness.torch.recipes.residual_network import branch_ends
from freeness.torch.start.tensors import ModelTensor


@dataclass(frozen=True)
class ConvolutionalNetwork(StartRecipe):
    """N(0, 1/(fan_in·E φ(z)²)) in all matrices, φ the activation in front of each; biases and shifts 0, scales 1.

    This is He's 2/fan_in behind rectifiers, and 1/fan_in where a layer reads a normalised signal, a sum or the inputs. Where it
    reads several signals side by side, as in DenseNets and U-Nets, fan_in counts all of their channels. Of groups it counts those
    of one; of a transposed convolution the taps that meet in a place. Residual branches that no other recipe is for start at 0.
    Average pooling of rough pictures still makes the signal smaller.
    """

    name: ClassVar[str] = "convolutional network"
    source: ClassVar[str] = (
        "He et al. 2015, eq. 7, 10 and 15; so of U-Nets Ronneberger et al. 2015, §3, and of DenseNets Huang et al. 2017, §4.2"
    )

    def fits(self, subject: Subject) -> bool:
        """Convolutions in a model whose wiring is known."""
        return subject.convolutional and subject.wiring is not None

    def starts(self, subject: Subject) -> Mapping[str, Start | str]:
        scales, ends = branch_ends(subject)
        found: dict[str, Start | str] = {}
        for tensor in subject.tensors:
            role = tensor.part.role
            if tensor.name in scales or tensor.name in ends:
                found[tensor.name] = constant(0, "ends a residual branch, which starts at 0")
            elif role == "matrix":
                found[tensor.name] = _keeping(tensor, subject.read(tensor))
            elif role == "table":
                found[tensor.name] = gaussian(1.0, "a table of embeddings: what it gives has mean square 1")
            elif (start := beside_matrices(tensor)) is not None:
                found[tensor.name] = start
        return found


def _keeping(tensor: ModelTensor, read: float) -> Start:
    """N(0, 1/(fan_in·E φ²))."""
    if read == 1:
        return gaussian(1 / math.sqrt(tensor.part.fan_in), "keeps the mean square of what it reads", "√(1/fan_in)")
    reason = "keeps the mean square through the activation in front of it"
    return gaussian(math.sqrt(1 / (read * tensor.part.fan_in)), reason, f"√({1 / read:.4g}/fan_in)")
