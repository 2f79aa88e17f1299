"""How freeness does the jobs of section A, from nothing: the law is built anew in every call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.exact import ATOMS, LAWS, Array
from freeness import (
    Atoms,
    Law,
    MarchenkoPastur,
    Projection,
    Semicircle,
    free_difference,
    free_product,
    free_sum,
    free_variables,
)

ROTATED = "XY + YX as a difference of MP(1)"
EXACT = {name: name for name in LAWS} | {ROTATED: "XY + YX, two semicirculars"}  # the law behind each job


def _anticommutator() -> Law:
    x, y = free_variables(Semicircle(), Semicircle())
    return (x * y + y * x).law()


BUILD: dict[str, Callable[[], Law]] = {
    "semicircle ⊞ semicircle": lambda: free_sum(Semicircle(1.0), Semicircle(1.0)),
    "semicircle ⊞ ±1 (cusp)": lambda: free_sum(Semicircle(1.0), Atoms([-1.0, 1.0])),
    "MP(1)^{⊠2}": lambda: free_product(*[MarchenkoPastur(1.0)] * 2),
    "MP(1)^{⊠10}": lambda: free_product(*[MarchenkoPastur(1.0)] * 10),
    "projections ½ ⊠ ½": lambda: free_product(Projection(0.5), Projection(0.5)),
    "XY + YX, two semicirculars": _anticommutator,
    ROTATED: lambda: free_difference(MarchenkoPastur(1.0), MarchenkoPastur(1.0)),
    "semicircle ⊞ 20 atoms": lambda: free_sum(Semicircle(1.0), Atoms(ATOMS)),
}


def density(name: str) -> Callable[[], Array]:
    """Density at the midpoints of 1000 cells."""
    grid = LAWS[EXACT[name]].grid()
    return lambda: np.asarray(BUILD[name]().density(grid))


def quantiles(name: str, count: int, tolerance: float = 0.0) -> Callable[[], Array]:
    """Quantiles at the levels (k-½)/count, atoms included; levels to a tolerance, 0 for all digits."""
    levels = (np.arange(count) + 0.5) / count
    return lambda: np.asarray(BUILD[name]().quantile(levels, tolerance=tolerance))


def distribution(name: str) -> Callable[[], Array]:
    """Distribution function at the midpoints of 1000 cells."""
    grid = LAWS[EXACT[name]].grid()
    return lambda: np.asarray(BUILD[name]().cdf(grid))
