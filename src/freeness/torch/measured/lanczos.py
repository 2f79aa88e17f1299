"""Spectra of matrices that are known by their products only: stochastic Lanczos quadrature with standard errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

from freeness.errors import InputError
from freeness.laws import Atoms, Law
from freeness.spectra import Measurement
from freeness.torch.model.pace import TimeUp, is_over

_STEPS = 300  # of a search for the largest eigenvalue
_FEWEST = 3  # steps of which a probe may be, where time ends
_SURE = 6  # steps of a search that are done whatever the time
_NEAR = 1e-4  # residual over value at which fewer steps are enough: they bring up what the start hides
_LONG = 1 << 20  # numbers from which on vectors are kept in float32
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
    _rules: tuple[tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]], ...] = field(repr=False)

    def moment(self, order: int) -> tuple[float, float]:
        """τ(Aᵏ), and its standard error.

        Args:
            order: k; exact for each probe below twice the number of steps.
        """
        return _mean_and_error(np.array([weights @ nodes**order for nodes, weights in self._rules]))

    def cdf(self, x: float) -> tuple[float, float]:
        """The share of eigenvalues up to x, and its standard error over the probes."""
        return _mean_and_error(np.array([weights[nodes <= x].sum() for nodes, weights in self._rules]))

    def padded(self, size: int) -> SpectralEstimate:
        """The same of a matrix with more rows whose other eigenvalues are 0, as the dual of a dual has.

        Args:
            size: rows of that matrix.
        """
        if size == self.size:
            return self
        share = self.size / size
        rules = tuple((np.append(nodes, 0.0), np.append(share * weights, 1 - share)) for nodes, weights in self._rules)
        mean, error = share * self.mean, share * self.mean_error
        return SpectralEstimate(_mixture(rules), size, mean, error, max(self.top, 0.0), self.top_residual, rules)

    def measurement(self, method: str, seconds: float) -> Measurement:
        """The record of a measured spectrum, with quantiles of the law and ``top`` for its eigenvalues.

        Args:
            method: how it was estimated.
            seconds: how long that took.
        """
        count = min(self.size, _QUANTILES)
        values = np.append(self.law.quantile((np.arange(count - 1) + 0.5) / count), self.top)
        return Measurement(values, self.law, method, seconds, self.mean_error, self.top_residual)


def spectral_estimate(
    matvec: Matvec, size: int, options: LanczosOptions | None = None, *, positive: bool = False
) -> SpectralEstimate:
    """The spectrum of a symmetric matrix from products with random vectors.

    From each unit vector of a random direction, Lanczos with full reorthogonalisation gives the Gauss rule of that vector's
    spectral measure, whose mean over directions is the empirical law of the eigenvalues. The standard error of the mean is that
    of the probes, or that of random directions, √(2·variance/((size + 2)·probes)), where this is larger. (scipy's eigsh has no
    Gauss rule: its tridiagonal matrix stays inside ARPACK.)

    ``positive``: A is positive semi-definite, and Ritz values that rounding made negative become 0.

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
        try:
            diagonal, off, last = _lanczos(matvec, start / np.linalg.norm(start), min(options.steps, size))
        except TimeUp:  # the probes that are done stand
            if not rules:
                raise
            break
        nodes, vectors = eigh_tridiagonal(diagonal, off)
        if positive:
            nodes = np.maximum(nodes, 0.0)
        weights = vectors[0] ** 2
        rules.append((nodes, weights / weights.sum()))
        if nodes[-1] > top:
            top, residual = float(nodes[-1]), float(last * abs(vectors[-1, -1]))
    means = np.array([weights @ nodes for nodes, weights in rules])
    law = _mixture(rules)
    error = max(_error(means), float(np.sqrt(2 * max(law.variance, 0.0) / (size + 2) / len(rules))))
    return SpectralEstimate(law, size, float(means.mean()), error, top, residual, tuple(rules))


def exact_spectrum(eigenvalues: Float[np.ndarray, " values"], size: int) -> SpectralEstimate:
    """That of a positive semi-definite matrix of ``size`` rows whose eigenvalues but zeros are known: nothing is off.

    Example:
        >>> found = exact_spectrum(np.array([1.0, 3.0]), 4)
        >>> found.mean, found.mean_error, found.top, found.moment(2)
        (1.0, 0.0, 3.0, (2.5, 0.0))
    """
    values = np.sort(np.maximum(eigenvalues.astype(float), 0.0))[::-1][:size]
    rules = ((values, np.full(len(values), 1 / len(values))),)
    found = SpectralEstimate(_mixture(rules), len(values), float(values.mean()), 0.0, float(values[0]), 0.0, rules)
    return found.padded(size)


