"""BackPACK: the square root of the GGN by one extended backward pass."""

from __future__ import annotations

import numpy as np
from backpack import backpack, extend
from backpack.extensions import SqrtGGNExact
from torch import nn

from benchmarks import network
from benchmarks.measure import Row, run
from benchmarks.network import Array
from benchmarks.torch_network import batch, model, ours_all

BAR = 1e-5


def _theirs() -> Array:
    known, (x, y) = extend(model()), batch()
    loss = extend(nn.MSELoss(reduction="sum"))(known(x), y)
    with backpack(SqrtGGNExact()):
        loss.backward()
    roots = [parameter.sqrt_ggn_exact.flatten(2)[:, 0] for parameter in known.parameters()]
    gram = sum(root @ root.T for root in roots)
    return np.linalg.eigvalsh(gram.double().numpy()) / 2  # MSELoss has no ½


def _row() -> Row:
    return Row(
        ours=ours_all(),
        theirs=_theirs,
        error=network.all_error,
        measure="largest error of an eigenvalue over λ_max",
        bar=BAR,
    )


ROWS = {"all eigenvalues of J_θJ_θᵀ": _row}

if __name__ == "__main__":
    run(ROWS)
