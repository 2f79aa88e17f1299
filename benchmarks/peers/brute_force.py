"""numpy: random matrices of size 2000 and all of their eigenvalues."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import ours
from benchmarks.exact import ATOMS, LAWS, Array
from benchmarks.measure import Row, run

SIZE = 2000
BAR = 1e-6


def _wigner(rng: np.random.Generator) -> Array:
    entries = rng.standard_normal((SIZE, SIZE))
    return (entries + entries.T) / (2 * SIZE) ** 0.5


def _ginibre(rng: np.random.Generator) -> Array:
    return rng.standard_normal((SIZE, SIZE)) / SIZE**0.5


def _product(factors: int) -> Array:
    """Eigenvalues of the product by its singular values, for the smallest are lost in GGᵀ."""
    rng = np.random.default_rng(0)
    found = _ginibre(rng)
    for _ in range(factors - 1):
        found = found @ _ginibre(rng)
    return np.linalg.svd(found, compute_uv=False) ** 2


def _shifted(atoms: Array) -> Array:
    return np.linalg.eigvalsh(_wigner(np.random.default_rng(0)) + np.diag(np.repeat(atoms, SIZE // len(atoms))))


def _two_wigners() -> Array:
    rng = np.random.default_rng(0)
    return np.linalg.eigvalsh(_wigner(rng) + _wigner(rng))


def _projections() -> Array:
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((SIZE, SIZE)))[0]
    half = np.linalg.svd(rotation[: SIZE // 2, : SIZE // 2], compute_uv=False) ** 2
    return np.concatenate([np.zeros(SIZE // 2), half])


def _anticommutator() -> Array:
    rng = np.random.default_rng(0)
    product = _wigner(rng) @ _wigner(rng)
    return np.linalg.eigvalsh(product + product.T)


DRAW: dict[str, Callable[[], Array]] = {
    "semicircle ⊞ semicircle": _two_wigners,
    "semicircle ⊞ ±1 (cusp)": lambda: _shifted(np.array([-1.0, 1.0])),
    "MP(1)^{⊠2}": lambda: _product(2),
    "MP(1)^{⊠10}": lambda: _product(10),
    "projections ½ ⊠ ½": _projections,
    "XY + YX, two semicirculars": _anticommutator,
    "semicircle ⊞ 20 atoms": lambda: _shifted(ATOMS),
}


def _row(name: str) -> Row:
    grid = LAWS[name].grid()
    exact = LAWS[name].distribution(grid)
    return Row(
        ours=ours.distribution(name),
        theirs=lambda: np.searchsorted(np.sort(DRAW[name]()), grid, side="right") / SIZE,
        error=lambda values: float(np.abs(values - exact).max()),
        measure="distribution function, largest error",
        bar=BAR,
        remark=f"one matrix of size {SIZE}",
    )


ROWS = {name: lambda name=name: _row(name) for name in DRAW}

if __name__ == "__main__":
    run(ROWS)