def _mixture(rules: Sequence[tuple[np.ndarray, np.ndarray]]) -> Law:
    nodes = np.concatenate([nodes for nodes, _ in rules])
    return Atoms(nodes, np.concatenate([weights for _, weights in rules]) / len(rules))


def largest_eigenpair(matvec: Matvec, start: np.ndarray, tolerance: float) -> tuple[float, np.ndarray] | None:
    """The largest eigenvalue of a symmetric matrix and its unit vector, by Lanczos with full reorthogonalisation.

    It stops at the first step whose residual is small enough, where scipy's eigsh, which serves longer vectors, stops at the
    end of a restart only.

    ``tolerance``: largest norm of the residual, relative to the eigenvalue.

    Returns:
        What the steps led to when the time was over, else the eigenvalue; None where 300 steps did not reach it.

    Source: Parlett, The Symmetric Eigenvalue Problem, 1998, §13.2 (the residual is β|s|, s the last entry of a Ritz vector).

    Example:
        >>> value, vector = largest_eigenpair(lambda v: np.arange(1.0, 41.0) * v, np.ones(40), 1e-10)
        >>> round(value, 9), round(float(abs(vector[-1])), 9)
        (40.0, 1.0)
    """
    steps = min(_STEPS, len(start))
    basis = np.empty((steps, len(start)))
    diagonal, off = np.empty(steps), np.empty(steps)
    for k, (diagonal[k], off[k], _) in enumerate(_recursion(matvec, start / np.linalg.norm(start), basis)):
        values, vectors = eigh_tridiagonal(diagonal[: k + 1], off[:k], select="i", select_range=(k, k))
        near = tolerance if k + 1 >= _SURE else min(tolerance, _NEAR)
        if not off[k] * abs(vectors[-1, 0]) > near * abs(values[0]) or (is_over() and k + 1 >= _SURE):
            return float(values[0]), basis[: k + 1].T @ vectors[:, 0]
    return None


def _cleared(image: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """The part that is orthogonal to the rows of a basis; of long rows no copy in float64 is made but of one."""
    if basis.dtype == np.float64:
        return image - basis.T @ (basis @ image)
    for row in basis:
        image = image - np.dot(row.astype(np.float64), image) * row
    return image


def _check_finite(image: np.ndarray) -> None:
    if not np.isfinite(image).all():
        raise InputError("expected finite products, got NaN or infinity; scale the weights or the inputs down.")


def _mean_and_error(values: np.ndarray) -> tuple[float, float]:
    return float(values.mean()), _error(values)


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _recursion(matvec: Matvec, start: np.ndarray, basis: np.ndarray) -> Iterator[tuple[float, float, float]]:
    """Of each step the diagonal entry, and the norms of what is left and of the product; its vector goes into the basis."""
    vector = start
    for k in range(len(basis)):
        basis[k] = vector
        image = np.asarray(matvec(vector), dtype=float)
        _check_finite(image)
        diagonal, scale = vector @ image, np.linalg.norm(image)
        for _ in range(2):  # twice is enough
            image = _cleared(image, basis[: k + 1])
        left = np.linalg.norm(image)
        yield float(diagonal), float(left), float(scale)
        vector = image / left


def _lanczos(matvec: Matvec, start: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Diagonal, off-diagonal, and the norm of what is left after the last step; of fewer steps where time ends."""
    basis = np.empty((steps, len(start)), np.float32 if len(start) > _LONG else np.float64)
    found: list[tuple[float, float, float]] = []
    try:
        for step in _recursion(matvec, start, basis):
            found.append(step)
            if step[1] <= 1e-12 * step[2]:  # the start lies in an invariant subspace
                break
    except TimeUp:
        if len(found) < _FEWEST:
            raise
    diagonal, off, scale = np.array(found).T
    return diagonal, off[:-1], 0.0 if off[-1] <= 1e-12 * scale[-1] else float(off[-1])
