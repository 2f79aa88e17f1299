"""curvlinops: λ_max, spectral density and trace of the GGN of ResNet-18 and ViT-tiny."""

from __future__ import annotations

import numpy as np
import torch
from curvlinops import GGNLinearOperator, hutchinson_trace
from curvlinops.papyan2020traces.spectrum import lanczos_approximate_spectrum
from scipy.sparse.linalg import eigsh
from torch import nn

from benchmarks.curvature_case import PROBES, STEPS, Curved, rows
from benchmarks.measure import run


def _ggn(case: Curved) -> tuple[GGNLinearOperator, int]:
    model = case.model()
    parameters = list(model.parameters())
    given = model, nn.CrossEntropyLoss(), parameters, [case.batch()]
    return GGNLinearOperator(*given, check_deterministic=False), sum(one.numel() for one in parameters)


def _top(case: Curved) -> float:
    operator, size = _ggn(case)
    start = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    found = eigsh(operator.to_scipy(np.float32), k=1, which="LA", v0=start, tol=1e-3, return_eigenvectors=False)
    return float(found[0])


def _density(case: Curved) -> float:
    torch.manual_seed(0)
    operator, size = _ggn(case)
    grid, density = lanczos_approximate_spectrum(operator, STEPS, num_repeats=PROBES, boundaries=(0.0, None))
    return size * float((grid * density).sum() / density.sum())


def _trace(case: Curved) -> float:
    torch.manual_seed(0)
    return float(hutchinson_trace(_ggn(case)[0], case.products))


ROWS = rows("ggn", {"top": _top, "density": _density, "trace": _trace})

if __name__ == "__main__":
    run(ROWS)
