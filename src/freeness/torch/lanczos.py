"""Spectra of matrices that are known by their products only: stochastic Lanczos quadrature with standard errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from freeness.errors import InputError
from freeness.laws import Atoms, Law
from freeness.spectra.records import Measurement

_QUANTILES = 4096  # of a law in the place of its eigenvalues

Matvec = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class LanczosOptions:
    """How an estimate is made.

    Args:
        probes: random vectors; standard errors fall as 1/√probes.
        steps: Lanczos steps of each, which resolve about as many points of the spectrum.
        generator: source of randomness; seed 0 when left out.
    """

    probes: int = 8
    steps: int = 64
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        if self.probes < 2 or self.steps < 1:
            raise InputError(
                f"expected at least 2 probes (for a standard error) and 1 step, got {self.probes} and {self.steps}; "
                "raise them."
            )


@dataclass(frozen=True, eq=False)
class SpectralEstimate:
    """An estimated spectrum of a symmetric matrix of ``size`` rows.

    ``law`` has the mean of the probes' Gauss rules for its atoms. ``mean`` is τ(A) with its standard error. ``top`` is the
    largest Ritz value: an eigenvalue of A lies within ``top_residual`` of it.
    """

    law: Law
    size: int
    mean: float
    mean_error: float
    top: float
    top_residual: float
    _rules: tuple[tuple[np.ndarray, np.ndarray], ...] = field(repr=False)

    def moment(self, order: int) -> tuple[float, float]:
        """τ(Aᵏ), and its standard error.

        Args:
            order: k; exact for each probe below twice the number of steps.
        """
        return _mean_and_error(np.array([weights @ nodes**order for nodes, weights in self._rules]))

    def cdf(self, x: float) -> tuple[float, float]:
        """The share of eigenvalues up to x, and its standard error over the probes."""
        return _mean_and_error(np.array([weights[nodes <= x].sum() for nodes, weights in self._rules]))

    def measurement(self, method: str, seconds: float) -> Measurement:
        """The record of a measured spectrum, with quantiles of the law and ``top`` for its eigenvalues.

        Args:
            method: how it was estimated.
            seconds: how long that took.
        """
        count = min(self.size, _QUANTILES)
        values = np.append(self.law.quantile((np.arange(count - 1) + 0.5) / count), self.top)
        return Measurement(values, self.law, method, seconds)


def spectral_estimate(
    matvec: Matvec, size: int, options: LanczosOptions | None = None, *, positive: bool = False
) -> SpectralEstimate:
    """The spectrum of a symmetric matrix from products with random vectors.

    From each unit vector of a random direction, Lanczos with full reorthogonalisation gives the Gauss rule of that vector's
    spectral measure, whose mean over directions is the empirical law of the eigenvalues.

    Args:
        matvec: v ↦ A v, float64 vectors (size,).
        size: rows of A.
        options: probes, steps and generator.
        positive: whether A is positive semi-definite: Ritz values that rounding made negative become 0.

    Source: Golub, Meurant (1994); Ubaru, Chen, Saad, SIAM J. Matrix Anal. Appl. 38 (2017).

    Example:
        >>> found = spectral_estimate(lambda v: np.arange(1.0, 6.0) * v, 5)
        >>> round(found.top, 9), abs(found.mean - 3.0) < 4 * found.mean_error
        (5.0, True)
    """
    options = options or LanczosOptions()
    generator = options.generator or torch.Generator().manual_seed(0)
    rules, top, residual = [], -np.inf, np.inf
    for _ in range(options.probes):
        start = torch.randn(size, generator=generator, dtype=torch.float64).numpy()
        diagonal, off, last = _lanczos(matvec, start / np.linalg.norm(start), min(options.steps, size))
        if not np.isfinite(diagonal).all() or not np.isfinite(last):
            raise InputError("expected finite products, got NaN or infinity; scale the weights or the inputs down.")
        nodes, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))
        if positive:
            nodes = np.maximum(nodes, 0.0)
        weights = vectors[0] ** 2
        rules.append((nodes, weights / weights.sum()))
        if nodes[-1] > top:
            top, residual = float(nodes[-1]), float(last * abs(vectors[-1, -1]))
    law = Atoms(
        np.concatenate([nodes for nodes, _ in rules]),
        np.concatenate([weights for _, weights in rules]) / options.probes,
    )
    mean, error = _mean_and_error(np.array([weights @ nodes for nodes, weights in rules]))
    return SpectralEstimate(law, size, mean, error, top, residual, tuple(rules))


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _lanczos(matvec: Matvec, start: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Diagonal, off-diagonal, and the norm of what is left after the last step."""
    basis = np.empty((steps, len(start)))
    diagonal, off = np.empty(steps), np.empty(steps)
    vector = start
    for k in range(steps):
        basis[k] = vector
        image = np.asarray(matvec(vector), dtype=float)
        scale = np.linalg.norm(image)
        diagonal[k] = vector @ image
        for _ in range(2):  # twice is enough
            image = image - basis[: k + 1].T @ (basis[: k + 1] @ image)
        off[k] = np.linalg.norm(image)
        if off[k] <= 1e-12 * scale:  # the start lies in an invariant subspace
            return diagonal[: k + 1], off[:k], 0.0
        vector = image / off[k]
    return diagonal, off[:-1], float(off[-1])
