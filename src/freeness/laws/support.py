"""The support of a law: its bands, and how the density vanishes or diverges at their ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from freeness.laws.curve import Curve, CurvePoint

if TYPE_CHECKING:
    from freeness.laws.curve_law import CurveLaw
    from freeness.laws.law import Law

_SCAN = 801  # points on which bands and gaps are looked for
_DARK = 1e-7  # a density below this, in units of 1/width, counts as none
_DIP = 0.3  # a local minimum above this share of the maximum is no candidate for a cusp
_TOUCH = 1e-3  # a density below this, in units of 1/width, at a minimum narrowed to 1e-12 is a zero
_FIT = np.array([1e-5, 1e-7])  # distances from an edge, relative to the band, at which its exponent is read
_FIT_AT_ZERO = np.array([1e-12, 1e-14])  # at 0 itself distances keep their digits
_ZOOM = 33


@dataclass(frozen=True)
class Edge:
    """One end of a band: the density behaves as |x - position|^exponent on that side.

    ``side`` says which end of the band it is. ``kind``: "soft" (exponent ½, the generic case), "hard" (density unbounded),
    "cusp" (two bands that touch, exponent ⅓ generically), "other".
    """

    position: float
    side: Literal["left", "right"]
    kind: Literal["soft", "hard", "cusp", "other"]
    exponent: float


def bands_of(law: CurveLaw) -> tuple[tuple[float, float], ...]:
    """The intervals of the continuous part: a scan finds bands, gaps and cusps, Newton on dz/dt = 0 finds their ends.

    Bands or gaps narrower than about 1/800 of the support may be missed.
    """
    low, high = law.continuous_hull
    if not high > low:
        return ()
    x = _grid(law, low, high)
    density = _density(law, x)
    x, density = x[~np.isnan(density)], density[~np.isnan(density)]
    lit = density * (high - low) > _DARK
    changes = np.flatnonzero(lit[1:] != lit[:-1])
    ends = [low, *(_end(law, float(x[i]), float(x[i + 1])) for i in changes), high]
    ends = ends[0 if lit[0] else 1 : None if lit[-1] else -1]
    cusps = [cusp for i in _dips(density, lit) if (cusp := _cusp(law, float(x[i - 1]), float(x[i + 1]))) is not None]
    ends = sorted([*ends, *cusps, *cusps])
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def edges_of(law: Law) -> tuple[Edge, ...]:
    """Both ends of every band with the exponent of the density there, fitted at two small distances."""
    bands = law.bands
    touching = {low for low, _ in bands} & {high for _, high in bands}
    edges = []
    sides: tuple[Literal["left"], Literal["right"]] = ("left", "right")
    for low, high in bands:
        for position, side, inward in zip((low, high), sides, (1.0, -1.0), strict=True):
            near = _density(
                law, position + inward * (high - low) * (_FIT_AT_ZERO if position == 0 == law.lower_bound else _FIT)
            )
            with np.errstate(divide="ignore", invalid="ignore"):
                exponent = float(np.log(near[0] / near[1]) / np.log(100.0))
            edges.append(Edge(position, side, _kind(exponent, position in touching), round(exponent, 4)))
    return tuple(edges)


def _kind(exponent: float, touching: bool) -> Literal["soft", "hard", "cusp", "other"]:
    if touching:
        return "cusp"
    return "soft" if abs(exponent - 0.5) < 0.02 else "hard" if exponent < -0.02 else "other"


def _density(law: Law, x: np.ndarray) -> np.ndarray:
    boundary = law.boundary(x)
    return np.where(boundary.converged, np.maximum(-boundary.g.imag / np.pi, 0.0), np.nan)


def _dips(density: np.ndarray, lit: np.ndarray) -> np.ndarray:
    """Indices of deep local minima inside bands, where two bands may touch."""
    inner = (density[1:-1] < density[:-2]) & (density[1:-1] <= density[2:]) & lit[:-2] & lit[1:-1] & lit[2:]
    return np.flatnonzero(inner & (density[1:-1] < _DIP * density.max())) + 1


def _cusp(law: CurveLaw, left: float, right: float) -> float | None:
    """The zero of the density between two points, if the minimum there is one."""
    density = np.empty(0)
    for _ in range(12):
        x = np.linspace(left, right, _ZOOM)
        density = _density(law, x)
        i = int(np.clip(np.nanargmin(density), 1, _ZOOM - 2))
        left, right = float(x[i - 1]), float(x[i + 1])
    scale = law.hull[1] - law.hull[0]
    if np.nanmin(density) * scale > _TOUCH:
        return None
    middle = (left + right) / 2
    return 0.0 if law.symmetric and abs(middle) < 1e-9 * scale else float(middle)


def _grid(law: CurveLaw, low: float, high: float) -> np.ndarray:
    """Points clustered at the ends of the hull, and logarithmically at 0 where a positive law may crowd."""
    middle, half = (low + high) / 2, (high - low) / 2
    x = middle - half * np.cos(np.pi * (np.arange(_SCAN) + 0.5) / _SCAN)
    if low >= 0:
        x = np.concatenate([x, low + (high - low) * np.geomspace(1e-9, 0.1, _SCAN // 4)])
    atoms = np.array([position for position, _ in law.atoms])
    keep = (
        np.ones(x.shape, dtype=bool)
        if atoms.size == 0
        else np.abs(x[:, None] - atoms).min(axis=1) > 1e-9 * (high - low)
    )
    return np.unique(x[keep])


def _end(law: CurveLaw, left: float, right: float) -> float:
    """The end of a band between a lit and a dark point: narrowed by sections, then polished on the curve."""
    scale = law.hull[1] - law.hull[0]
    first = bool(_density(law, np.array([left]))[0] * scale > _DARK)
    for _ in range(5):
        x = np.linspace(left, right, _ZOOM)
        lit = _density(law, x[1:-1]) * scale > _DARK
        same = np.concatenate([[True], lit == first, [False]])
        i = int(np.argmin(same))
        left, right = float(x[i - 1]), float(x[i])
    return law.polished_edge(*((left, right) if first else (right, left)))


def polish_edge(curve: Curve, bright: np.ndarray, dark: np.ndarray) -> float | None:
    """The critical value of z on the real parameter line near the solutions at a lit and a dark point (size, 1).

    dz/dt vanishes at an edge; secant steps on the base parameter, inner unknowns following by their own Newton steps.
    """
    parameters = np.real(dark).astype(complex)
    step = np.real(bright[0]) - np.real(dark[0])
    previous: tuple[np.ndarray, np.ndarray] | None = None
    with np.errstate(all="ignore"):  # a secant of equal slopes gives infinity, which ends the search
        for _ in range(40):
            parameters, point = _settled(curve, parameters)
            slope = np.real(point.z.change[0])
            if previous is not None:
                step = -slope * (np.real(parameters[0]) - previous[0]) / (slope - previous[1])
            if not np.isfinite(step).all():
                return None
            previous = (np.real(parameters[0]), slope)
            if np.abs(step[0]) <= 1e-13 * np.abs(parameters[0, 0]):
                return float(np.real(point.z.value[0]))
            rates = np.stack([row[0] for row in point.updates]) if point.updates else np.empty((0, 1))
            parameters = parameters + np.concatenate([step[None], rates * step])
    return None


def _settled(curve: Curve, parameters: np.ndarray) -> tuple[np.ndarray, CurvePoint]:
    """The inner unknowns solved at a fixed base parameter."""
    point = curve.evaluate(parameters, 2)
    for _ in range(8):
        if not point.updates:
            break
        pending = np.stack([row[1] for row in point.updates])
        parameters = parameters + np.concatenate([np.zeros((1, 1)), pending])
        point = curve.evaluate(parameters, 2)
        if np.all(np.abs(pending) <= 1e-14 * np.abs(parameters[1:])):
            break
    return parameters, point
