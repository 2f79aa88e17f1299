"""finitefree: roots of finite free convolutions of polynomials of degree 60, which approach the quantiles of the law."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from finitefree import RealRootedPolynomial, convolutions

from benchmarks import ours
from benchmarks.exact import ATOMS, LAWS, Array
from benchmarks.measure import Row, run

DEGREE = 60
BAR = 1e-6
LEVELS = (np.arange(DEGREE) + 0.5) / DEGREE


def _roots(values: Array) -> Any:
    """The polynomial with these roots, as short fractions that the package takes exactly."""
    return RealRootedPolynomial.from_roots([round(float(v), 6) for v in values])


def _inverse(cumulative: Callable[[Array], Array], low: float, high: float) -> Array:
    """Quantiles of a law by bisection."""
    below, above = np.full(DEGREE, low), np.full(DEGREE, high)
    for _ in range(60):
        middle = (below + above) / 2
        short = cumulative(middle) < LEVELS
        below, above = np.where(short, middle, below), np.where(short, above, middle)
    return (below + above) / 2


WIGNER = _inverse(lambda x: 0.5 + x * np.sqrt(4 - x**2) / (4 * np.pi) + np.arcsin(x / 2) / np.pi, -2.0, 2.0)
WISHART = _inverse(
    lambda x: (2 * np.arcsin(np.sqrt(x) / 2) + np.sqrt(x * (4 - x)) / 2) / np.pi, 0.0, 4.0
)  # of MP(1): x = y², y a quarter circle
HALF = np.repeat([0.0, 1.0], DEGREE // 2)
INPUTS: dict[str, tuple[str, Array, Array, int]] = {
    "semicircle ⊞ semicircle": ("symmetric_additive", WIGNER, WIGNER, 1),
    "semicircle ⊞ ±1 (cusp)": ("symmetric_additive", WIGNER, np.repeat([-1.0, 1.0], DEGREE // 2), 1),
    "MP(1)^{⊠2}": ("multiplicative", WISHART, WISHART, 1),
    "MP(1)^{⊠10}": ("multiplicative", WISHART, WISHART, 9),
    "projections ½ ⊠ ½": ("multiplicative", HALF, HALF, 1),
    "XY + YX, two semicirculars": ("symmetric_additive", WISHART, -WISHART, 1),
    "semicircle ⊞ 20 atoms": ("symmetric_additive", WIGNER, np.repeat(ATOMS, DEGREE // 20), 1),
}


def _theirs(name: str) -> Array:
    operation, left, right, repeats = INPUTS[name]
    found = _roots(left)
    for _ in range(repeats):
        found = getattr(convolutions, operation)(found, _roots(right), DEGREE)
    return np.sort(np.asarray(found.evaluate_roots_float64()))


def _distance(name: str) -> Callable[[Array], float]:
    """Largest distance of the levels (k-½)/60 from the step of the exact distribution function at the k-th value."""

    def error(values: Array) -> float:
        law = LAWS[name]
        over, under = LEVELS - law.distribution(values), law.distribution(values, left=True) - LEVELS
        return float(np.maximum(np.maximum(over, under), 0).max())

    return error


def _row(name: str, tolerance: float) -> Row:
    return Row(
        ours=ours.quantiles(name, DEGREE, tolerance),
        theirs=lambda: _theirs(name),
        error=_distance(name),
        measure="60 quantiles, largest error of their levels",
        bar=BAR,
        remark=f"its roots approach the law as 1/degree; degree 60; ours to {tolerance:g}",
    )


ROWS = {name: lambda name=name: _row(name, BAR) for name in INPUTS}
ROWS |= {f"{name}, to 1e-12": lambda name=name: _row(name, 1e-12) for name in ("semicircle ⊞ ±1 (cusp)", "MP(1)^{⊠10}")}

if __name__ == "__main__":
    run(ROWS)
