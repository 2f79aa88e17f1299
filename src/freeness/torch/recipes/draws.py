"""The draws that recipes are made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from freeness.torch.model.sampling import haar_matrix
from freeness.torch.recipes.recipe import Start
from freeness.torch.start.piecewise import filled
from freeness.torch.start.tensors import ModelTensor, cut


def gaussian(deviation: float, reason: str, formula: str = "") -> Start:
    """N(0, σ²) in every entry; 0 in the row of a table that stands for nothing."""

    def values(tensor: ModelTensor, generator: torch.Generator) -> Tensor:
        drawn = deviation * torch.randn(tensor.shape, generator=generator, device=generator.device)
        if tensor.part.padding is not None:
            drawn[tensor.part.padding] = 0
        return drawn

    shown = f"N(0, σ²), σ = {deviation:.4g}{f' = {formula}' if formula else ''}"
    return Start(shown, reason, values, "gaussian", deviation)


def uniform(bound: float, reason: str, formula: str) -> Start:
    """Uniform in ±bound."""

    def values(tensor: ModelTensor, generator: torch.Generator) -> Tensor:
        return bound * (2 * torch.rand(tensor.shape, generator=generator, device=generator.device) - 1)

    return Start(f"uniform in ±{bound:.4g} = ±{formula}", reason, values, "uniform", bound / math.sqrt(3))


def he(tensor: ModelTensor, reason: str, factor: float = 1.0) -> Start:
    """N(0, 2/fan_in), the variance that keeps q through rectifiers (He et al. 2015, eq. 10), times a factor.

    Args:
        tensor: a matrix; the fan_in of a group counts.
        reason: why.
        factor: of the deviation.
    """
    formula = "√(2/fan_in)" + (f" · {factor:.4g}" if factor != 1 else "")
    return gaussian(factor * math.sqrt(2 / tensor.part.fan_in), reason, formula)


def glorot(tensor: ModelTensor, reason: str) -> Start:
    """N(0, 2/(fan_in + fan_out)) of each piece (Glorot, Bengio 2010)."""
    sizes = tensor.part.fan_in + tensor.part.fan_out
    return gaussian(math.sqrt(2 / sizes), reason, "√(2/(fan_in + fan_out))")


def constant(value: float, reason: str) -> Start:
    """The same number in every entry."""
    return Start(f"{value:g}", reason, lambda tensor, generator: torch.full(tensor.shape, float(value)))


def pieces(reason: str) -> Start:
    """0 in every piece of a bias, but where the kind of module says otherwise."""

    def values(tensor: ModelTensor, generator: torch.Generator) -> Tensor:
        found = torch.zeros(tensor.shape)
        for (_, piece), start in zip(cut(found, tensor.part), tensor.part.constant, strict=True):
            piece.fill_(start or 0.0)
        return found

    return Start("0", reason, values)


def beside_matrices(tensor: ModelTensor) -> Start | None:
    """Scales of normalisations 1, shifts and biases 0; None of another tensor."""
    role = tensor.part.role
    if role == "scale":
        return constant(1, "scale of a normalisation")
    if role in ("bias", "shift"):
        return pieces("bias" if role == "bias" else "shift of a normalisation")
    return None


def orthogonal(reason: str) -> Start:
    """A Haar-distributed (semi-)orthogonal matrix for every piece."""

    def values(tensor: ModelTensor, generator: torch.Generator) -> Tensor:
        dtype = torch.float64 if tensor.value.dtype == torch.float64 else torch.float32
        return filled(tensor, lambda rows, columns: haar_matrix(rows, columns, generator, dtype))

    return Start("Haar, piece by piece", reason, values, "haar")
