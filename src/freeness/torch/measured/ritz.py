"""The largest eigenvalue from a few products, and what it may be off."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from freeness.errors import InputError
from freeness.torch.model.pace import TimeUp, is_over

FEWEST = 6  # steps, from a start that knows nothing: of 54 small models all λ stood within three errors
_LEADING = 0.5  # of the largest Ritz value: those beside it whose vectors may lead on other samples
_SUMMED = 1 << 16  # products that are summed in the vectors' own precision
_CERTAIN = 1e-10  # of the value: what is left of a vector counts as nothing


@dataclass(frozen=True, eq=False)
class Climb:
    """The largest Ritz value θ, its residual r, its vector (None where no basis was kept), and the steps.

    ``value`` is the middle of [θ, θ + r] and ``error`` half of r. ``leading``: the vectors of all Ritz values from θ/2 on, added
    up, each by its value, to norm 1; None as well.
    """

    value: float
    error: float
    vector: Tensor | None
    leading: Tensor | None
    steps: int


def climb(
    product: Callable[[Tensor], Tensor],
    start: Tensor,
    steps: int,
    *,
    keep: bool = True,
    tolerance: float = 0.0,
    least: int = 2,
) -> Climb:
    """Lanczos for the largest eigenvalue of a positive semi-definite matrix, of so many steps; a deadline ends it earlier.

    The largest Ritz value θ never exceeds the largest eigenvalue, and an eigenvalue lies within r = ‖Av - θv‖ of it. Far from
    convergence about r is missing, near it almost nothing; so the middle of [θ, θ + r] is given, with half of r for its error.

    Args:
        product: v ↦ A v.
        start: where from; any vector but 0.
        steps: products.
        keep: all vectors of the recursion, which are then orthogonal to rounding; otherwise only three are held, which leaves the
            largest value as it is (Paige) but gives no vector.
        least: steps that a deadline does not end.
        tolerance: residual over value at which it ends as well, but for the first steps: they bring up what the start hides.

    Source: Parlett, The Symmetric Eigenvalue Problem, 1998, chapter 13; Paige, J. Inst. Maths Applics 18 (1976). Not scipy's
    ``eigsh``, which tells nothing before a restart ends. For short vectors ``largest_eigenpair`` holds all in one array.

    Example:
        >>> found = climb(lambda v: torch.arange(1.0, 41.0) * v, torch.ones(40), 30)
        >>> abs(found.value - 40.0) < found.error + 1e-4
        True
    """
    basis: list[Tensor] = []
    diagonal: list[float] = []
    off: list[float] = []
    vector, before = start / dot(start, start) ** 0.5, torch.zeros_like(start)
    scale = 0.0
    try:
        for _ in range(steps):
            image = product(vector)
            diagonal.append(dot(vector, image))
            if not math.isfinite(diagonal[-1]):
                raise InputError("expected finite products, got NaN or infinity; scale the weights or the inputs down.")
            basis.append(vector)
            image = image.sub(vector, alpha=diagonal[-1])  # a copy: the product may be the vector itself
            if off:
                image.sub_(before, alpha=off[-1])
            if keep:
                for _ in range(2):
                    for other in basis:
                        image.sub_(other, alpha=dot(other, image))
            off.append(dot(image, image) ** 0.5)
            scale = max(scale, off[-1], abs(diagonal[-1]))
            if off[-1] <= _CERTAIN * scale or scale == 0.0:
                break
            value, ritz = _top(diagonal, off)
            if len(off) >= FEWEST and off[-1] * abs(float(ritz[-1])) <= tolerance * value:
                break
            before, vector = vector, image / off[-1]
            if not keep:
                basis.clear()
            if is_over() and len(off) >= least:
                break
    except TimeUp:  # of a product
        if len(off) < 2:
            raise
    value, ritz = _top(diagonal, off)
    residual = off[-1] * abs(float(ritz[-1]))
    found, leading = (_combined(each, basis) if keep else None for each in (ritz, _leading(diagonal, off)))
    return Climb(value + residual / 2, residual / 2, found, leading, len(off))


def _combined(shares: np.ndarray, basis: list[Tensor]) -> Tensor:
    return sum((float(c) * v for c, v in zip(shares, basis, strict=False)), torch.zeros_like(basis[0]))


def _leading(diagonal: list[float], off: list[float]) -> np.ndarray:
    values, vectors = eigh_tridiagonal(np.array(diagonal), np.array(off[: len(diagonal) - 1]))
    shares = np.where(values >= _LEADING * values[-1], values, 0.0)
    mixed = vectors @ shares
    return mixed / np.linalg.norm(mixed) if mixed.any() else vectors[:, -1]


def _top(diagonal: list[float], off: list[float]) -> tuple[float, np.ndarray]:
    last = len(diagonal) - 1
    values, vectors = eigh_tridiagonal(np.array(diagonal), np.array(off[:last]), select="i", select_range=(last, last))
    return float(values[0]), vectors[:, 0]


def dot(a: Tensor, b: Tensor) -> float:
    """The inner product, block by block: in float32 one sum of 10⁷ products is off by 1e-4.

    Example:
        >>> dot(torch.arange(3.0), torch.ones(3))
        3.0
    """
    parts = [torch.dot(x, y) for x, y in zip(a.split(_SUMMED), b.split(_SUMMED), strict=True)]
    return float(torch.stack(parts).double().sum()) if a.device.type != "mps" else float(torch.stack(parts).sum())
