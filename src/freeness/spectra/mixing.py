"""Graphs of networks that mix tokens and channels in turn (MLP-Mixer): W ⊗ 1 and 1 ⊗ V between all entries of the stream.

A channel's positions cannot be kept together, since the weights act on them; so every entry of the (channels, tokens) array is a
neuron of its own, and W ⊗ 1 is taken to be a matrix with the singular values of W that is free from everything else. W ⊗ 1 and
1 ⊗ V commute, however, so this is an approximation, and only for Haar weights a good one, whose singular values are all equal. In
drawn networks (3 token and 3 channel layers, 20–40 tokens) the Cauchy transform was met within 2–4 % and the upper end of
hard-tanh chains exactly; that of ReLU chains and of residual networks came out 15–25 % low. Gaussian weights are refused: the
second moment missed by 40 %. So is the Fisher, whose accumulated Gram matrices G ⊗ 1 and 1 ⊗ G are not diagonal over entries.

Source: Hayase, Karakida (2023): the Jacobian of a Mixer follows the law of the fully connected network. Tested by simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from freeness.errors import InputError
from freeness.network import (
    Haar,
    Network,
    Operation,
    Pass,
    TokenMixing,
    Weights,
    described,
    given,
    pattern,
    variance_gain,
)
from freeness.spectra.graph_builder import GraphBuilder, GraphNode, NeuronSignal, placed


def mixes_tokens(network: Network) -> bool:
    """Whether there is a layer with weights over positions.

    Example:
        >>> from freeness.network import mixer, mlp
        >>> mixes_tokens(mixer(1, 4, 8)), mixes_tokens(mlp(2, 8))
        (True, False)
    """
    return any(isinstance(layer, TokenMixing) for layer in network.walk())


@dataclass(eq=False)
class MixingBuilder(GraphBuilder):
    """As :class:`GraphBuilder`, of entries, not channels: values (channels·tokens, 1), on the ``grid`` (channels, tokens)."""

    grid: tuple[int, int] = field(default=(0, 0))

    def start(self, network: Network, x: np.ndarray) -> NeuronSignal:
        """The first signal, of one input (channels, 1, tokens), where JJᵀ accumulates."""
        if x.ndim != 3 or x.shape[1] != 1:
            raise InputError(
                f"expected one sample (1, channels, tokens) of a network that mixes tokens, got {x.shape[1]} of shape "
                f"{(x.shape[0], *x.shape[2:])}; take one."
            )
        if self.fisher is not None:
            raise InputError(
                "expected the Jacobian of a network that mixes tokens, got its Fisher information, which the theory does not "
                "cover; measure it instead."
            )
        self.unseen = "in networks that mix tokens"
        self.grid = (len(x), x.shape[2])
        _expect(network.weights[0], self.grid)
        self.nodes.append(GraphNode(np.ones((1, 1, 1)), x.size))
        return NeuronSignal(0, x.reshape(-1, 1), np.ones((x.size, 1, 1)), x.size)

    def _step(self, operation: Operation, signals: tuple[NeuronSignal, ...]) -> NeuronSignal:
        if isinstance(operation, Weights):
            return self._mixed(operation, signals[0])
        channels, tokens = self.grid
        values = tuple(signal.value.reshape(channels, 1, tokens) for signal in signals)
        found = given(operation, values, Pass(False, self.rng))
        if found.flat or found.value.shape != values[0].shape or any(map_.ndim > 2 for map_ in found.maps):
            raise InputError(
                f"expected token mixing, weights over channels, and what acts entry by entry, got {described(operation)}; take "
                "the network without it, or measure."
            )
        slopes = [np.broadcast_to(map_, self.grid).reshape(-1, 1, 1) for map_ in found.maps]
        passed = [
            replace(signal, value=found.value.reshape(-1, 1), slope=slope * signal.slope)
            for signal, slope in zip(signals, slopes, strict=True)
        ]
        return passed[0] if len(passed) == 1 else self._joined(operation, passed)

    def _mixed(self, layer: Weights, signal: NeuronSignal) -> NeuronSignal:
        _expect(layer, self.grid)
        if not isinstance(layer.weights, Haar):
            raise InputError(
                f"expected Haar weights in {described(layer)} of a network that mixes tokens, got others, for which W ⊗ 1 and "
                "1 ⊗ V are far from free; measure its spectrum instead."
            )
        tokens = isinstance(layer, TokenMixing)
        into, out = layer.sizes
        x = signal.value.reshape(*self.grid)
        read = x.T if tokens else x  # (mixed, others)
        covariance = variance_gain(layer.weights, into, out) * read.T @ read / into + layer.sigma_b**2
        h = self.source(layer, (read.shape[1],), covariance)
        if h.shape != (out, read.shape[1]) or not np.isfinite(h).all():
            raise InputError(
                f"expected finite outputs {(out, read.shape[1])} of {described(layer)}, got shape {h.shape}; take the "
                "signals of this very network."
            )
        stream = h.T if tokens else h
        self.seen.append(stream[:, None])
        self.grid, value = stream.shape, stream.reshape(-1, 1)
        self.nodes.append(GraphNode(np.zeros((1, 1, 1)), value.size))
        here = len(self.nodes) - 1
        self.matrices.append(placed(layer, signal, here, np.ones((1, 1, 1)), value))
        return NeuronSignal(here, value, np.ones((value.size, 1, 1)), value.size)


def _expect(layer: Weights, grid: tuple[int, int]) -> None:
    channels, tokens = grid
    if isinstance(layer, TokenMixing):
        if layer.tokens_in != tokens:
            raise InputError(
                f"expected {layer.tokens_in} tokens before {described(layer)}, got {tokens}; correct them."
            )
        return
    taps = pattern(layer, (tokens,)).taps
    if taps.shape != (1, tokens, tokens) or (taps[0] != np.eye(tokens)).any():
        raise InputError(
            f"expected 1×1 convolutions in a network that mixes tokens, got {described(layer)}; measure it."
        )
    if layer.sizes[0] != channels:
        raise InputError(f"expected {layer.sizes[0]} channels before {described(layer)}, got {channels}; correct them.")
