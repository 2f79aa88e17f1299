"""neural-tangents on the jax that it runs on: the empirical kernel of one sample, and the analytic one at depth 1000."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from neural_tangents import empirical_ntk_fn, stax
from neural_tangents._src.empirical import NtkImplementation

from benchmarks import kernel, network
from benchmarks.measure import Row, run
from benchmarks.network import Array

ALL = 1e-5


def _forward(parameters: list[tuple[Any, Any]], x: Any) -> Any:
    for index, (weight, bias) in enumerate(parameters):
        x = x @ weight.T + bias
        x = jax.numpy.tanh(x) if index < network.DEPTH - 1 else x
    return x


def _empirical(implementation: NtkImplementation) -> Callable[[], Array]:
    parameters = [(jax.numpy.asarray(w), jax.numpy.asarray(b)) for w, b in network.weights()]
    x = jax.numpy.asarray(network.sample())[None]
    # Without trace_axes all pairs of outputs are kept.
    function = jax.jit(empirical_ntk_fn(_forward, trace_axes=(), implementation=implementation))

    def job() -> Array:
        return np.linalg.eigvalsh(np.asarray(function(x, None, parameters)[0, 0], dtype=float))

    return job


def _empirical_row(implementation: NtkImplementation) -> Row:
    from benchmarks.torch_network import ours_all

    return Row(
        ours=ours_all(),
        theirs=_empirical(implementation),
        error=network.all_error,
        measure="largest error of an eigenvalue over λ_max",
        bar=ALL,
    )


def _analytic_row(wide: bool) -> Row:
    jax.config.update("jax_enable_x64", wide)
    dense = stax.Dense(kernel.WIDTH, W_std=kernel.SIGMA_W, b_std=kernel.SIGMA_B)
    _, _, kernel_function = stax.serial(*[dense, stax.Erf()] * (kernel.DEPTH - 1), dense)
    function = jax.jit(lambda x: kernel_function(x, None, "ntk"))
    return Row(
        ours=kernel.ours(),
        theirs=lambda: np.asarray(function(jax.numpy.asarray(kernel.inputs())), dtype=float),
        error=kernel.error,
        measure="relative error of Θ₀₀",
        bar=kernel.BAR,
        remark="float64, which has to be switched on" if wide else "float32, the default",
    )


ROWS = {
    "all eigenvalues of J_θJ_θᵀ, by Jacobian contraction": lambda: _empirical_row(
        NtkImplementation.JACOBIAN_CONTRACTION
    ),
    "all eigenvalues of J_θJ_θᵀ, by structured derivatives": lambda: _empirical_row(
        NtkImplementation.STRUCTURED_DERIVATIVES
    ),
    "analytic NTK, depth 1000, chaotic": lambda: _analytic_row(False),
    "analytic NTK, depth 1000, chaotic, float64": lambda: _analytic_row(True),
}

if __name__ == "__main__":
    run(ROWS)
