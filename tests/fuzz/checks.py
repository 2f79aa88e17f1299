"""What is asked of a law: its distribution function beside a matrix, and that it agrees with itself and with exact moments.

Each check returns what is wrong in words, "" if nothing is. Comparisons are written so that a NaN is wrong.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import freeness as fr
from freeness.laws.parts import singular_points

_LEVELS = np.linspace(0.01, 0.99, 41)
_NEAR = 0.02  # places are known to so much of the distance over which a tenth of the mass lies: to 0.2 % of the mass
_ROUNDING = 1e-9  # of the largest eigenvalue
_CANCELLED = 1e-12  # rounding of matrices about 1 in size, whose sum may be 0
_MOMENT = 1e-7  # relative, as are those of six moments from their recursions
_NODES = (24, 96, 768)  # of a piece of the support; more where these are not enough
_STEPS = (3e-3, 3e-5)  # of differences, beside the distance to what is singular; shorter where something else is
_MATRIX = (
    5.0  # times the bound of distribution functions: π of G at a height of 1, log 3 of the potential, and displacements
)
_SOLVED = 1e-7  # to which R and S lead back to a point outside
_LAST = 1e-13  # of u far outside
_CDF = 1e-8  # to which distribution functions are known
_INTEGRAL = 1e-3  # relative: densities with corners inside a band are integrated no better
_MASS = 1e-6
_DISTANCES = 10.0 ** -np.arange(1.0, 16.5, 0.5)  # from what is singular, in units of the hull
_PLACED = 1e-9  # to which that is known
_FALL = 1e-8  # of a distribution function: rounding
_ROUNDED = 1e-12  # of the largest end: so far may ends behind shifts be off, by which a hard edge there gains mass
_NEARBY, _POWER = 1e-2, 0.2  # from where on a density may be a power of the distance, and how nearly
_BESIDE = 1e-7  # of a mass beside something singular


def distribution(law: fr.Law, eigenvalues: np.ndarray, bound: float) -> str:
    """Lévy's distance of both distribution functions, nearly: each at points that are displaced a little to either side."""
    x = np.quantile(eigenvalues, _LEVELS)
    around = (np.quantile(eigenvalues, np.clip(_LEVELS + step, 0.0, 1.0)) for step in (0.05, -0.05))
    reach = _NEAR * np.subtract(*around) + _ROUNDING * float(np.max(np.abs(eigenvalues))) + _CANCELLED
    left, right = (np.searchsorted(eigenvalues, at, side="right") / eigenvalues.size for at in (x - reach, x + reach))
    below, above = np.split(law.cdf(np.concatenate([x - reach, x + reach])), 2)
    gap = float(max(np.max(left - above), np.max(below - right)))
    return "" if gap <= bound else f"distribution functions differ by {gap:.3g}, allowed {bound:.3g}"


def exact_moments(law: fr.Law, moments: np.ndarray) -> str:
    """Those that the law states, beside those of the recursions; relative, but for odd ones that cancel."""
    if moments.size == 0:
        return ""
    found = law.moments(moments.size)
    sizes = np.maximum(np.abs(moments), 1e-2 * _spread(moments) ** np.arange(1, moments.size + 1))
    off = float(np.max(np.abs(found - moments) / sizes))
    return "" if off <= _MOMENT else f"moments {found} instead of {moments}"


def _spread(moments: np.ndarray) -> float:
    """√m_2, by which moments are measured that may cancel; |m_1| where no other is known."""
    return float(np.sqrt(moments[1]) if moments.size > 1 else abs(moments[0])) or 1.0


