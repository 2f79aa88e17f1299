"""Sums and products of classically independent variables: A⊗1 + 1⊗B and (A⊗1)(1⊗B) of matrices on different legs of a tensor.

Matrices on disjoint legs commute, and eigenvalues of the sum (product) are all sums (products) of eigenvalues, so that laws
combine by the convolutions of classical probability.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from math import comb

import numpy as np
from jaxtyping import Float

from freeness.errors import ConvergenceError, InputError, TimeLimitError
from freeness.laws import (
    AtomicLaw,
    Atoms,
    GradedDensity,
    Law,
    Mixture,
    PointMass,
    SmoothPart,
    continuous_part,
    distinct,
    require_laws,
    simplify,
    smooth_parts,
)
from freeness.moves.operations import scale, shift
from freeness.numerics import legendre_rule

_ORDER = 16  # of the Gauss rule of a panel
_RATIO = 4.0  # a panel towards an end of an integral is so much shorter than its neighbour
_LEVELS = 11  # such panels; in the last one distances are squares
_LONGEST = 4.0  # panel of logarithms
_BLOCK = 200_000  # values of a density at once
_NARROWEST = 1e-7  # relative width of a law that a sum may lose in rounding
_WHOLE = 1 - 1e-12  # atoms with more mass than this are all


def classical_sum(first: Law, second: Law) -> Law:
    """The law of X + Y for classically independent X, Y; of A⊗1 + 1⊗B.

    The density is ∫ f(s) f'(x - s) ds; atoms, mean, variance, moments and support follow exactly from both laws.

    Args:
        first: with a bounded support.
        second: with a bounded support.

    Example:
        >>> from freeness.laws import Semicircle, Uniform
        >>> classical_sum(Uniform(0.0, 1.0), Uniform(0.0, 1.0)).density([0.5, 1.0]).round(12).tolist()
        [0.5, 1.0]
        >>> round(classical_sum(Semicircle(), Semicircle()).moment(4), 10)  # 8 if they were free
        10.0

    Source: Charlesworth, Collins, Matrix models for ε-free independence (2021), arXiv 1910.04343.
    """
    require_laws(first, second)
    return _combined(first, second, SUM)


def classical_product(first: Law, second: Law) -> Law:
    """The law of XY for classically independent X, Y; of A⊗B = (A⊗1)(1⊗B). No sign is asked of either.

    The density is ∫ f(s) f'(x/s) ds/|s|; atoms, mean, variance, moments and support follow exactly from both laws.

    Args:
        first: with a bounded support.
        second: with a bounded support.

    Example:
        >>> from freeness.laws import MarchenkoPastur, Projection
        >>> law = classical_product(MarchenkoPastur(2.0), Projection(0.5))
        >>> law.mean, law.atoms
        (0.5, (Atom(position=0.0, mass=0.75),))

    Source: Charlesworth, Collins, Matrix models for ε-free independence (2021), arXiv 1910.04343.
    """
    require_laws(first, second)
    return _combined(first, second, PRODUCT)


class Chart(ABC):
    """How two independent values combine, and how one moves while the other makes up for it."""

    @abstractmethod
    def joined(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The value of the combination."""

    @abstractmethod
    def rest(self, x: np.ndarray, s: float) -> np.ndarray:
        """What combines with s to x."""

    @abstractmethod
    def length(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """How far it is from low to high, in the measure in which the integral has weight 1."""

    @abstractmethod
    def moved(self, start: np.ndarray, way: np.ndarray) -> np.ndarray:
        """Where a way from ``start`` leads."""

    @abstractmethod
    def gain(self, start: np.ndarray, way: np.ndarray) -> np.ndarray:
        """What a value gains on a way from ``start``."""

    def panels(self, length: float) -> int:
        """In how many panels a way of this length is divided."""
        return 1

    @abstractmethod
    def parts(self, law: Law) -> list[tuple[int, SmoothPart]]:
        """Smooth parts, each with a sign; between parts of given signs the chart is monotone."""

    @abstractmethod
    def with_number(self, law: Law, number: float) -> Law:
        """The law combined with a number."""

    @abstractmethod
    def moments(self, first: Law, second: Law, order: int) -> Float[np.ndarray, " order"]:
        """m_1, …, m_order of the combination."""

    @abstractmethod
    def mean(self, first: Law, second: Law) -> float:
        """Of the combination."""

    @abstractmethod
    def variance(self, first: Law, second: Law) -> float:
        """Of the combination."""

    @abstractmethod
    def symmetric(self, first: Law, second: Law) -> bool:
        """Whether the combination is known to be symmetric."""


class _Sum(Chart):
    """s + t."""

    def joined(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        return s + t

    def rest(self, x: np.ndarray, s: float) -> np.ndarray:
        return x - s

    def length(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return high - low

    def moved(self, start: np.ndarray, way: np.ndarray) -> np.ndarray:
        return start + way

    def gain(self, start: np.ndarray, way: np.ndarray) -> np.ndarray:
        return way

    def parts(self, law: Law) -> list[tuple[int, SmoothPart]]:
        return [(1, part) for part in smooth_parts(law)]

    def with_number(self, law: Law, number: float) -> Law:
        return shift(law, number)

    def moments(self, first: Law, second: Law, order: int) -> np.ndarray:
        a, b = (np.concatenate([[1.0], law.moments(order)]) for law in (first, second))
        return np.array([sum(comb(n, k) * a[k] * b[n - k] for k in range(n + 1)) for n in range(1, order + 1)])

    def mean(self, first: Law, second: Law) -> float:
        return first.mean + second.mean

    def variance(self, first: Law, second: Law) -> float:
        return first.variance + second.variance

    def symmetric(self, first: Law, second: Law) -> bool:
        return first.symmetric and second.symmetric


class _Product(Chart):
    """s·t, in logarithms."""

    def joined(self, s: np.ndarray, t: np.ndarray) -> np.ndarray:
        return s * t

    def rest(self, x: np.ndarray, s: float) -> np.ndarray:
        return x / s if s else np.full(x.shape, np.inf)

    def length(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return np.log(high / low)

    def moved(self, start: np.ndarray, way: np.ndarray) -> np.ndarray:
        return start * np.exp(way)

    def gain(self, start: np.ndarray, way: np.ndarray) -> np.ndarray:
        return start * np.expm1(way)

    def panels(self, length: float) -> int:
        return max(1, int(np.ceil(length / _LONGEST)))

    def parts(self, law: Law) -> list[tuple[int, SmoothPart]]:
        parts = smooth_parts(law)
        positive = [(1, _right_of_zero(part)) for part in parts if part.high > 0]
        return positive + [(-1, _right_of_zero(_reflected(part))) for part in parts if part.low < 0]

    def with_number(self, law: Law, number: float) -> Law:
        return scale(law, number) if number else PointMass(0.0)

    def moments(self, first: Law, second: Law, order: int) -> np.ndarray:
        return first.moments(order) * second.moments(order)

    def mean(self, first: Law, second: Law) -> float:
        return first.mean * second.mean

    def variance(self, first: Law, second: Law) -> float:
        return first.variance * second.variance + first.variance * second.mean**2 + second.variance * first.mean**2

    def symmetric(self, first: Law, second: Law) -> bool:
        return first.symmetric or second.symmetric


SUM, PRODUCT = _Sum(), _Product()


def _right_of_zero(part: SmoothPart) -> SmoothPart:
    """The positive half of a part around 0."""
    if part.low >= 0:
        return part
    return SmoothPart(0.0, part.high, lambda x, left, right: part.density(x, x - part.low, right), part.panels)


def _reflected(part: SmoothPart) -> SmoothPart:
    return SmoothPart(-part.high, -part.low, lambda x, left, right: part.density(-x, right, left), part.panels)


class ClassicalConvolution(GradedDensity):
    """The law of X + Y or XY for classically independent X, Y without atoms."""

    def __init__(self, first: Law, second: Law, chart: Chart) -> None:
        self._first, self._second, self._chart = first, second, chart
        mine, other = chart.parts(first), chart.parts(second)
        self._pairs = [(i * j, _Pair(a, b, chart)) for (i, a), (j, b) in product(mine, other)]
        try:
            super().__init__(self._integral, distinct([sign * end for sign, pair in self._pairs for end in pair.ends]))
        except TimeLimitError:
            raise
        except ConvergenceError as error:
            narrow, wide = sorted(law.hull[1] - law.hull[0] for law in (first, second))
            if chart is not SUM or narrow > _NARROWEST * wide:
                raise
            raise InputError(
                f"expected laws of widths within a factor of {1 / _NARROWEST:.0e} of one another, got {narrow:.3g} and "
                f"{wide:.3g}; shift the wide one by the mean of the narrow one."
            ) from error

    @property
    def mean(self) -> float:
        return self._chart.mean(self._first, self._second)

    @property
    def variance(self) -> float:
        return self._chart.variance(self._first, self._second)

    @property
    def symmetric(self) -> bool:
        return self._chart.symmetric(self._first, self._second)

    def moments(self, order: int) -> Float[np.ndarray, " order"]:
        return self._chart.moments(self._first, self._second, order)

    def _integral(self, x: np.ndarray) -> np.ndarray:
        found = np.zeros(x.shape)
        for sign, pair in self._pairs:
            found += pair.density(sign * x)
        return found


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two smooth parts and the density of their combination."""

    first: SmoothPart
    second: SmoothPart
    chart: Chart

    @property
    def ends(self) -> list[float]:
        """All combinations of ends."""
        mine, other = (np.array([part.low, part.high]) for part in (self.first, self.second))
        return self.chart.joined(mine[:, None], other[None]).ravel().tolist()

    def density(self, x: np.ndarray) -> np.ndarray:
        """∫ f(s) f'(rest of x at s) ds in the chart, at points x (n,)."""
        found = np.zeros(x.shape)
        here = np.flatnonzero((x > min(self.ends)) & (x < max(self.ends)))
        low = np.maximum(self.first.low, self.chart.rest(x[here], self.second.high))
        high = np.minimum(self.first.high, self.chart.rest(x[here], self.second.low))
        here, low, high = (values[high > low] for values in (here, low, high))
        length = self.chart.length(low, high)
        panels = max(self.chart.panels(float(length.max(initial=0.0))), self.first.panels, self.second.panels)
        fractions, weights = _layout(panels)
        step = max(1, _BLOCK // fractions.size)
        for start in range(0, here.size, step):
            block = slice(start, start + step)
            ways = length[block, None] * fractions
            halves = sum(self._along(x[here[block]], way) for way in (ways, -ways))
            found[here[block]] = length[block] * (halves @ weights)
        return found

    def _along(self, x: np.ndarray, way: np.ndarray) -> np.ndarray:
        """f·f' on ways from the low end of s, or to its high end where they are negative."""
        rising = bool(way[0, 0] > 0)
        mine = self.first.low if rising else self.first.high
        other = self.second.high if rising else self.second.low
        to_other = self.chart.rest(x, other)
        own = mine >= to_other if rising else mine <= to_other  # the integral ends where that of f does
        s, t = np.where(own, mine, to_other)[:, None], np.where(own, self.chart.rest(x, mine), other)[:, None]
        return self._valued(self.first, s, way) * self._valued(self.second, t, -way)

    def _valued(self, part: SmoothPart, start: np.ndarray, way: np.ndarray) -> np.ndarray:
        """The density on the way; from an end itself the distance is what was gained."""
        x, gained = self.chart.moved(start, way), self.chart.gain(start, way)
        left = (start - part.low) + gained if part.low else x
        return part.density(x, left, (part.high - start) - gained)


@cache
def _layout(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on (0, ½] of a way of ``count`` panels of which the first shrinks towards 0."""
    nodes, weights = legendre_rule(_ORDER)
    first = 0.5 / count
    cuts = [*(first * _RATIO ** -np.arange(_LEVELS, 0.0, -1)), *np.linspace(first, 0.5, 1 + count // 2)]
    root, share = (nodes + 1) / 2, weights / 2
    found = [(cuts[0] * root**2, cuts[0] * 2 * root * share)]
    found += [(low + (high - low) * root, (high - low) * share) for low, high in pairwise(cuts)]
    return np.concatenate([t for t, _ in found]), np.concatenate([w for _, w in found])


def _combined(first: Law, second: Law, chart: Chart) -> Law:
    for law in (first, second):
        if not np.isfinite(law.hull).all():
            raise InputError(f"expected laws with a bounded support, got {law!r} on {law.hull}; truncate it first.")
    if isinstance(first, AtomicLaw) and isinstance(second, AtomicLaw):
        positions = chart.joined(first.positions[:, None], second.positions[None])
        return simplify(Atoms(positions.ravel(), np.outer(first.masses, second.masses).ravel()))
    if isinstance(second, AtomicLaw):
        first, second = second, first
    if isinstance(first, AtomicLaw):
        return _mixed([(mass, chart.with_number(second, x)) for x, mass in first.atoms])
    found: list[tuple[float, Law]] = []
    for (p, a), (q, b) in product(_components(first), _components(second)):
        atomic = isinstance(a, AtomicLaw) or isinstance(b, AtomicLaw)
        found.append((p * q, _combined(a, b, chart) if atomic else ClassicalConvolution(a, b, chart)))
    return _mixed(found)


def _components(law: Law) -> list[tuple[float, Law]]:
    """Its atoms as one law, and laws without atoms, with their weights."""
    if isinstance(law, Mixture):
        parts = zip(law.weights.tolist(), law.laws, strict=True)
        return [(weight * share, part) for weight, inner in parts for share, part in _components(inner)]
    if isinstance(law, AtomicLaw) or not law.atoms:
        return [(1.0, law)]
    positions, masses = np.array(law.atoms).T
    held = float(masses.sum())
    atoms = (held, simplify(Atoms(positions, masses / held)))
    return [atoms] if held > _WHOLE else [atoms, (1 - held, continuous_part(law))]


def _mixed(parts: Sequence[tuple[float, Law]]) -> Law:
    """The mixture, with all atomic components as one."""
    atomic = [(weight, law) for weight, law in parts if isinstance(law, AtomicLaw)]
    rest = [(weight, law) for weight, law in parts if not isinstance(law, AtomicLaw)]
    if atomic:
        held = sum(weight for weight, _ in atomic)
        positions = np.concatenate([law.positions for _, law in atomic])
        masses = np.concatenate([weight * law.masses for weight, law in atomic])
        rest.append((held, simplify(Atoms(positions, masses / held))))
    weights, laws = zip(*rest, strict=True)
    return laws[0] if len(laws) == 1 else Mixture(laws, weights)
