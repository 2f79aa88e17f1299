"""A law given by any density on an interval: expanded so that its transforms are exact on and off the real axis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
import scipy
from jaxtyping import Float, Inexact
from numpy.polynomial import chebyshev, legendre
from numpy.typing import ArrayLike
from scipy.special import roots_legendre

from freeness.errors import ConvergenceError, InputError
from freeness.laws.cauchy_law import TransformLaw, outer_root
from freeness.laws.curve import Transform
from freeness.laws.image_law import merged
from freeness.laws.law import Atom, Boundary, real_points
from freeness.numerics import upper_log

_MOST = 2048  # coefficients of one piece
_TAIL = 1e-12  # largest coefficient in the last quarter, relative to the largest: converged
_KEPT = 1e-15  # smaller ones at the end are dropped
MASS_ERROR = 1e-8  # largest deviation of the given mass from 1
_FARTHEST = 1.5  # |J| from which Legendre functions are computed backwards at the latest
_GROWTH = 10.0  # largest loss of accuracy in the forward recurrence, see _forward_limit
_BLOCK = 2_000_000  # entries of one (degrees × points) block


@dataclass(frozen=True, eq=False)
class Expansion(ABC):
    """A function on [low, high] as a series in x = mid + half·cos θ, with the Cauchy transform of every term in closed form.

    ``error`` is the sum of the coefficients left out.
    """

    low: float
    high: float
    coefficients: np.ndarray
    error: float = 0.0

    @classmethod
    def nodes(cls, low: float, high: float, count: int) -> np.ndarray:
        """Where the function is sampled for ``series``: θ_j = (j + ½)π/count."""
        return (low + high) / 2 + (high - low) / 2 * np.cos(_angles(count))

    @classmethod
    @abstractmethod
    def series(cls, low: float, high: float, values: np.ndarray) -> np.ndarray:
        """Coefficients whose decay is that of the basis, from values at the nodes."""

    @classmethod
    def from_series(cls, low: float, high: float, series: np.ndarray, error: float) -> Self:
        """The expansion from the (truncated) coefficients of ``series``."""
        return cls(low, high, series, error)

    @property
    def mass(self) -> float:
        """∫ f dx, which the first coefficient is."""
        return float(self.coefficients[0])

    @abstractmethod
    def times(self, centre: float) -> Self:
        """The expansion of (x - centre)·f(x)."""

    @cached_property
    def by_x(self) -> Self:
        """The expansion of x·f(x)."""
        return self.times(0.0)

    @abstractmethod
    def cauchy(self, z: np.ndarray) -> Transform:
        """∫ f(x)/(z - x) dx and its derivative."""

    @abstractmethod
    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """∫ f(x) log(z - x) dx."""

    @abstractmethod
    def density(self, x: np.ndarray) -> Float[np.ndarray, "*points"]:
        """f at x in [low, high]."""

    @property
    def half(self) -> float:
        """Half the length."""
        return (self.high - self.low) / 2

    def reduced(self, z: np.ndarray) -> np.ndarray:
        """(z - mid)/half."""
        return (z - (self.low + self.high) / 2) / self.half

    def _middle(self, centre: float) -> float:
        return (self.low + self.high) / 2 - centre


@dataclass(frozen=True, eq=False)
class HardEdges(Expansion):
    """half·f = Σ a_k T_k/(π sin θ); ∫ T_k(t)/(π√(1-t²)(ζ-t)) dt = v^k/√(ζ²-1), v = ζ - √(ζ²-1)."""

    @classmethod
    def series(cls, low: float, high: float, values: np.ndarray) -> np.ndarray:
        """Cosine series of f sin θ."""
        return _cosine_series(np.pi * (high - low) / 2 * values * np.sin(_angles(values.size)))

    def times(self, centre: float) -> Self:
        product = chebyshev.chebmul(self.coefficients, [self._middle(centre), self.half])
        return replace(self, coefficients=product)

    def cauchy(self, z: np.ndarray) -> Transform:
        zeta = self.reduced(z)
        root = outer_root(zeta, -1.0, 1.0)
        v = 1 / (zeta + root)
        value, slope = _horner(self.coefficients, v)
        return value / (root * self.half), -(slope * v + value * zeta / root) / (root * self.half) ** 2

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """log(J/2) for T_0 and -v^k/k for T_k."""
        zeta = self.reduced(z)
        outside = zeta + outer_root(zeta, -1.0, 1.0)
        orders = np.arange(1, len(self.coefficients))
        tail = _horner(np.concatenate([[0.0], self.coefficients[1:] / orders]), 1 / outside)[0]
        return self.mass * (np.log(self.half / 2) + upper_log(outside)) - tail

    def density(self, x: np.ndarray) -> Float[np.ndarray, "*points"]:
        sine = np.sqrt((x - self.low) * (self.high - x))  # times half
        with np.errstate(divide="ignore", invalid="ignore"):
            return chebyshev.chebval(np.clip(self.reduced(x), -1, 1), self.coefficients) / (np.pi * sine)


@dataclass(frozen=True, eq=False)
class SoftEdges(Expansion):
    """half·f = (2/π) Σ b_k sin((k+1)θ); ∫ (2/π)√(1-t²)U_k(t)/(ζ-t) dt = 2v^{k+1}."""

    @classmethod
    def series(cls, low: float, high: float, values: np.ndarray) -> np.ndarray:
        """Sine series of f."""
        found = np.asarray(scipy.fft.dst(np.pi / 4 * (high - low) * values, type=2)) / values.size
        return found * np.where(np.arange(values.size) == values.size - 1, 0.5, 1.0)

    def times(self, centre: float) -> Self:
        """2t·U_k = U_{k+1} + U_{k-1}."""
        b = np.concatenate([self.coefficients, [0.0, 0.0]])
        shifted = (np.concatenate([[0.0], b[:-1]]) + np.concatenate([b[1:], [0.0]])) / 2
        return replace(self, coefficients=self._middle(centre) * b[:-1] + self.half * shifted[:-1])

    def cauchy(self, z: np.ndarray) -> Transform:
        zeta = self.reduced(z)
        root = outer_root(zeta, -1.0, 1.0)
        v = 1 / (zeta + root)
        value, slope = _horner(np.concatenate([[0.0], self.coefficients]), v)
        return 2 * value / self.half, -2 * slope * v / (root * self.half**2)

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """v²/2 - log 2v for U_0 and v^{k+2}/(k+2) - v^k/k for U_k."""
        zeta = self.reduced(z)
        outside = zeta + outer_root(zeta, -1.0, 1.0)
        b, orders = self.coefficients, np.arange(len(self.coefficients))
        powers = np.zeros(len(b) + 2)
        powers[2:] += b / (orders + 2)
        powers[1 : len(b)] -= b[1:] / orders[1:]
        return self.mass * (np.log(self.half / 2) + upper_log(outside)) + _horner(powers, 1 / outside)[0]

    def density(self, x: np.ndarray) -> Float[np.ndarray, "*points"]:
        sine = np.sqrt((x - self.low) * (self.high - x)) / self.half
        # U_k = T'_{k+1}/(k+1)
        first = np.concatenate([[0.0], self.coefficients / np.arange(1, len(self.coefficients) + 1)])
        return 2 / (np.pi * self.half) * sine * chebyshev.chebval(self.reduced(x), chebyshev.chebder(first))


@dataclass(frozen=True, eq=False)
class Bounded(Expansion):
    """half·f = Σ c_k P_k; ∫ P_k(t)/(ζ-t) dt = 2Q_k(ζ)."""

    @classmethod
    def series(cls, low: float, high: float, values: np.ndarray) -> np.ndarray:
        """Chebyshev series of f, which decays as its Legendre series does."""
        return _cosine_series((high - low) / 2 * values)

    @classmethod
    def from_series(cls, low: float, high: float, series: np.ndarray, error: float) -> Self:
        """Legendre coefficients by Gauss quadrature, exact for polynomials."""
        nodes, weights = roots_legendre(len(series))
        orders = np.arange(len(series))
        values = weights * chebyshev.chebval(nodes, series)
        return cls(low, high, (orders + 0.5) * (values @ legendre.legvander(nodes, len(series) - 1)), error)

    @property
    def mass(self) -> float:
        return 2 * float(self.coefficients[0])

    def times(self, centre: float) -> Self:
        """(2k+1)t·P_k = (k+1)P_{k+1} + kP_{k-1}."""
        c = self.coefficients
        return replace(self, coefficients=legendre.legadd(self._middle(centre) * c, self.half * legendre.legmulx(c)))

    def cauchy(self, z: np.ndarray) -> Transform:
        zeta, c = self.reduced(z), self.coefficients
        graded = c * np.arange(len(c))
        value, slope = np.empty_like(zeta), np.empty_like(zeta)
        for block, q in self._functions(zeta, len(c)):
            t = zeta[block]
            value[block] = c @ q
            slope[block] = (t * (graded @ q) - graded[1:] @ q[:-1] - c[0]) / ((t - 1) * (t + 1))
        return 2 * value / self.half, 2 * slope / self.half**2

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """∫ Q_k = (Q_{k+1} - Q_{k-1})/(2k+1), and Q_1 + log√(ζ²-1) for Q_0."""
        zeta, c = self._off_ends(self.reduced(z)), self.coefficients
        share = 2 * c / (2 * np.arange(len(c)) + 1)
        weights = np.concatenate([[0.0], share])
        weights[: len(c) - 1] -= share[1:]
        total = self.mass * np.log(self.half) + c[0] * (upper_log(zeta + 1) + upper_log(zeta - 1))
        for block, q in self._functions(zeta, len(weights)):
            total[block] += weights @ q
        return total

    def density(self, x: np.ndarray) -> Float[np.ndarray, "*points"]:
        return legendre.legval(self.reduced(x), self.coefficients) / self.half

    @staticmethod
    def _off_ends(zeta: np.ndarray) -> np.ndarray:
        """The potential is continuous at the ends, but written as a difference of infinities there."""
        zeta = np.where(np.abs(zeta - 1) < 1e-15, zeta - 1e-15, zeta)
        return np.where(np.abs(zeta + 1) < 1e-15, zeta + 1e-15, zeta)

    def _functions(self, zeta: np.ndarray, count: int):
        width = max(1, _BLOCK // count)
        for start in range(0, zeta.size, width):
            block = slice(start, start + width)
            yield block, legendre_second_kind(zeta[block], count, self._limit)

    @cached_property
    def _limit(self) -> float:
        return _forward_limit(self.coefficients)


class OneEdge(Expansion):
    """√ or 1/√ at one end e, smooth up to the other: with x = e + sign·s², h(s) = f(x)|s| is smooth and even on [-r, r].

    ∫ f(x)/(z-x) dx = sign·C(w)/w with w² = sign·(z-e) and C(w) = ∫ h(s)/(w-s) ds, by Legendre functions.
    """

    sign: ClassVar[float]

    @classmethod
    def nodes(cls, low: float, high: float, count: int) -> np.ndarray:
        """The Chebyshev points of s > 0."""
        return cls._edge(low, high) + cls.sign * (high - low) * np.cos(_angles(count)[: count // 2]) ** 2

    @classmethod
    def series(cls, low: float, high: float, values: np.ndarray) -> np.ndarray:
        """Chebyshev series of h."""
        h = (high - low) * np.cos(_angles(2 * values.size)[: values.size]) * values
        return _cosine_series(np.concatenate([h, h[::-1]]))

    @classmethod
    def from_series(cls, low: float, high: float, series: np.ndarray, error: float) -> Self:
        return cls(low, high, Bounded.from_series(-1.0, 1.0, series, error).coefficients, error)

    @property
    def inner(self) -> Bounded:
        """h on [-r, r]."""
        radius = float(np.sqrt(self.high - self.low))
        return Bounded(-radius, radius, self.coefficients, self.error)

    @property
    def mass(self) -> float:
        return self.inner.mass

    def times(self, centre: float) -> Self:
        square = self.sign * self.inner.by_x.by_x.coefficients
        shift = self._edge(self.low, self.high) - centre
        return replace(self, coefficients=legendre.legadd(shift * self.coefficients, square))

    def cauchy(self, z: np.ndarray) -> Transform:
        w = self._root(z)
        value, slope = self.inner.cauchy(w)
        found = self.sign * value / w, (slope - value / w) / (2 * w**2)
        return found if np.iscomplexobj(z) else (np.real(found[0]), np.real(found[1]))

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """z - x = sign·(w - s)(w + s), and h is even."""
        return 2 * self.inner.potential(self._root(z)) - (1j * np.pi * self.mass if self.sign < 0 else 0.0)

    def density(self, x: np.ndarray) -> Float[np.ndarray, "*points"]:
        s = np.sqrt(self.sign * (x - self._edge(self.low, self.high)))
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.inner.density(s) / s

    @classmethod
    def _edge(cls, low: float, high: float) -> float:
        return low if cls.sign > 0 else high

    def _root(self, z: np.ndarray) -> np.ndarray:
        """w of the sign that is in the closed upper half-plane for z there."""
        root = np.sqrt((z - self._edge(self.low, self.high)).astype(complex))
        return root if self.sign > 0 else 1j * root


@dataclass(frozen=True, eq=False)
class LeftEdge(OneEdge):
    """√ or 1/√ at the left end only."""

    sign = 1.0


@dataclass(frozen=True, eq=False)
class RightEdge(OneEdge):
    """√ or 1/√ at the right end only."""

    sign = -1.0


def legendre_second_kind(zeta: np.ndarray, count: int, limit: float = 1.0 + 1e-3) -> np.ndarray:
    """Q_0, …, Q_{count-1} at ζ off (-1, 1) or on its upper side, shape (count, n).

    Forward recurrence for |J| ≤ limit, J = ζ + √(ζ²-1), and beyond it ratios by backward recurrence (Miller, Gautschi).

    Source: Gautschi, Computational aspects of three-term recurrence relations (1967).

    Example:
        >>> legendre_second_kind(np.array([3.0]), 2)[:, 0].round(6)
        array([0.346574, 0.039721])
    """
    size = np.abs(zeta + outer_root(zeta, -1.0, 1.0))
    found = np.empty((count, zeta.size), dtype=zeta.dtype)
    far = size > limit
    if not far.all():
        found[:, ~far] = _forward(zeta[~far], count)
    if far.any():
        found[:, far] = _backward(zeta[far], count, float(size[far].min()))
    return found


def _forward(zeta: np.ndarray, count: int) -> np.ndarray:
    q = np.empty((max(count, 2), zeta.size), dtype=zeta.dtype)
    if np.iscomplexobj(zeta):
        q[0] = (np.log(zeta + 1) - np.log(zeta - 1)) / 2
    else:
        q[0] = np.arctanh(1 / zeta)
    q[1] = zeta * q[0] - 1
    for k in range(1, count - 1):
        q[k + 1] = ((2 * k + 1) * zeta * q[k] - k * q[k - 1]) / (k + 1)
    return q[:count]


def _backward(zeta: np.ndarray, count: int, nearest: float) -> np.ndarray:
    """From so high an order that a ratio of 0 there is forgotten: errors shrink by |J|² ≥ nearest² a step."""
    q = np.empty((count, zeta.size), dtype=zeta.dtype)
    ratio = 1 / (zeta + outer_root(zeta, -1.0, 1.0))
    start = count + int(np.ceil(18.5 / np.log(nearest))) if count > 1 else 0  # Q_0 is closed
    for k in range(start, 0, -1):
        ratio = k / ((2 * k + 1) * zeta - (k + 1) * ratio)
        if k < count:
            q[k] = ratio
    q[0] = np.arctanh(1 / zeta)
    return np.cumprod(q, axis=0)


def _forward_limit(coefficients: np.ndarray) -> float:
    """Largest |J| for the forward recurrence: its rounding error is ε·|Σ c_k P_k(ζ)| ≤ ε Σ |c_k| |J|^k."""
    size = np.abs(coefficients)
    candidates = 1 + np.geomspace(1e-5, _FARTHEST - 1, 48)
    with np.errstate(over="ignore"):
        growth = size @ np.exp(np.minimum(np.arange(size.size)[:, None] * np.log(candidates), 600.0))
    allowed = candidates[growth <= _GROWTH * size.sum()]
    return float(allowed[-1]) if allowed.size else float(candidates[0])


def _angles(count: int) -> np.ndarray:
    return (np.arange(count) + 0.5) * np.pi / count


def _cosine_series(values: np.ndarray) -> np.ndarray:
    found = np.asarray(scipy.fft.dct(values, type=2)) / values.size
    found[0] /= 2
    return found


def _horner(coefficients: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ a_k v^k and its derivative."""
    value, slope = np.zeros_like(v), np.zeros_like(v)
    for a in coefficients[::-1]:
        slope = slope * v + value
        value = value * v + a
    return value, slope


