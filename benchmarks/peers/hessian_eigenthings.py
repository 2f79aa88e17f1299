"""hessian-eigenthings: λ_max, spectral density and trace of the GGN of ResNet-18 and ViT-tiny."""

from __future__ import annotations

from hessian_eigenthings.algorithms.lanczos import lanczos
from hessian_eigenthings.algorithms.spectral_density import spectral_density
from hessian_eigenthings.algorithms.trace import trace
from hessian_eigenthings.loss_fns.standard import supervised_forward, supervised_loss_of_output
from hessian_eigenthings.operators.ggn import GGNOperator
from torch import nn

from benchmarks.curvature_case import PROBES, STEPS, Curved, rows
from benchmarks.measure import run

LANCZOS = 20  # steps: it does not stop by itself


def _ggn(case: Curved) -> GGNOperator:
    model, loss = case.model(), supervised_loss_of_output(nn.CrossEntropyLoss())
    return GGNOperator(model, [case.batch()], supervised_forward, loss)


def _top(case: Curved) -> float:
    return float(lanczos(_ggn(case), k=1, max_iter=LANCZOS, which="LA", seed=0).eigenvalues[0])


def _density(case: Curved) -> float:
    operator = _ggn(case)
    found = spectral_density(operator, num_runs=PROBES, lanczos_steps=STEPS, seed=0)
    return operator.size * float((found.raw_eigenvalues * found.raw_weights).sum() / PROBES)


def _trace(case: Curved) -> float:
    return trace(_ggn(case), num_matvecs=case.products, seed=0).estimate


ROWS = rows("ggn", {"top": _top, "density": _density, "trace": _trace})

if __name__ == "__main__":
    run(ROWS)
