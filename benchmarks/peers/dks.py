"""dks, by the authors of DKS and TAT: it returns functions and hides the numbers, so both are judged by the functions."""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np
from dks.base.activation_transform import get_transformed_activations

from benchmarks.measure import Row, run
from benchmarks.network import Array
from freeness.meanfield import shaped
from freeness.network import Activation, Dense, Gaussian, Network, Residual, activation

BAR = 1e-6
LAYERS, BLOCKS, INNER, SCALE = 50, 12, 2, 0.6
SLOPE, CURVATURE = 1.5, 0.3  # what DKS and TAT ask of the network's correlation map
ORDER = 60  # of Hermite coefficients
Function = Callable[[Array], Array]
Largest = Callable[[float, Callable[[float], float]], float]


def _chain(x: float, r: Callable[[float], float]) -> float:
    for _ in range(LAYERS):
        x = r(x)
    return x


def _residual(x: float, r: Callable[[float], float]) -> float:
    """The subnetwork maximising function of the residual network, typed by hand as the package wants it."""
    best = x
    for _ in range(BLOCKS):
        inner = x
        for _ in range(INNER):
            inner = r(inner)
        best, x = max(best, inner), (1 - SCALE**2) * x + SCALE**2 * inner
    return max(best, r(x))


def _record() -> Network:
    """The same network as a record, which freeness reads."""
    matrix = Dense(10, 10, Gaussian(1.0))
    branch = (Activation(activation("tanh")), matrix) * INNER
    blocks = [Residual(branch, SCALE, (1 - SCALE**2) ** 0.5)] * BLOCKS
    return Network((matrix, *blocks, Activation(activation("tanh")), matrix))


def _theirs(name: str, method: str, largest: Largest) -> Function:
    return get_transformed_activations([name], method=method.upper(), subnet_max_func=largest)[name]


def _ours(name: str, method: str, network: Network | int) -> Function:
    phi = activation(name)
    made = shaped(phi, network, method)
    return lambda x: made.scale * (phi.function(made.gain * x + made.shift) + made.offset)


def _residuals(function: Function, method: str, largest: Largest) -> float:
    """The largest violation of the conditions, from Hermite coefficients a_k of the function.

    Q(1) = Σa², C(0) = a_0², C'(1) = Σka², C''(1) = Σk(k-1)a², Q'(1) = ½ E (x² - 1)φ̂².
    """
    x, weights = np.polynomial.hermite_e.hermegauss(200)
    weights = weights / weights.sum()
    values = np.asarray(function(x), dtype=float)
    k = np.arange(ORDER)
    norms = np.array([float(factorial(int(n))) ** 0.5 for n in k])
    energy = ((np.polynomial.hermite_e.hermevander(x, ORDER - 1) / norms).T @ (weights * values)) ** 2
    slope, bend = float(k @ energy), float((k * (k - 1)) @ energy)
    found = [weights @ values**2 - 1, weights @ ((x**2 - 1) * values**2) / 2 - 1]
    if method == "dks":
        found += [energy[0], largest(1.0, lambda v: slope * v) / SLOPE - 1]
    else:
        found += [slope - 1, largest(0.0, lambda v: bend + v) / CURVATURE - 1]
    return float(np.abs(found).max())


def _row(name: str, method: str, network: Network | int) -> Row:
    largest = _chain if isinstance(network, int) else _residual
    typed = "" if isinstance(network, int) else ". It has the largest slope over subnetworks typed by hand"
    return Row(
        ours=lambda: _ours(name, method, network),
        theirs=lambda: _theirs(name, method, largest),
        error=lambda function: _residuals(function, method, largest),
        measure="largest violation of the conditions on Q, Q', C, C', C''",
        bar=BAR,
        remark="the package returns functions, ours tells the numbers, too" + typed,
    )


ROWS = {
    "shaping by DKS, tanh, 50 layers": lambda: _row("tanh", "dks", LAYERS),
    "shaping by TAT, tanh, 50 layers": lambda: _row("tanh", "tat", LAYERS),
    "shaping by TAT, softplus, 50 layers": lambda: _row("softplus", "tat", LAYERS),
    "shaping by DKS, tanh, 12 residual blocks": lambda: _row("tanh", "dks", _record()),
}

if __name__ == "__main__":
    run(ROWS)
