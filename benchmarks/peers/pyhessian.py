"""PyHessian, its release: λ_max of the Hessian by power iteration."""

from __future__ import annotations

import torch
from pyhessian import hessian
from torch import Tensor

from benchmarks.measure import Row, run
from benchmarks.torch_network import batch, hessian_top, model, ours_top

BAR = 1e-3
NEAR = 0.01  # residual over λ: λ is off by about its square, and not by more than PyHessian's at its own tolerance


def _half_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return 0.5 * (outputs - targets).square().sum()


def _theirs(options: dict[str, float]) -> float:
    torch.manual_seed(0)
    found = hessian(model(), _half_squared_error, data=batch(), cuda=False).eigenvalues(top_n=1, **options)
    return float(found[0][0])


def _row(options: dict[str, float], tolerance: float | None = None) -> Row:
    exact, told = hessian_top(), "the Hessian is another matrix than the GGN"
    return Row(
        ours=ours_top("hessian", tolerance),
        theirs=lambda: _theirs(options),
        error=lambda value: abs(value / exact - 1),
        measure="relative error",
        bar=BAR,
        remark=told if tolerance is None else f"{told}. A residual of {tolerance:g} λ was asked of ours",
    )


ROWS = {
    "λ_max of the Hessian": lambda: _row({}, NEAR),
    "λ_max of the Hessian, to a tolerance of 1e-6": lambda: _row({"maxIter": 1000, "tol": 1e-6}),
}

if __name__ == "__main__":
    run(ROWS)
