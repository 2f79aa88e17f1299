"""Panels of the real line, on each of which a function f is a polynomial to rounding, and where f takes a complex value."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import NamedTuple, Self

import numpy as np
from numpy.polynomial import legendre

from freeness.numerics import legendre_rule

ORDER = 16  # nodes of a panel
REACH = 3.3  # ellipse of foci ±1 of a panel beyond which a pole does not disturb its rule: 3.3^-32 is rounding
_STEPS = 12  # of Newton's method at most
_SETTLED = 1e-13  # of a panel
_FOUND = 1e-8  # a last step of a panel that is no larger leaves a root exact: Newton's steps square
_ROUNDED = 1e-15  # of z
_STEEP = 5.0  # ratio of the values of f on a panel from which its logarithm is tried
_RESOLVED = 2e-11  # last coefficients, relative, of a function that is one
_NOISE = 1e-14  # of the largest value
_TINY = np.finfo(float).tiny
_SMOOTH = 1e-10  # last coefficients of a logarithm that is one
_SAME = 1e-10  # distance of two roots, in panels, that are one found twice
_WIDE = 1.6  # half-panels from the axis within which a pole may lie in reach


def _rules() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (2 × 16) of the rules of 16 and 15 nodes, which alternate; the latter with one node of weight 0."""
    nodes, weights = legendre_rule(ORDER)
    other, masses = legendre_rule(ORDER - 1)
    return np.stack([nodes, np.append(other, other[0])]), np.stack([weights, np.append(masses, 0.0)])


NODES, WEIGHTS = _rules()


class Stretch(NamedTuple):
    """h in (low, high), on which f runs monotonically (or constantly) from start to end."""

    low: float
    high: float
    start: float
    end: float


