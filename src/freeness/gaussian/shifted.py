"""Expectations of φ behind signals that are not Gaussian: sums with activations.

Of such a signal its law at one place is known, by points of equal mass, and so E φ, E φ², E φ'². Between two places of
correlation c, E φφ goes from (E φ)² at c = 0 to E φ² at c = 1 as it does for Gaussians of these means and variances (Mehler's
formula).

Source: derived for this project, tested by drawn sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri

from freeness.gaussian.activations import ActivationFunction
from freeness.gaussian.hermite import hermite_polynomials

Ends = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

_POINTS = 2048  # of a law
_ORDER = 32  # of the Hermite series; what is left out at c = 1 is told to c³²
_NODES = 801  # over 7 standard deviations at either side
_REACH = 7.0
_IRRATIONAL = np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0])


@cache
def normal_points() -> Float[np.ndarray, " points"]:
    """Points of equal mass of the standard normal law, ascending; not to be written to."""
    found = ndtri((np.arange(_POINTS) + 0.5) / _POINTS)
    found.flags.writeable = False
    return found


def lattice(index: int) -> Int[np.ndarray, " points"]:
    """Places of the points of another part, so that those of all parts come evenly together; of part 0 they stay."""
    if index == 0:
        return np.arange(_POINTS)
    return np.argsort(np.arange(_POINTS) * _IRRATIONAL[index % len(_IRRATIONAL)] % 1.0, kind="stable")


def summed_points(parts: Sequence[tuple[float, Float[np.ndarray, " points"]]]) -> Float[np.ndarray, " points"]:
    """Standardised points of a sum of independent parts, by a lattice of their quantiles.

    Args:
        parts: of each the standard deviation, with its sign, and its points.

    Example:
        >>> found = summed_points([(1.0, normal_points()), (-2.0, normal_points())])
        >>> [round(float((found**power).mean()), 1) for power in (2, 4)]
        [1.0, 3.0]
    """
    total = np.zeros(_POINTS)
    for index, (size, points) in enumerate(parts):
        total += size * points[lattice(index)]
    return standardised(total)


def standardised(points: Float[np.ndarray, "*values"]) -> Float[np.ndarray, " points"]:
    """Any number of values as points of mean 0 and variance 1, ascending."""
    places = (np.arange(_POINTS) + 0.5) / _POINTS
    found = np.sort(points, axis=None) if points.size == _POINTS else np.quantile(points, places)
    spread = found.std()
    return (found - found.mean()) / (spread if spread > 0 else 1.0)


@dataclass(frozen=True, eq=False)
class Shifted:
    """φ behind signals of given means and variances, an array of them.

    ``mean``: E φ. ``second``: E φ². ``level``, ``slope``: E φ' and E φ'². ``values``, ``slopes``: Hermite coefficients of φ and
    φ' at Gaussians of these means and variances, the order first.

    Example:
        >>> from freeness.gaussian import activation
        >>> found = Shifted.at(activation("relu"), np.array([1.0]), np.array([4.0]), normal_points())
        >>> found.mean.round(2).tolist(), found.slope.round(2).tolist()
        ([1.4], [0.69])
    """

    mean: Float[np.ndarray, "*places"]
    second: Float[np.ndarray, "*places"]
    level: Float[np.ndarray, "*places"]
    slope: Float[np.ndarray, "*places"]
    values: Float[np.ndarray, "orders ..."]
    slopes: Float[np.ndarray, "orders ..."]

    @staticmethod
    def at(
        function: ActivationFunction,
        mean: Float[np.ndarray, "*places"],
        variance: Float[np.ndarray, "*places"],
        points: Float[np.ndarray, " points"],
    ) -> Shifted:
        """Prepared by one quadrature for all."""
        z = np.linspace(-_REACH, _REACH, _NODES)
        mass = np.exp(-(z**2) / 2)
        mass /= mass.sum()
        weighted = (np.array(list(hermite_polynomials(z, _ORDER))) * mass).T
        pairs, place = np.unique(np.stack([mean.ravel(), variance.ravel()]), axis=1, return_inverse=True)
        centre, size = pairs[0][:, None], np.sqrt(pairs[1])[:, None]
        found: list[list[np.ndarray]] = []
        for each in (function.function, function.derivative):
            known = each(centre + size * points)
            series = each(centre + size * z) @ weighted
            powers = [known.mean(axis=1), (known**2).mean(axis=1), *series.T]
            found.append([array[place].reshape(mean.shape) for array in powers])
        (first, second, *values), (level, slope, *slopes) = found
        return Shifted(first, second, level, slope, np.array(values), np.array(slopes))

    def between(
        self, ends: Ends, c: Float[np.ndarray, "*shape"]
    ) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
        """E φφ' and the same of φ', between two places.

        Args:
            ends: shapes an array of the means' shape for either place, to broadcast with c.
            c: correlations, in [-1, 1].
        """
        found: list[np.ndarray] = []
        for series, mean, second in ((self.values, self.mean, self.second), (self.slopes, self.level, self.slope)):
            whole = (series[1:] ** 2).sum(axis=0)
            scale = np.sqrt(np.maximum(second - mean**2, 0.0) / np.maximum(whole, np.finfo(float).tiny))
            total, power = np.zeros_like(c), np.ones_like(c)
            for one in series[1:]:
                power *= c
                left, right = ends(scale * one)
                total += left * right * power
            left, right = ends(mean)
            found.append(total + left * right)
        return found[0], found[1]