def density(law: fr.Law, moments: np.ndarray, smooth: bool) -> str:
    """It is the slope of the distribution function; where that is asked for, its integrals are masses and moments.

    (Where they change with the nodes to the last, something else is singular, and they say nothing.)
    """
    wrong = _slope(law)
    if wrong or not smooth:
        return wrong
    orders = np.arange(1, 3)
    known = moments[:2] if moments.size > 1 else law.moments(2)
    pieces, allowed = _pieces(law), _INTEGRAL + law.bands_error
    ends = law.cdf(np.array(pieces).ravel()).reshape(-1, 2)
    gained = ends[:, 1] - ends[:, 0] - [_atom(law, high) for _, high in pieces]
    of_atoms = sum(mass * position**orders for position, mass in law.atoms)
    units = _spread(known) ** orders
    expected = np.append(gained, (known - of_atoms) / units)
    found = np.full(expected.shape, np.nan)
    settled = False
    for nodes in _NODES:
        before, found = found, _integrals(law, pieces, nodes)
        found[-2:] /= units
        if np.all(np.abs(found - expected) <= allowed):
            return ""
        settled = bool(np.all(np.abs(found - before) <= allowed / 2))
    return f"the density has masses and moments {found} instead of {expected} on {pieces}" if settled else ""


def _slope(law: fr.Law) -> str:
    """Central differences at five quantiles, in steps that are short beside the distance to an end, an atom or 0."""
    ends = [end for pair in [*law.bands, *((at, at) for at, _ in law.atoms)] for end in pair]
    special = np.array([0.0, *ends, *singular_points(law)])
    x = law.quantile(np.array([0.04, 0.23, 0.47, 0.71, 0.96]))
    away = np.minimum(np.min(np.abs(x[:, None] - special), axis=1), np.max(np.abs(x)))
    inside = away > 1e-6 * np.max(np.abs(x))
    x, away = x[inside], away[inside]
    wrong = ""
    for share in _STEPS if x.size else ():
        wrong = _differences(law, x, share * away)
        if not wrong:
            break
    return wrong


def _differences(law: fr.Law, x: np.ndarray, step: np.ndarray) -> str:
    below, above = np.split(law.cdf(np.concatenate([x - step, x + step])), 2)
    found, slope = law.density(x), (above - below) / (2 * step)
    right = np.abs(found - slope) <= _INTEGRAL * np.abs(slope) + _CDF / step
    return "" if np.all(right) else f"densities {found} at {x} where the distribution function has slopes {slope}"


def rising(law: fr.Law) -> str:
    """It rises from 0 to 1 through points ever nearer to ends and atoms, by the mass of a density that is nowhere negative.

    (Points that are refused say nothing.)
    """
    low, high = law.hull
    if not np.isfinite([low, high]).all():
        return ""
    special = np.unique([0.0, low, high, *(end for band in law.bands for end in band), *(at for at, _ in law.atoms)])
    law = law.remembering()
    away = (high - low or 1.0) * _DISTANCES * np.array([[-1.0], [1.0]])
    near = special[:, None, None] + away
    x, place = np.unique(np.append(near, special), return_inverse=True)
    value, density = law.cdf(x, throw=False), law.density(x, throw=False)
    known, reached = x[np.isfinite(value)], value[np.isfinite(value)]
    fall = np.maximum.accumulate(reached) - reached - _within(known, reached, _ROUNDED * np.max(np.abs(special)))
    if np.any(fall > _FALL):
        return f"a distribution function that falls by {fall.max():.3g} before {known[np.argmax(fall)]!r}"
    if np.any((reached < 0) | (reached > 1)) or np.any(density < 0):
        return f"distribution functions from {reached.min()} to {reached.max()}, densities from {np.nanmin(density)}"
    if law.bands_error > _BESIDE:  # solved for at points, between which densities are less exact
        return ""
    value, density = (part[place[: near.size]].reshape(near.shape) for part in (value, density))
    apart = np.diff(special, prepend=-np.inf, append=np.inf)
    alone = np.abs(away) <= np.minimum(np.stack([apart[:-1], apart[1:]], axis=1)[..., None] / 2, _NEARBY * (high - low))
    told = alone & (np.abs(away) >= _PLACED * np.max(np.abs(special)))
    return _masses(near, value, np.abs(away) * density, told)


