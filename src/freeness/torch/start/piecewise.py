"""Matrices that are packed of several, drawn piece by piece."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from freeness.torch.start.kernels import Drawn, WeightKind, drawn_matrix, gain_of
from freeness.torch.start.tensors import ModelTensor, cut


def filled(tensor: ModelTensor, draw: Callable[[int, int], Tensor]) -> Tensor:
    """A weight of two axes, each of its pieces (fan_out, fan_in) drawn by itself."""
    drawn = torch.cat([draw(*piece.shape) for _, piece in cut(tensor.value.detach(), tensor.part)])
    return drawn.T.contiguous() if tensor.part.transposed else drawn


def drawn_pieces(tensor: ModelTensor, kind: WeightKind, generator: torch.Generator) -> Drawn:
    """Gates, or query, key and value, each from the ensemble, at σ_w = 1; all have the same gain."""
    dtype = torch.float64 if tensor.value.dtype == torch.float64 else torch.float32
    weight = filled(tensor, lambda rows, columns: drawn_matrix(kind, rows, columns, generator, dtype))
    part = tensor.part
    note = f"{', '.join(part.pieces)} each by itself" if len(part.pieces) > 1 else ""
    return Drawn(weight, gain_of(kind, part.fan_out, part.fan_in), note)
