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
        x = x @ weight + bias
        x = jax.numpy.tanh(x) if index < network.DEPTH - 1 else x
    return x


def _empirical(implementation: NtkImplementation) -> Callable[[], Array]:
    # (in, out), so that no transposition hides the structure of a layer from the package.
    kind = jax.numpy.float64 if jax.config.jax_enable_x64 else jax.numpy.float32
    parameters = [(jax.numpy.asarray(w.T.copy(), kind), jax.numpy.asarray(b, kind)) for w, b in network.weights()]
    x = jax.numpy.asarray(network.sample(), kind)[None]
    # Without trace_axes all pairs of outputs are kept.
    function = jax.jit(empirical_ntk_fn(_forward, trace_axes=(), implementation=implementation))

    def job() -> Array:
        return np.linalg.eigvalsh(np.asarray(function(x, None, parameters)[0, 0], dtype=float))

    return job


def _empirical_row(implementation: NtkImplementation, *, narrow: bool = False, wide: bool = False) -> Row:
    """``narrow``: ours in float32, too; ``wide``: theirs in float64, too."""
    import torch

    from benchmarks.torch_network import ours_all

    jax.config.update("jax_enable_x64", wide)
    return Row(
        ours=ours_all(torch.float32 if narrow else None),
        theirs=_empirical(implementation),
        error=network.all_error,
        measure="largest error of an eigenvalue over λ_max",
        bar=ALL,
        remark="both in float32" if narrow else "both in float64" if wide else "ours in float64, the peer in float32",
    )


def _analytic_row(wide: bool, *, two: bool = False) -> Row:
    """``two``: the kernel between two arrays, as of training and test inputs, that hold the same points."""
    jax.config.update("jax_enable_x64", wide)
    dense = stax.Dense(kernel.WIDTH, W_std=kernel.SIGMA_W, b_std=kernel.SIGMA_B)
    _, _, kernel_function = stax.serial(*[dense, stax.Erf()] * (kernel.DEPTH - 1), dense)
    function = jax.jit(lambda x, other: kernel_function(x, other, "ntk"))

    def theirs() -> Array:
        x = jax.numpy.asarray(kernel.inputs())
        return np.asarray(function(x, x.copy() if two else None), dtype=float)

    return Row(
        ours=kernel.ours_between() if two else kernel.ours(),
        theirs=theirs,
        error=kernel.error,
        measure="relative error of Θ₀₀",
        bar=kernel.BAR,
        remark="float64, which has to be switched on" if wide else "float32, the default",
    )


IMPLEMENTATIONS = {
    "Jacobian contraction": NtkImplementation.JACOBIAN_CONTRACTION,
    "vector products": NtkImplementation.NTK_VECTOR_PRODUCTS,
    "structured derivatives": NtkImplementation.STRUCTURED_DERIVATIVES,
}
ROWS = {
    f"all eigenvalues of J_θJ_θᵀ, by {name}": lambda kind=kind: _empirical_row(kind)
    for name, kind in IMPLEMENTATIONS.items()
} | {
    "all eigenvalues of J_θJ_θᵀ, by structured derivatives, ours in float32": lambda: _empirical_row(
        NtkImplementation.STRUCTURED_DERIVATIVES, narrow=True
    ),
    "all eigenvalues of J_θJ_θᵀ, by structured derivatives, both in float64": lambda: _empirical_row(
        NtkImplementation.STRUCTURED_DERIVATIVES, wide=True
    ),
    "analytic NTK, depth 1000, chaotic": lambda: _analytic_row(False),
    "analytic NTK, depth 1000, chaotic, float64": lambda: _analytic_row(True),
    "analytic NTK, depth 1000, chaotic, between two arrays": lambda: _analytic_row(False, two=True),
}

if __name__ == "__main__":
    run(ROWS)
