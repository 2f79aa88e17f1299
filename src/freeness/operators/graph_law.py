"""The law of a graph of random matrices: on the positive axis, over which its ends may lie many decades apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from freeness.operators.field_equation import FieldEquation
from freeness.operators.matrix_law import MatrixLaw, Moments

_EMPTY = 1e-9  # a distribution function so near to 0 is 0
_BELOW, _ABOVE = 0.4, 1.3  # of the guessed lower end: outside, and inside
_NEAR_BELOW, _NEAR_ABOVE = 0.85, 1.1
_DECADES = 14
_PER_DECADE = 4
_ZOOMS = 6


class GraphLaw(MatrixLaw):
    """The law with G of a :class:`GraphEquation` or a :class:`BlockEquation`.

    Args:
        equation: of the graph.
        extent: about the ends of the support, as a sampled matrix has them.

    Source: see :mod:`freeness.operators.graph_equation`.
    """

    def __init__(self, equation: FieldEquation, extent: tuple[float, float]) -> None:
        first, second = equation.moments()
        self._graph = equation
        super().__init__(equation, extent, moments=Moments(first, second - first**2))

    def __repr__(self) -> str:
        return f"GraphLaw({self._equation.size} nodes)"

    def moments(self, order: int) -> np.ndarray:
        """m_1, …, m_order; the first two from the equations, exactly."""
        first = self._known_moments.mean
        exact = np.array([first, self._known_moments.variance + first**2])
        return exact[:order] if order <= 2 else np.append(exact, super().moments(order)[2:])

    def resolved(self, z: ArrayLike) -> np.ndarray:
        """G(z) between the P positions (or samples, or both) of the output, averaged over its channels, (*z.shape, P, P).

        Its trace over P is the Cauchy transform; with n samples the entry (a, b) is tr ((z - Θ)⁻¹)^{ab}.

        Args:
            z: off the real axis, or outside the support.

        Raises:
            ConvergenceError: a point could not be reached.

        Source: theory.md §3.3 (Hayase, Karakida give n = 1).
        """
        points = np.asarray(z).astype(complex)
        self.cauchy(points)
        flat = points.ravel()
        upper = np.where(np.imag(flat) < 0, flat.conj(), flat)
        solution = self._solve(upper)
        blocks = self._graph.resolved(solution.parameters, upper + 1j * solution.height)
        found = np.where((np.imag(flat) < 0)[:, None, None], blocks.conj(), blocks)
        return found.reshape(*points.shape, *blocks.shape[1:])

    @property
    def lower_bound(self) -> float:
        return 0.0

    def _guessed_ends(self) -> tuple[float, float]:
        low, _ = self._extent
        last = self._outer_fold(self._radius, self.mean, 1.0)
        if not low > 0:
            return np.nan, last
        near = self._outer_fold(_NEAR_BELOW * low, _NEAR_ABOVE * low, -1.0)
        return (self._outer_fold(_BELOW * low, _ABOVE * low, -1.0) if np.isnan(near) else near), last

    def _end(self, side: float) -> float:
        """The lower end by decades, the upper one as of any law."""
        if side > 0:
            return super()._end(side)
        x = self._radius * np.geomspace(10.0**-_DECADES, 1.0, _DECADES * _PER_DECADE + 1)
        for _ in range(_ZOOMS):
            lit = np.flatnonzero(self._beyond(x, -1.0) > _EMPTY)
            if lit.size == 0 or lit[0] == 0:
                return 0.0
            dark, bright = float(x[lit[0] - 1]), float(x[lit[0]])
            found = self._outer_fold(dark, bright, -1.0)
            if not np.isnan(found):
                return found
            x = np.geomspace(dark, bright, 9)
        return float(x[0])

    def _outer_fold(self, dark: float, bright: float, side: float) -> float:
        """The end of the support on one side: a fold that the real unknowns reach from ``dark``, beyond which nothing lies.

        They are analytic from there to the first singularity of G. NaN where there is mass beyond, or no fold.
        """
        x = np.array([dark])
        return float(self._folds(np.array([bright]), x)[0]) if self._beyond(x, side)[0] <= _EMPTY else np.nan
