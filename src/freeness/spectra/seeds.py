"""One finite network wanders: forward passes drawn at the true widths, and predictions averaged over them.

At criticality q̂_l does a random walk of size √(l/N) about the mean field (theory.md §2). Weights are fresh in every layer, so
given the layer before, its outputs are drawn directly, in O(N) instead of O(N²): independent Gaussian channels of the Gram
matrix of the inputs, or a Haar-rotated copy of what the singular values make of them.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

from freeness.errors import InputError, is_size
from freeness.network import Dense, Gaussian, Haar, Measured, Network, Weights
from freeness.spectra.backward import is_chain
from freeness.spectra.chain_pass import chain_signals
from freeness.spectra.graph import NeuronSignals, drawn, forward_pass
from freeness.spectra.predict import predict_fisher, predict_jacobian
from freeness.spectra.records import Prediction


class SeedMean(NamedTuple):
    """A mean over seeds and its standard error."""

    value: float
    error: float


class SeedMeans(NamedTuple):
    """Means over seeds at each point and their standard errors, each (m,)."""

    value: np.ndarray
    error: np.ndarray


@dataclass(frozen=True)
class SeedAverage:
    """Predictions of the same network for several seeds; ``spread`` is how much one network differs from the next.

    Example:
        >>> from freeness.network import mlp
        >>> found = average_over_seeds(mlp(4, 200, "tanh"), seeds=4)
        >>> len(found.predictions), 0 < found.edge.error < 0.1 * found.edge.value
        (4, True)
    """

    predictions: tuple[Prediction, ...]

    @property
    def edge(self) -> SeedMean:
        """The largest point of the support."""
        return self._over(lambda prediction: prediction.edge.value)

    @property
    def mean(self) -> SeedMean:
        """Of the law."""
        return self._over(lambda prediction: prediction.law.mean)

    @property
    def variance(self) -> SeedMean:
        """Of the law."""
        return self._over(lambda prediction: prediction.law.variance)

    @property
    def spread(self) -> float:
        """Standard deviation of the law's mean between networks, relative."""
        return self.mean.error * len(self.predictions) ** 0.5 / self.mean.value

    def density(self, x: Float[np.ndarray, "*points"]) -> SeedMeans:
        """At real points; close to the ends of the support single laws end at different places."""
        return _curve([prediction.law.density(x) for prediction in self.predictions])

    def cdf(self, x: Float[np.ndarray, "*points"]) -> SeedMeans:
        """Distribution function at real points."""
        return _curve([prediction.law.cdf(x) for prediction in self.predictions])

    def _over(self, quantity: Callable[[Prediction], float]) -> SeedMean:
        values = np.array([quantity(prediction) for prediction in self.predictions])
        return SeedMean(float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5))


def _curve(values: list[np.ndarray]) -> SeedMeans:
    found = np.array(values)
    return SeedMeans(found.mean(axis=0), found.std(axis=0, ddof=1) / len(found) ** 0.5)


def average_over_seeds(
    network: Network,
    qhat0: float = 1.0,
    *,
    fisher: bool = True,
    samples: Num[np.ndarray, "samples features *positions"] | None = None,
    seeds: int = 8,
    rng: np.random.Generator | None = None,
) -> SeedAverage:
    """Predictions for ``seeds`` forward passes, each drawn at the network's own widths.

    Args:
        network: as of :func:`~freeness.spectra.predict_fisher`.
        qhat0: ‖x⁰‖²/N_0 of a random input, another one for each seed.
        fisher: True for the law of Θ, False for that of JJᵀ.
        samples: inputs instead, the same for all seeds.
        seeds: how many, at least 2.
        rng: the same passes every time when left out.

    Raises:
        InputError: fewer than two seeds, and what predictions refuse.

    Example:
        >>> from freeness.network import mlp
        >>> average_over_seeds(mlp(3, 100, "hardtanh"), 0.1, fisher=False, seeds=3).mean.error < 0.05
        True
    """
    if not (is_size(seeds) and seeds >= 2):
        raise InputError(f"expected at least 2 seeds, got {seeds!r}; one has no standard error.")
    generator = rng or np.random.default_rng(0)
    predict = predict_fisher if fisher else predict_jacobian
    found: list[Prediction] = []
    for _ in range(seeds):
        neurons = drawn_pass(network, qhat0, samples=samples, rng=generator)
        chain = samples is None and is_chain(network, None)
        found.append(predict(network, realised=chain_signals(network, neurons) if chain else neurons))
    return SeedAverage(tuple(found))


def drawn_pass(
    network: Network,
    qhat0: float = 1.0,
    *,
    samples: Num[np.ndarray, "samples features *positions"] | None = None,
    rng: np.random.Generator,
) -> NeuronSignals:
    """One forward pass at the true widths with fresh weights in every layer, without the weights.

    Args:
        network: with Gaussian, Haar or measured weights.
        qhat0: ‖x⁰‖²/N_0 of one Gaussian input.
        samples: inputs (n, N₀) or (n, channels, *positions) instead.
        rng: numpy's, from which all numbers are drawn: the same seed, the same result.

    Example:
        >>> from freeness.network import mlp
        >>> signals = drawn_pass(mlp(3, 50, "tanh"), rng=np.random.default_rng(0))
        >>> [h.shape for h in signals.preactivations]
        [(50,), (50,), (50,)]
    """
    if samples is None:
        first = next(iter(network.weights), None)
        if not isinstance(first, Dense):
            raise InputError(
                "expected samples (n, channels, *positions) before convolutions or token mixing, got none; give them."
            )
        x = rng.standard_normal(first.fan_in)
        given = NeuronSignals(np.sqrt(qhat0 * x.size) / np.linalg.norm(x) * x, ())
    else:
        given = NeuronSignals(np.asarray(samples, dtype=float), ())

    def source(layer: Weights, shape: tuple[int, ...], covariance: np.ndarray) -> np.ndarray:
        h = _outputs(layer, covariance, rng)
        return h.reshape(len(h), *shape)

    return forward_pass(network, given, source, rng)


def _outputs(layer: Weights, covariance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Channels (N', Q) of a layer's output, of this covariance in the mean."""
    into, out = layer.sizes
    if isinstance(layer.weights, Haar):  # a rotated copy: no fluctuation but that of leaving channels out
        return drawn(max(into, out), covariance, rng, exact=True)[:out]
    if isinstance(layer.weights, Gaussian):
        return drawn(out, covariance, rng, exact=False)
    assert isinstance(layer.weights, Measured)
    squares = layer.weights.singular_values**2
    directions = drawn(into, np.eye(len(covariance)), rng, exact=True)[: squares.size] / into**0.5
    stretched = into * (directions.T * squares) @ directions / squares.sum()
    root = np.linalg.cholesky(covariance + 1e-14 * np.trace(covariance) * np.eye(len(covariance)))
    return drawn(out, root @ stretched @ root.T, rng, exact=True)