def _within(x: np.ndarray, reached: np.ndarray, distance: float) -> np.ndarray:
    """What a distribution function gains from so far before each of the ascending points to so far behind it."""
    highest = np.maximum.accumulate(reached)
    before, behind = np.searchsorted(x, x - distance), np.searchsorted(x, x + distance, side="right")
    return np.maximum(reached[np.minimum(behind, x.size - 1)] - highest[np.maximum(before - 1, 0)], 0.0)


def _masses(x: np.ndarray, value: np.ndarray, by_decade: np.ndarray, told: np.ndarray) -> str:
    """Masses over decades of distances, where the density follows a power law by its values at both ends and between."""
    outer, middle, inner = (by_decade[..., k : by_decade.shape[-1] - 2 + k : 2] for k in range(3))
    gained = np.abs(value[..., :-2:2] - value[..., 2::2])
    with np.errstate(all="ignore"):
        ratio = np.log(outer / inner)
        mass = np.where(outer * inner > 0, np.log(10) * (outer - inner) / ratio, 0.0)
        power = np.abs(middle - np.sqrt(outer * inner)) <= _POWER * middle
        power &= (outer > 0) == (inner > 0)  # else a band ends between them, in a gap too narrow for bands
    wrong = power & told[..., :-2:2] & told[..., 2::2] & (np.abs(gained - mass) > _POWER * mass + _BESIDE)
    if not np.any(wrong):
        return ""
    i = tuple(np.argwhere(wrong)[0])
    return (
        f"a mass {gained[i]:.6g} between {x[..., :-2:2][i]!r} and {x[..., 2::2][i]!r} where densities say {mass[i]:.6g}"
    )


def _integrals(law: fr.Law, pieces: list[tuple[float, float]], nodes: int) -> np.ndarray:
    """Mass of each piece, then both moments of all; by x = middle - half·cos θ, which makes roots at the ends smooth."""
    angle = (np.arange(nodes) + 0.5) * np.pi / nodes
    middle, half = (np.array([(high + sign * low) / 2 for low, high in pieces])[:, None] for sign in (1, -1))
    x = middle - half * np.cos(angle)
    weights = law.density(x.ravel()).reshape(x.shape) * half * np.sin(angle) * np.pi / nodes
    return np.array([*weights.sum(axis=1), np.sum(weights * x), np.sum(weights * x**2)])


def _pieces(law: fr.Law) -> list[tuple[float, float]]:
    """Bands, cut at the atoms inside, at 0, and where a law says that its density is not analytic."""
    found = []
    special = {0.0, *(place for place, _ in law.atoms), *singular_points(law)}
    for low, high in law.bands:
        cuts = [low, *sorted(at for at in special if low < at < high), high]
        found += list(pairwise(cuts))
    return found


def _atom(law: fr.Law, position: float) -> float:
    return sum(mass for at, mass in law.atoms if at == position)


def support(law: fr.Law) -> str:
    """Bands and atoms hold all mass, and lie in the hull."""
    low, high = law.hull
    atoms = sum(mass for _, mass in law.atoms)
    near = _ROUNDING * max(abs(low), abs(high))
    if not all(a >= low - near and b <= high + near for a, b in law.support):
        return f"support {law.support} outside the hull {law.hull}"
    held = atoms
    for a, b in law.bands:
        inside = sum(mass for position, mass in law.atoms if a < position <= b)
        held += _reached(law, b, 1.0) - _reached(law, a, 0.0) - inside
    return "" if abs(held - 1) <= _MASS + law.bands_error else f"bands and atoms hold {held:.9g}: {law.bands}"


