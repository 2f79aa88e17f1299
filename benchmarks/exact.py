"""The laws of section A with their exact densities and distribution functions: none of it uses freeness.

Theory: docs/theory.md, exact laws. Every job asks at the midpoints of 1000 cells of an interval that holds the support.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
POINTS = 1000
ATOMS = np.sort(np.random.default_rng(20).normal(0, 2, 20)).round(2)  # generic, and short rationals for rmtool
EDGE = float(np.sqrt((11 + 5 * 5**0.5) / 2))


@dataclass(frozen=True)
class Exact:
    """A law: density and distribution function of its continuous part, an interval that holds the support, one atom or none.

    Args:
        density: ρ(x), for x within the ends.
        cumulative: the mass of the continuous part below x, for x within the ends.
        ends: of the interval.
        atom: position and mass.
    """

    density: Callable[[Array], Array]
    cumulative: Callable[[Array], Array]
    ends: tuple[float, float]
    atom: tuple[float, float] = (0.0, 0.0)

    def grid(self) -> Array:
        """Midpoints of the cells (1000,)."""
        low, high = self.ends
        return low + (high - low) * (np.arange(POINTS) + 0.5) / POINTS

    def distribution(self, x: Array, *, left: bool = False) -> Array:
        """F(x), or F(x-); what lies within 1e-9 of the atom counts as lying on it."""
        position, mass = self.atom
        jump = mass * ((x > position + 1e-9) if left else (x >= position - 1e-9))
        return self.cumulative(np.clip(x, *self.ends)) + jump


def anticommutator(x: Array) -> Array:
    """G of XY + YX at x from above the axis: the root of xG³ + G² - xG + 1 in the lower half-plane, or the small real one."""
    found = []
    for v in x:
        roots = np.roots([v, 1.0, -v, 1.0])
        below = min(roots, key=np.imag)
        found.append(below if below.imag < 0 else min(roots, key=abs))
    g = np.array(found)
    with np.errstate(all="ignore"):
        for _ in range(3):
            step = (x * g**3 + g**2 - x * g + 1) / (3 * x * g**2 + 2 * g - x)
            g = np.where(np.abs(step) < 1e-6, g - step, g)
    return g


def potential(g: Array) -> Array:
    """1 - Im ∫G dz/π from zG - ∫z dG, with z = 2G/(1 - G²) + 1/G."""
    z = 2 * g / (1 - g**2) + 1 / g
    return 1 - (z * g + np.log(1 - g**2) - np.log(g)).imag / np.pi


def fuss_catalan(s: int) -> Exact:
    """MP(1)^{⊠s} by the angle ψ = π/(s+1) - φ, where x = sin^{s+1}((s+1)φ) / (sin φ sin^s(sφ)) rises with ψ."""
    nodes, weights = np.polynomial.legendre.leggauss(80)

    def parts(psi: Array) -> tuple[Array, Array, Array]:
        phi = np.pi / (s + 1) - psi
        return np.sin(phi), np.sin(s * phi), np.sin((s + 1) * psi)  # the last is sin((s+1)φ) with all its digits near 0

    def angle(x: Array) -> Array:
        low, high = np.zeros(x.shape), np.full(x.shape, np.pi / (s + 1))
        with np.errstate(all="ignore"):
            for _ in range(80):
                psi = (low + high) / 2
                one, many, both = parts(psi)
                short = (s + 1) * np.log(both) - np.log(one) - s * np.log(many) < np.log(x)
                low, high = np.where(short, psi, low), np.where(short, high, psi)
        return (low + high) / 2

    def density(x: Array) -> Array:
        one, many, both = parts(angle(x))
        return one**2 * many ** (s - 1) / (np.pi * both**s)

    def cumulative(x: Array) -> Array:
        # ρ dx = ρx d(log x), and ρx = sin φ sin((s+1)φ) / (π sin(sφ)): smooth in ψ, whatever ρ does at 0.
        end = angle(x)[:, None]
        psi = end * (1 + nodes) / 2
        one, many, both = parts(psi)
        phi = np.pi / (s + 1) - psi
        slope = (s + 1) ** 2 / np.tan((s + 1) * psi) + 1 / np.tan(phi) + s**2 / np.tan(s * phi)
        return (one * both / many * slope) @ weights * end[:, 0] / (2 * np.pi)

    return Exact(density, cumulative, (0.0, (s + 1.0) ** (s + 1) / float(s) ** s))


def pastur(atoms: Array, reach: float) -> Exact:
    """semicircle(1) ⊞ equal atoms; ``reach`` is how far beyond the atoms one looks.

    G(z) = G_ν(w) with w = z - G: w is the eigenvalue in the upper half-plane of a complex symmetric arrow matrix, and
    ∫G dz = mean log(w - a) + G²/2.
    """

    def subordinated(x: Array) -> Array:
        arrow = np.tile(np.diag(np.concatenate([[0.0], atoms])).astype(complex), (len(x), 1, 1))
        arrow[:, 0, 1:] = arrow[:, 1:, 0] = 1j / np.sqrt(len(atoms))
        arrow[:, 0, 0] = x
        values = np.linalg.eigvals(arrow)
        # Outside the support all are real but for rounding; the physical one is where dx/dw = 1 - mean (w-a)^{-2} > 0.
        growth = 1 - np.mean((values[:, :, None] - atoms) ** -2.0, axis=2).real
        complex_one = values.imag.max(axis=1) > 1e-6
        chosen = np.where(complex_one, np.argmax(values.imag, axis=1), np.argmax(growth, axis=1))
        w = values[np.arange(len(x)), chosen]
        with np.errstate(all="ignore"):
            for _ in range(3):
                away = w[:, None] - atoms
                step = (w + np.mean(1 / away, axis=1) - x) / (1 - np.mean(away**-2.0, axis=1))
                w = np.where(np.abs(step) < 1e-6, w - step, w)
        return np.where(complex_one, w, w.real)

    def cumulative(x: Array) -> Array:
        away = subordinated(x)[:, None] - atoms + 0j
        return 1 - (np.mean(np.log(away), axis=1) + np.mean(1 / away, axis=1) ** 2 / 2).imag / np.pi

    return Exact(
        lambda x: np.maximum(subordinated(x).imag, 0) / np.pi,
        cumulative,
        (float(atoms[0]) - reach, float(atoms[-1]) + reach),
    )


LAWS = {
    "semicircle ⊞ semicircle": Exact(
        lambda x: np.sqrt(8 - x**2) / (4 * np.pi),
        lambda x: 0.5 + x * np.sqrt(np.maximum(8 - x**2, 0)) / (8 * np.pi) + np.arcsin(x / 8**0.5) / np.pi,
        (-(8**0.5), 8**0.5),
    ),
    "semicircle ⊞ ±1 (cusp)": pastur(np.array([-1.0, 1.0]), 27**0.5 / 2 - 1),
    "MP(1)^{⊠2}": fuss_catalan(2),
    "MP(1)^{⊠10}": fuss_catalan(10),
    "projections ½ ⊠ ½": Exact(
        lambda x: 1 / (2 * np.pi * np.sqrt(x * (1 - x))),
        lambda x: np.arcsin(np.sqrt(x)) / np.pi,
        (0.0, 1.0),
        (0.0, 0.5),
    ),
    "XY + YX, two semicirculars": Exact(
        lambda x: -anticommutator(x).imag / np.pi, lambda x: potential(anticommutator(x)), (-EDGE, EDGE)
    ),
    "semicircle ⊞ 20 atoms": pastur(ATOMS, 2.0),
}


def density_error(name: str) -> Callable[[Array], float]:
    """The largest error on the grid, relative where the density exceeds 1; NaN anywhere is no answer."""
    law = LAWS[name]
    exact = law.density(law.grid())

    def error(values: Array) -> float:
        return float((np.abs(np.asarray(values) - exact) / np.maximum(1, exact)).max())

    return error