class PiecewiseDensity(TransformLaw):
    """A law without atoms as expansions one behind the other: transforms and moments are sums over them."""

    def __init__(self, hull: tuple[float, float], pieces: Sequence[Expansion]) -> None:
        mass = sum(piece.mass for piece in pieces)
        self._hull = hull
        self._pieces = tuple(replace(piece, coefficients=piece.coefficients / mass) for piece in pieces)

    @property
    def pieces(self) -> tuple[Expansion, ...]:
        """The expansions between kinks."""
        return self._pieces

    @property
    def mean(self) -> float:
        return sum(piece.by_x.mass for piece in self._pieces)

    @property
    def variance(self) -> float:
        return sum(piece.times(self.mean).times(self.mean).mass for piece in self._pieces)

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return ()

    @property
    def hull(self) -> tuple[float, float]:
        return self._hull

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """The pieces that hold mass, joined where they meet."""
        return merged([(piece.low, piece.high) for piece in self._pieces if piece.coefficients.any()])

    def boundary(self, x: Float[np.ndarray, " points"]) -> Boundary:
        exact = super().boundary(x)
        return replace(exact, error=exact.error + sum(piece.error / piece.half for piece in self._pieces))

    def transforms(self, z: Inexact[np.ndarray, "*points"]) -> tuple[Transform, Transform]:
        """Sums over the pieces."""
        g = np.sum([piece.cauchy(z) for piece in self._pieces], axis=0)
        u = np.sum([piece.by_x.cauchy(z) for piece in self._pieces], axis=0)
        return (g[0], g[1]), (u[0], u[1])

    def potential(self, z: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        """The sum over the pieces."""
        return np.sum([piece.potential(z) for piece in self._pieces], axis=0)


class Density(PiecewiseDensity):
    """The law with density ``function`` on [low, high]; nothing is integrated near the real axis.

    Each piece between kinks is expanded in the basis in which its coefficients decay fastest. T_k/√ is for two hard ends
    (1/√), U_k·√ for two soft ones (√), and Legendre P_k for what is smooth up to both. Where one end alone is hard or soft
    it is P_k in the square root of the distance from it. Transforms, potential and boundary values
    are then exact for the truncated series; what is left out is the error estimate.

    Args:
        function: the density, elementwise and vectorised; ≥ 0, of mass 1. It is not called at the ends.
        low: left end.
        high: right end.
        kinks: points where the density or a derivative jumps, or where it is like √ or 1/√.

    Example:
        >>> law = Density(lambda x: 6 * x * (1 - x), 0.0, 1.0)
        >>> round(law.variance, 12)
        0.05
    """

    def __init__(
        self,
        function: Callable[[Float[np.ndarray, "*points"]], Float[np.ndarray, "*points"]],
        low: float,
        high: float,
        kinks: Sequence[float] = (),
    ) -> None:
        if not (np.isfinite([low, high]).all() and low < high):
            raise InputError(f"expected finite ends low < high, got {low} and {high}; cut off infinite tails first.")
        inner = np.asarray(kinks, dtype=float).ravel()
        if not ((inner > low) & (inner < high)).all():
            raise InputError(f"expected kinks inside ({low:g}, {high:g}), got {inner}; leave out ends and others.")
        breaks = [float(low), *np.unique(inner).tolist(), float(high)]
        pieces = [expand(function, left, right) for left, right in pairwise(breaks)]
        mass = sum(piece.mass for piece in pieces)
        if not abs(mass - 1) <= MASS_ERROR:
            raise InputError(f"expected a density of mass 1, got {mass:.10g}; divide the function by it.")
        super().__init__((float(low), float(high)), pieces)

    def density(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        flat = points.ravel()
        value = np.zeros(flat.shape)
        for piece in self._pieces:
            here = (flat >= piece.low) & (flat <= piece.high)
            value[here] = piece.density(flat[here])
        finite = np.isfinite(value)
        checked = Boundary(value.astype(complex), value.astype(complex), np.zeros(flat.shape), finite)
        return self._checked(np.maximum(value, 0.0), checked, throw).reshape(points.shape)

    def cdf(self, x: ArrayLike, *, throw: bool = True) -> Float[np.ndarray, "*points"]:
        points = real_points(x)
        value = np.where(points <= self._hull[0], 0.0, 1.0)
        inside = (points > self._hull[0]) & (points < self._hull[1])
        value[inside] = 1 - np.imag(self.potential(points[inside].astype(complex))) / np.pi
        return np.clip(value, 0.0, 1.0)

    def __repr__(self) -> str:
        return f"Density(low={self._hull[0]:g}, high={self._hull[1]:g}, pieces={len(self._pieces)})"


def expand(function: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> Expansion:
    """The shortest converged expansion of a density on [low, high], sampled on ever finer Chebyshev points."""
    kinds: tuple[type[Expansion], ...] = (SoftEdges, HardEdges, Bounded, LeftEdge, RightEdge)
    count, tail = 32, np.inf
    while count <= _MOST:
        nodes = [kind.nodes(low, high, count) for kind in kinds]
        cuts = np.cumsum([own.size for own in nodes])[:-1]
        values = np.split(_sampled(function, np.concatenate(nodes)), cuts)
        found = [(kind, kind.series(low, high, own)) for kind, own in zip(kinds, values, strict=True)]
        tails = [_tail(series) for _, series in found]
        tail = min(tails)
        settled = [pair for pair, left in zip(found, tails, strict=True) if left <= _TAIL]
        for kind, series in sorted(settled, key=lambda pair: _length(pair[1], 1e-13)):
            kept = _length(series, _KEPT)
            expansion = kind.from_series(low, high, series[:kept], float(np.abs(series[kept:]).sum()))
            if _reproduces(expansion, function):
                return expansion
        count *= 2
    raise ConvergenceError(
        f"expected a density on [{low:g}, {high:g}] smooth inside and smooth, √ or 1/√ at its ends, "
        f"got a relative tail of {tail:.1g} after {_MOST} coefficients; pass its kinks."
    )


def _sampled(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    values = np.asarray(function(x), dtype=float)
    if values.shape != x.shape or not np.isfinite(values).all():
        raise InputError(
            f"expected an elementwise density with finite values inside its interval, got shape {values.shape} for "
            f"{x.size} points or NaN; return one finite number a point."
        )
    if values.min() < -1e-12 * np.abs(values).max():
        raise InputError(f"expected a density ≥ 0, got {values.min():g} at {x[np.argmin(values)]:g}; check its sign.")
    return values


def _tail(series: np.ndarray) -> float:
    size = np.abs(series)
    return float(size[-len(size) // 4 :].max() / max(size.max(), np.finfo(float).tiny))


def _length(series: np.ndarray, share: float) -> int:
    """Coefficients up to the last that is larger than ``share`` of the largest."""
    size = np.abs(series)
    return max(1, int(np.flatnonzero(size > share * size.max())[-1]) + 1) if size.max() > 0 else 1


def _reproduces(expansion: Expansion, function: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Whether the series equals the density at points that it was not made from (by the golden ratio)."""
    share = np.mod(np.arange(1, 102) * 0.6180339887498949, 1.0)
    x = expansion.low + (expansion.high - expansion.low) * share
    values = _sampled(function, x)
    return bool(np.abs(expansion.density(x) - values).max() <= 1e-9 * np.abs(values).max() + 1e-300)
