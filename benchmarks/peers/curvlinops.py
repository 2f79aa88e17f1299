"""curvlinops: the Jacobian and the GGN as linear operators, with eigsh, and its spectral density."""

from __future__ import annotations

import numpy as np
import torch
from curvlinops import GGNLinearOperator, JacobianLinearOperator
from curvlinops.papyan2020traces.spectrum import lanczos_approximate_spectrum
from scipy.sparse.linalg import eigsh
from torch import nn

from benchmarks import network
from benchmarks.measure import Row, run
from benchmarks.network import Array
from benchmarks.torch_network import batch, model, ours_all, ours_mean, ours_top

ALL, TOP = 1e-5, 1e-4
PROBES, STEPS = 8, 64


def _ggn() -> tuple[GGNLinearOperator, int]:
    known = model()
    parameters = list(known.parameters())
    operator = GGNLinearOperator(known, nn.MSELoss(reduction="sum"), parameters, [batch()], check_deterministic=False)
    return operator, sum(parameter.numel() for parameter in parameters)


def _by_jacobian() -> Array:
    known = model()
    operator = JacobianLinearOperator(known, list(known.parameters()), [batch()], check_deterministic=False)
    columns = operator.adjoint() @ torch.eye(network.WIDTH)
    return np.linalg.eigvalsh((columns.T @ columns).double().numpy())


def _top() -> float:
    operator, size = _ggn()
    start = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    found = eigsh(operator.to_scipy(np.float32), k=1, which="LA", v0=start, tol=1e-4, return_eigenvectors=False)
    return float(found[0]) / 2


def _density(boundaries: tuple[float, None] | None) -> float:
    """The mean of the density on its grid."""
    torch.manual_seed(0)
    operator, _ = _ggn()
    grid, density = lanczos_approximate_spectrum(operator, STEPS, num_repeats=PROBES, boundaries=boundaries)
    return float((grid * density).sum() / density.sum()) / 2


def _all_row() -> Row:
    return Row(
        ours=ours_all(),
        theirs=_by_jacobian,
        error=network.all_error,
        measure="largest error of an eigenvalue over λ_max",
        bar=ALL,
    )


def _top_row() -> Row:
    return Row(ours_top(), _top, network.top_error, "relative error", TOP)


def _density_row(boundaries: tuple[float, None] | None) -> Row:
    size = network.DEPTH * (network.WIDTH**2 + network.WIDTH)
    exact = network.truth()
    mean = float(exact.sum()) / size
    deviation = float(2 * (exact**2).sum() / PROBES) ** 0.5 / float(exact.sum())  # of tr A by Gaussian vectors
    return Row(
        ours=ours_mean(),
        theirs=lambda: _density(boundaries),
        error=lambda value: abs(value / mean - 1),
        measure="relative error of the mean of the density",
        bar=3 * deviation,
        remark="8 probes of 64 steps, both; the bar is three standard deviations",
    )


ROWS = {
    "all eigenvalues of J_θJ_θᵀ, by the Jacobian": _all_row,
    "λ_max of the GGN": _top_row,
    "spectral density of the GGN, boundaries=(0, None)": lambda: _density_row((0.0, None)),
    "spectral density of the GGN, default boundaries": lambda: _density_row(None),
}

if __name__ == "__main__":
    run(ROWS)
