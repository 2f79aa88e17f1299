"""Forward signals: what each layer of a network sees, from theory or from one forward pass of a real network.

The two sources fill the same record, so that spectra are computed from either (theory.md §2, "one finite network wanders").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Num

from freeness.errors import InputError, is_real
from freeness.laws import Law


def check_norm(qhat0: object) -> None:
    """Refuse the mean square of an input that vanishes or is none."""
    if not (is_real(qhat0) and qhat0 > 0):
        raise InputError(f"expected qhat0 = ‖x⁰‖²/N_0 > 0, got {qhat0!r}; the input must not vanish.")


@dataclass(frozen=True)
class DenseSignal:
    """At a weight layer: the input's ‖x‖² over fan_in entries, and the variance q = mean of h² of its output."""

    fan_in: int
    squared_norm: float
    q: float

    @property
    def qhat(self) -> float:
        """q̂ = ‖x‖²/N of the layer's input."""
        return self.squared_norm / self.fan_in


@dataclass(frozen=True)
class ActivationSignal:
    """At an activation: q of the pre-activation that enters and the law of D² = φ'(h)² over the neurons.

    ``squares``: D² neuron by neuron, where nothing in the network mixes neurons, so that their order counts.
    """

    q: float
    derivative_law: Law
    squares: Float[np.ndarray, " neurons"] | None = field(default=None, compare=False, repr=False)

    @property
    def mu1(self) -> float:
        """μ₁ = E φ'(h)²."""
        return self.derivative_law.mean

    @property
    def delta(self) -> float:
        """δ = μ₂/μ₁² - 1, the relative variance of D²."""
        return self.derivative_law.variance / self.derivative_law.mean**2


@dataclass(frozen=True, eq=False)
class NeuronSignals:
    """One forward pass, neuron by neuron: the input and the outputs of every weight layer, in the order of ``Network.walk``.

    Each array is (N,), or (samples, channels, *positions). ``own``: tensors of operations without weights, by their names. Of a
    constant that is its value (channels, *positions), of batch norms with fixed statistics mean and deviation (2, channels).
    """

    inputs: Num[np.ndarray, "*shape"]
    preactivations: tuple[Float[np.ndarray, "*_"], ...]
    own: Mapping[str, Float[np.ndarray, "*_"]] = field(default_factory=dict[str, np.ndarray])


@dataclass(frozen=True)
class Signals:
    """One signal a layer, aligned with ``Network.layers``; ``source`` names where they come from.

    ``neurons``: the realised pass itself; without it single eigenvalues outside a law are not looked for.
    """

    layers: tuple[DenseSignal | ActivationSignal, ...]
    source: Literal["mean-field", "realised"]
    neurons: NeuronSignals | None = None