def transforms(law: fr.Law, eigenvalues: np.ndarray, moments: np.ndarray, bound: float) -> str:
    """G and log_potential beside those of the matrix, and by series in exact moments far outside; R and S solve for such points.

    Distribution functions that differ by ε move ∫ f dμ by ε times what f varies in all, 1/(z - x) by π/Im z.
    """
    low, high = law.hull
    if not np.isfinite([low, high]).all():
        return ""
    width, reach = high - low or 1.0, max(abs(low), abs(high)) or 1.0
    z = low + width * np.array([0.2 + 0.4j, 0.5 - 0.7j, 0.9 + 0.4j])
    off = np.abs(law.cauchy(z) - np.mean(1 / (z[:, None] - eigenvalues), axis=1)) * np.abs(z.imag)
    if not np.all(off <= _MATRIX * bound):
        return f"G is {law.cauchy(z)} at {z}, off by {off} of the matrix"
    x = np.array([low - 0.5 * width, high + 0.5 * width])
    potential, seen = law.log_potential(x), np.mean(np.log(np.abs(x[:, None] - eigenvalues)), axis=1)
    if not np.all(np.abs(potential - seen) <= _MATRIX * bound):
        return f"log_potential {potential} at {x}, {seen} of the matrix"
    return _inverted_outside(law, x) or (_far_series(law, moments, reach) if moments.size else "")


def _inverted_outside(law: fr.Law, x: np.ndarray) -> str:
    """R(G(x)) + 1/G(x) = x, and (1 + u)/(uS(u)) = x of u = xG(x) - 1, at points outside."""
    g = np.real(law.cauchy(x))
    found = law.r_transform(g) + 1 / g
    if not np.all(np.abs(found - x) <= _SOLVED * np.abs(x).max()):
        return f"R leads to {found} in place of {x}"
    u = x * g - 1
    if law.hull[0] < 0 or not np.all(u):
        return ""
    found = (1 + u) / (u * law.s_transform(u))
    return "" if np.all(np.abs(found - x) <= _SOLVED * np.abs(x).max()) else f"S leads to {found} in place of {x}"


def _far_series(law: fr.Law, moments: np.ndarray, reach: float) -> str:
    """At z = 30 to 60 radii G = Σ m_k z^{-k-1}, U = log z - Σ m_k z^{-k}/k; R and S solve ψ(w) = Σ m_k w^k = u at w = 1/z."""
    orders = np.arange(1, moments.size + 1)
    scaled = moments / reach**orders
    away = np.array([30.0, -40.0, 60.0])
    terms, rest = scaled / away[:, None] ** orders, 2 * np.abs(1.0 / away) ** (moments.size + 1) + _LAST
    z, u = reach * away, terms.sum(axis=1)
    if not np.all(np.abs(law.cauchy(z) * z - 1 - u) <= rest):
        return f"G far outside {law.cauchy(z)} at {z}, not {(1 + u) / z} by moments"
    if not np.all(np.abs(law.log_potential(z) - np.log(np.abs(z)) + terms @ (1 / orders)) <= rest):
        return f"log_potential far outside {law.log_potential(z)} at {z}"
    if not np.all(np.abs(law.r_transform((1 + u) / z) * (1 + u) / z - u) <= 4 * rest):
        return f"R far outside {law.r_transform((1 + u) / z)}, not {u * z / (1 + u)}"
    if law.hull[0] < 0 or not np.all(u):
        return ""
    return "" if np.all(np.abs(law.s_transform(u) * u * z / (1 + u) - 1) <= 4 * rest / np.abs(u)) else "S far outside"


def _reached(law: fr.Law, end: float, limit: float) -> float:
    return float(law.cdf(end)) if np.isfinite(end) else limit


def quantiles(law: fr.Law) -> str:
    """They are where the distribution function says: it reaches the level there, and not before."""
    levels = np.array([0.1, 0.5, 0.9])
    places = law.quantile(levels)
    low, high = law.hull if np.isfinite(law.hull).all() else (places[0], places[-1])
    near = 1e-7 * (high - low) + _ROUNDING * max(abs(low), abs(high)) or 1e-9
    reached, before = law.cdf(places + near), law.cdf(places - near)
    right = np.all(reached >= levels - _MASS) and np.all(before <= levels + _MASS)
    return "" if right else f"quantiles {places} reach {reached}, and {before} before"
