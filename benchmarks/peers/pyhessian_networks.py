"""PyHessian, its release: λ_max, spectral density and trace of the Hessian of ResNet-18 and ViT-tiny."""

from __future__ import annotations

import math

import numpy as np
import torch
from pyhessian import hessian
from torch import nn

from benchmarks.curvature_case import PROBES, STEPS, Curved, rows
from benchmarks.measure import run


def _hessian(case: Curved) -> hessian:
    torch.manual_seed(0)
    return hessian(case.model(), nn.CrossEntropyLoss(), data=case.batch(), cuda=False)


def _top(case: Curved) -> float:
    return float(_hessian(case).eigenvalues(maxIter=1000, tol=1e-4)[0][0])


def _density(case: Curved) -> float:
    operator = _hessian(case)
    values, weights = map(np.array, operator.density(iter=STEPS, n_v=PROBES))
    return sum(one.numel() for one in operator.params) * float((values * weights).sum() / PROBES)


def _trace(case: Curved) -> float:
    asked = {
        "maxIter": case.products,
        "tol": -math.inf,
    }  # its test has a quotient of either sign: it ends where a mean is < 0
    return float(np.mean(_hessian(case).trace(**asked)))


ROWS = rows("hessian", {"top": _top, "density": _density, "trace": _trace})

if __name__ == "__main__":
    run(ROWS)
