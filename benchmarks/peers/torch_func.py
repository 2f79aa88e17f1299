"""torch.func: the Gram matrix of one sample by products with vectors, and by the whole Jacobian."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, jacrev, jvp, vjp, vmap

from benchmarks import network
from benchmarks.measure import Row, run
from benchmarks.network import Array
from benchmarks.torch_network import batch, model, ours_all, ours_new

BAR = 1e-5


def _function() -> tuple[Callable[[dict[str, Tensor]], Tensor], dict[str, Tensor]]:
    known, x = model(), batch()[0]
    parameters = {name: value.detach() for name, value in known.named_parameters()}
    return lambda values: functional_call(known, values, (x,))[0], parameters


def _products() -> Array:
    """Column k is J Jᵀe_k: a backward product, then a forward one."""
    function, parameters = _function()
    _, pull = vjp(function, parameters)

    def column(direction: Tensor) -> Tensor:
        return jvp(function, (parameters,), pull(direction))[1]

    return np.linalg.eigvalsh(vmap(column)(torch.eye(network.WIDTH)).double().numpy())


def _jacobian() -> Array:
    function, parameters = _function()
    rows = [part.flatten(1) for part in jacrev(function)(parameters).values()]
    return np.linalg.eigvalsh(sum(row @ row.T for row in rows).double().numpy())


def _row(theirs: Callable[[], Array], ours: Callable[[], Array] | None = None) -> Row:
    return Row(
        ours=ours or ours_all(),
        theirs=theirs,
        error=network.all_error,
        measure="largest error of an eigenvalue over λ_max",
        bar=BAR,
    )


ROWS = {
    "all eigenvalues of J_θJ_θᵀ, by vmap of vjp and jvp": lambda: _row(_products),
    "all eigenvalues of J_θJ_θᵀ, by jacrev": lambda: _row(_jacobian),
    "all eigenvalues of J_θJ_θᵀ of a new model each time": lambda: _row(_products, ours_new),
}

if __name__ == "__main__":
    run(ROWS)
