"""Two inputs on their way through an actual architecture: lengths, correlation and gradient gain, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.meanfield.covariance import covariance
from freeness.meanfield.length_map import squared_slope
from freeness.meanfield.variance_map import second_moment, variance_gain
from freeness.network import Activation, Dense, Network


@dataclass(frozen=True)
class Trajectory:
    """At every weight layer: ``q``, the variance of its outputs, ``c``, the correlation of the two inputs there, and ``chi1``.

    The last is the growth of squared gradients from the next weight layer's outputs back to these; NaN at the last layer.
    """

    q: np.ndarray
    c: np.ndarray
    chi1: np.ndarray

    @property
    def gradient_growth(self) -> np.ndarray:
        """Squared gradients at each weight layer's output over those at the last: products of χ₁ from there on."""
        return np.append(np.cumprod(self.chi1[:-1][::-1])[::-1], 1.0)


def trajectory(network: Network, qhat0: float = 1.0, c0: float = 0.0) -> Trajectory:
    """Follow two inputs of equal length through a network.

    Args:
        network: the record, of weight layers and activations.
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
    if not (np.isfinite(qhat0) and qhat0 > 0):
        raise InputError(f"expected qhat0 = ‖x⁰‖²/N_0 > 0, got {qhat0}; the input must not vanish.")
    lengths, correlations, gains = [], [], []
    q = float(qhat0)
    product = float(c0) * q
    slope = np.nan
    for layer in network.layers:
        if isinstance(layer, Dense):
            gain = variance_gain(layer.weights, layer.fan_in, layer.fan_out)
            if lengths:
                gains.append(gain * slope)
            q, product, slope = gain * q + layer.sigma_b**2, gain * product + layer.sigma_b**2, 1.0
            lengths.append(q)
            correlations.append(float(np.clip(product / q, -1.0, 1.0)))
        elif isinstance(layer, Activation):
            at = covariance(layer.function, q, q, float(np.clip(product / q, -1.0, 1.0)))
            slope = slope * squared_slope(layer.function, q)
            q, product = second_moment(layer.function, q).value, float(at.value)
    return Trajectory(np.array(lengths), np.array(correlations), np.array([*gains, np.nan]))
