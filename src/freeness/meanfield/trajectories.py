"""Two inputs on their way through an actual architecture: lengths, correlation and gradient gain, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.meanfield.signal_records import check_norm
from freeness.meanfield.walk import compiled
from freeness.network import Embedding, Network, Pairs, Stream, Sum, Weights

_STEP = 1e-4  # relative step of the input's squared norm, for the sensitivity


@dataclass(frozen=True)
class Trajectory:
    """Behind every weight layer and every sum that all ways from input to output pass.

    ``q``: mean square of the signal. ``c``: correlation of the two inputs there. ``chi1``: growth of squared gradients from the
    next of these places back to this one; NaN at the last. ``sensitivity``: d ln q/d ln(squared norm of the input).
    """

    q: Float[np.ndarray, " places"]
    c: Float[np.ndarray, " places"]
    chi1: Float[np.ndarray, " places"]
    sensitivity: Float[np.ndarray, " places"]

    @property
    def gradient_growth(self) -> Float[np.ndarray, " places"]:
        """Squared gradients at each place over those at the last: products of χ₁ from there on."""
        return np.append(np.cumprod(self.chi1[:-1][::-1])[::-1], 1.0)


@np.errstate(over="ignore", invalid="ignore")  # compiled() tells the layer behind which it occurs
def trajectory(network: Network, qhat0: float = 1.0, c0: float = 0.0) -> Trajectory:
    """Follow two inputs of equal length through a network.

    The input is taken for Gaussian with mean 0 where an activation or a normalisation comes first. Convolutions with circular
    padding are followed as if all positions were alike; batch normalisation as if the batch were large and any two of its inputs
    correlated like these two.

    Args:
        network: the record, from a builder such as :func:`~freeness.network.mlp`, or of a trace.
        qhat0: ‖x‖²/N₀ of both inputs.
        c0: their correlation, in [-1, 1].

    Assumes wide layers (Poole et al. 2016); one network of width N wanders from it by O(√(L/N)).

    Example:
        >>> from freeness.network import mlp
        >>> found = trajectory(mlp(3, 100, "relu", "gaussian", sigma_w=2**0.5), c0=0.0)
        >>> found.q.round(6).tolist(), found.c.round(6).tolist()
        ([2.0, 2.0, 2.0], [0.0, 0.31831, 0.493731])
    """
    if not (np.isfinite(c0) and abs(c0) <= 1):
        raise InputError(f"expected a correlation c0 in [-1, 1], got {c0}.")
    check_norm(qhat0)
    if isinstance(next(iter(network.weights), None), Embedding):
        raise InputError(
            "expected inputs that are vectors, got tokens before an Embedding; compute kernels on tokens instead."
        )
    if not network.weights:
        raise InputError("expected a network with a weight layer, got none; there is no trajectory.")
    q, c, growth = _followed(network, float(qhat0), float(c0))
    above, below = (_followed(network, qhat0 * (1 + sign * _STEP), float(c0))[0] for sign in (1, -1))
    sensitivity = (np.log(above) - np.log(below)) / (np.log1p(_STEP) - np.log1p(-_STEP))
    return Trajectory(q, c, np.append(growth[1:] / growth[:-1], np.nan), sensitivity)


def _followed(network: Network, qhat0: float, c0: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """q, c and the growth of the Jacobian behind every weight layer and block."""
    stream = Stream(np.full(2, qhat0), np.ones(2), None, True, alike=True)
    value = qhat0 * np.array([[1.0, c0], [c0, 1.0]])
    pairs = Pairs(value, np.zeros((2, 2)), slice(0, 2))
    prepared = compiled(network, stream, pairs if network.couples else None)
    places = {node.name for node in network.trunk if isinstance(node.operation, (Weights, Sum))}
    found: list[tuple[float, float, float]] = []
    for node, behind in prepared.walk(pairs):
        if node.name in places:
            own = prepared.streams[node.name]
            q = float(own.second[0])
            found.append((q, float(np.clip(behind.value[0, 1] / q, -1.0, 1.0)), float(own.growth[0])))
    return tuple(np.array(found).T)  # type: ignore[return-value]
