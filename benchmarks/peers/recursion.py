"""numpy: the recursion of the kernel written by hand for one architecture."""

from __future__ import annotations

import numpy as np

from benchmarks import kernel
from benchmarks.measure import Row, run
from benchmarks.network import Array


def _theirs() -> Array:
    x = kernel.inputs()
    w, b = kernel.SIGMA_W**2, kernel.SIGMA_B**2
    q = w * x @ x.T / kernel.WIDTH + b
    theta = q
    for _ in range(kernel.DEPTH - 1):
        norm = 1 + 2 * np.diag(q)
        product = np.outer(norm, norm)
        slope = 4 / np.pi / np.sqrt(product - 4 * q**2)
        q = w * 2 / np.pi * np.arcsin(2 * q / np.sqrt(product)) + b
        theta = q + w * slope * theta
    return theta


def _row() -> Row:
    return Row(
        ours=kernel.ours(),
        theirs=_theirs,
        error=kernel.error,
        measure="relative error of Θ₀₀",
        bar=kernel.BAR,
        remark="for erf and this architecture alone",
    )


ROWS = {"analytic NTK, depth 1000, chaotic": _row}

if __name__ == "__main__":
    run(ROWS)