@dataclass(frozen=True, eq=False)
class Roots:
    """Solutions of f(h) = z[point], each seen from a panel, where it is t (the panel's ends are ±1); and f', f'' there."""

    point: np.ndarray
    panel: np.ndarray
    t: np.ndarray
    h: np.ndarray
    slope: np.ndarray
    bend: np.ndarray

    def take(self, chosen: np.ndarray) -> Self:
        """Some of them."""
        return type(self)(
            self.point[chosen],
            self.panel[chosen],
            self.t[chosen],
            self.h[chosen],
            self.slope[chosen],
            self.bend[chosen],
        )

    def distinct(self, scale: np.ndarray) -> Self:
        """Without those that were found before; ``scale`` of each."""
        order = np.lexsort((np.real(self.h), self.point))
        kept = np.ones(order.size, dtype=bool)
        for lag in range(1, min(4, order.size)):
            one, other = order[lag:], order[:-lag]
            kept[lag:] &= (self.point[one] != self.point[other]) | (
                np.abs(self.h[one] - self.h[other]) > _SAME * scale[one]
            )
        return self.take(order[kept])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All of several."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class Panels:
    """f on panels between ascending ``breaks``, smooth but at ``kinks``, which are breaks as well."""

    def __init__(
        self, function: Callable[[np.ndarray], np.ndarray], breaks: np.ndarray, kinks: Sequence[float] = ()
    ) -> None:
        self.breaks = breaks
        self.middle, self.half = (breaks[1:] + breaks[:-1]) / 2, np.diff(breaks) / 2
        cuts = np.searchsorted(breaks, [k for k in kinks if breaks[0] < k < breaks[-1]])
        bounds = np.unique(np.concatenate([[0, len(self.half)], cuts]))
        piece = np.searchsorted(bounds, np.arange(len(self.half)), side="right")
        self.first, self.last = bounds[piece - 1], bounds[piece] - 1  # panels of the smooth piece that a panel is in
        self.nodes = self.middle[:, None] + self.half[:, None] * legendre_rule(ORDER)[0]
        self.values = function(self.nodes)
        self.line = np.zeros(len(self.half), dtype=int)
        self._keys = breaks.astype(complex) * 1j

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The panels of several lines, one behind the other; ``line`` says to which each panel belongs."""
        if len(parts) == 1:
            return parts[0]
        found = cls.__new__(cls)
        counts = [len(part.half) for part in parts]
        offsets = np.repeat(np.cumsum([0, *counts[:-1]]), counts)
        found.line = np.repeat(np.arange(len(parts)), counts)
        found.breaks = np.concatenate([part.breaks for part in parts])
        found._keys = np.repeat(np.arange(len(parts)), [count + 1 for count in counts]) + 1j * found.breaks
        for name in ("middle", "half", "nodes", "values", "first", "last"):
            setattr(found, name, np.concatenate([getattr(part, name) for part in parts]))
        found.first, found.last = found.first + offsets, found.last + offsets
        return found

    @cached_property
    def logarithmic(self) -> np.ndarray:
        """Panels on which f falls over so many orders of magnitude that log f is the better polynomial."""
        least, most = self.values.min(axis=1), self.values.max(axis=1)
        own, other = self._tails
        with np.errstate(all="ignore"):
            return (least > 0) & (most > _STEEP * least) & (other < np.minimum(own / least, _SMOOTH))

    @cached_property
    def _tails(self) -> tuple[np.ndarray, np.ndarray]:
        """The last coefficients of f and of log f on each panel."""
        with np.errstate(all="ignore"):
            logs = np.where(self.values > 0, np.log(self.values), 0.0)
        own, other = (np.abs(values @ _to_legendre())[:, -3:].max(axis=1) for values in (self.values, logs))
        return own, other

    @cached_property
    def rough(self) -> np.ndarray:
        """Panels on which neither f nor log f is a polynomial to rounding."""
        own, other = self._tails
        size = np.abs(self.values).max(axis=1)
        seen = own > _NOISE * size.max()  # less may be the rounding of f
        return seen & (np.where(self.logarithmic, other, own / np.maximum(size, _TINY)) > _RESOLVED)

    @cached_property
    def _powers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients of F, F' and F'' in powers of t, (3 × panels × 16)."""
        with np.errstate(all="ignore"):
            value = (
                np.where(self.logarithmic[:, None], np.log(self.values), self.values) @ _to_legendre() @ _to_powers()
            )
        first, second = np.zeros_like(value), np.zeros_like(value)
        order = np.arange(1, ORDER)
        first[:, :-1] = value[:, 1:] * order / self.half[:, None]
        second[:, :-1] = first[:, 1:] * order / self.half[:, None]
        return value, first, second

    def at(self, panel: np.ndarray, t: np.ndarray, derivatives: int) -> list[np.ndarray]:
        """F, F', … at points t of panels, real or complex: F is f, or log f on logarithmic panels."""
        powers = _powers_of(t)
        return [np.einsum("mk,mk->m", powers, table[panel]) for table in self._powers[: derivatives + 1]]

    def value_and_slope(self, panel: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """f and f'."""
        value, slope = self.at(panel, t, 1)
        some = self.logarithmic[panel]
        value[some] = np.exp(value[some])
        slope[some] *= value[some]
        return value, slope

    def slope(self, h: np.ndarray) -> np.ndarray:
        """f' at real points off the kinks."""
        panel = np.clip(np.searchsorted(self.breaks, h) - 1, 0, len(self.half) - 1)
        return self.value_and_slope(panel, (h - self.middle[panel]) / self.half[panel])[1]

    @cached_property
    def _quotients(self) -> np.ndarray:
        """Coefficients in powers of t of (F(t_j) - F(t))/(t_j - t) for the nodes of both rules, (panels × 2 × 16 × 16)."""
        powers = self._powers[0]
        found = np.zeros((len(self.half), *NODES.shape, ORDER))
        for k in range(ORDER - 2, -1, -1):
            found[..., k] = powers[:, k + 1, None, None] + NODES * found[..., k + 1]
        return found

    def gaps(self, roots: Roots, z: np.ndarray, rule: int, node: np.ndarray) -> np.ndarray:
        """z - f at a node of each root's panel, to full precision however close the root is to it."""
        quotient = np.einsum("mk,mk->m", self._quotients[roots.panel, rule, node], _powers_of(roots.t))
        step = (NODES[rule, node] - roots.t) * quotient
        return np.where(self.logarithmic[roots.panel], -z * np.expm1(step), -step)

    def panel_of(self, h: np.ndarray, near: np.ndarray) -> np.ndarray:
        """Which panel the real part of h lies in, of those in the smooth piece of the panels ``near``.

        Complex keys (line, break) are ordered by their real parts first.
        """
        line = self.line[near]
        found = np.searchsorted(self._keys, line + 1j * np.real(h)) - 1 - line
        return np.clip(found, self.first[near], self.last[near])

    def solved(self, z: np.ndarray, h: np.ndarray, panel: np.ndarray, turns: int = 0) -> tuple[Roots, np.ndarray]:
        """Newton's method for f(h) = z from starts in panels; and which arrived.

        Args:
            z: points of the closed upper half-plane.
            h: starts, overwritten.
            panel: of the starts, overwritten.
            turns: of log z around 0; of other than none, only solutions on logarithmic panels arrive.
        """
        logs = np.log(z) + 2j * np.pi * turns
        step, open_ = np.full(z.shape, np.inf), np.arange(z.size)
        rest = step.copy()
        for _ in range(_STEPS):
            near = self.panel_of(h[open_], panel[open_])
            value, slope = self.at(near, (h[open_] - self.middle[near]) / self.half[near], 1)
            change = (np.where(self.logarithmic[near], logs[open_], z[open_]) - value) / slope
            size = np.abs(change) / self.half[near]
            h[open_] += change / np.maximum(size, 1.0)
            step[open_], panel[open_], rest[open_] = size, near, np.abs(change * slope)
            open_ = open_[size > _SETTLED]
            if open_.size == 0:
                break
        panel = self.panel_of(h, panel)
        roots = self._seen(np.arange(z.size), panel, (h - self.middle[panel]) / self.half[panel], z)
        rounding = _ROUNDED * np.where(
            self.logarithmic[panel], 1.0, np.abs(z)
        )  # is all that is left beside an extremum
        return roots, ((step <= _FOUND) | (rest <= rounding)) & (self.logarithmic[panel] | (turns == 0))

    def _seen(self, point: np.ndarray, panel: np.ndarray, t: np.ndarray, z: np.ndarray) -> Roots:
        _, slope, bend = self.at(panel, t, 2)
        some = self.logarithmic[panel]
        bend = np.where(some, z * (bend + slope**2), bend)
        return Roots(point, panel, t, self.middle[panel] + self.half[panel] * t, np.where(some, z * slope, slope), bend)

    def turned(self, z: np.ndarray, roots: Roots) -> list[Roots]:
        """The roots that log z has on its other branches, so steep is f on logarithmic panels."""
        chosen = np.flatnonzero(self.logarithmic[roots.panel])
        if chosen.size == 0:
            return []
        base = roots.take(chosen)
        slope = base.slope / z[base.point]
        with np.errstate(all="ignore"):
            count = np.abs(slope) * self.half[base.panel] * _WIDE / (2 * np.pi) + 0.5
        found: list[Roots] = []
        for k in range(1, int(np.nan_to_num(count).max(initial=0.0)) + 1):
            near = np.flatnonzero(count >= k)
            part = base.take(near)
            for turns in (k, -k):
                start = part.h + 2j * np.pi * turns / slope[near]
                more, arrived = self.solved(z[part.point], start, part.panel.copy(), turns)
                found.append(replace(more, point=part.point).take(arrived))
        return found

    def all_roots(self, z: np.ndarray, panel: np.ndarray) -> Roots:
        """Every solution in reach of the panel that is given for each z, none of them logarithmic: eigenvalues of companions."""
        powers = self._powers[0][panel].astype(complex)
        powers[:, 0] -= z
        size = np.abs(powers).max(axis=1, keepdims=True)
        leading = np.where(np.abs(powers[:, -1:]) > 1e-17 * size, powers[:, -1:], 1e-17 * size)
        companion = np.zeros((z.size, ORDER - 1, ORDER - 1), dtype=complex)
        companion[:, np.arange(1, ORDER - 1), np.arange(ORDER - 2)] = 1.0
        companion[:, :, -1] = -powers[:, :-1] / leading
        t = np.linalg.eigvals(companion)
        point, which = np.nonzero(reach_of(t) < REACH)
        t, panel = t[point, which], panel[point]
        for _ in range(2):  # Newton's method takes away what the eigenvalues have lost
            value, slope = self.at(panel, t, 1)
            t = t - (value - z[point]) / (slope * self.half[panel])
        return self._seen(point, panel, t, z[point])

    def seen_around(self, roots: Roots) -> Roots:
        """The roots as seen from all panels of their smooth piece whose rules they disturb."""
        found: list[Roots] = []
        for offset in (-1, 0, 1):
            panel = roots.panel + offset
            chosen = (panel >= self.first[roots.panel]) & (panel <= self.last[roots.panel])
            part, panel = roots.take(chosen), panel[chosen]
            t = (part.h - self.middle[panel]) / self.half[panel]
            found.append(Roots(part.point, panel, t, part.h, part.slope, part.bend).take(reach_of(t) < REACH))
        return Roots.joined(found)


def reach_of(t: np.ndarray) -> np.ndarray:
    """ρ of the ellipse with foci ±1 through t."""
    root = np.sqrt(t - 1) * np.sqrt(t + 1)
    return np.maximum(np.abs(t + root), np.abs(t - root))


def _powers_of(t: np.ndarray) -> np.ndarray:
    """1, t, …, t^15, (m × 16)."""
    powers = np.empty((t.size, ORDER), dtype=t.dtype)
    powers[:, 0], powers[:, 1] = 1.0, t
    square, known = t * t, 2
    while known < ORDER:
        np.multiply(powers[:, :known], square[:, None], out=powers[:, known : 2 * known])
        square, known = square * square, 2 * known
    return powers


@cache
def _to_powers() -> np.ndarray:
    """Coefficients of Legendre polynomials times this are coefficients in powers of t."""
    powers = np.zeros((ORDER, ORDER))
    for k in range(ORDER):
        powers[k, : k + 1] = legendre.leg2poly(np.eye(ORDER)[k])
    return powers


@cache
def _to_legendre() -> np.ndarray:
    """Values at the nodes times this are coefficients of Legendre polynomials."""
    nodes, weights = legendre_rule(ORDER)
    return weights[:, None] * legendre.legvander(nodes, ORDER - 1) * (2 * np.arange(ORDER) + 1) / 2
