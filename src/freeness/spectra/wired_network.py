"""JJᵀ and Θ of networks with attention, token weights or depthwise weights, from a pass drawn or realised.

Source: theory.md §11, §12 (this project's derivation, checked by simulation).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Num

from freeness.errors import InputError
from freeness.meanfield import NeuronSignals, in_patches
from freeness.network import (
    INPUT,
    Attention,
    Concatenation,
    Constant,
    Convolution,
    Embedding,
    Gaussian,
    Network,
    Operation,
    Reshape,
    TokenMixing,
    Weights,
    described,
)
from freeness.operators import WiredEquation
from freeness.spectra import wired_operations as wired_operations  # registers its rules
from freeness.spectra.graph import CHANNELS, NetworkGraph, by_channel, drawn, inputs_of
from freeness.spectra.graph_builder import Branching, Parametrisation
from freeness.spectra.wires import WireBuilder


def follows_wires(network: Network) -> bool:
    """Whether it has what only this way knows: attention, constants, joined channels, depthwise, or token and Gaussian weights.

    Example:
        >>> from freeness.network import mixer, mlp, transformer
        >>> [follows_wires(one) for one in (mlp(2, 4), mixer(1, 4, 8), transformer(1, 8, 2, 3))]
        [False, True, True]
    """
    kinds = {type(operation) for operation in network.operations}
    if TokenMixing in kinds:
        return any(isinstance(layer.weights, Gaussian) for layer in network.weights)
    grouped = any(isinstance(one, Convolution) and one.groups > 1 for one in network.operations)
    return grouped or bool({Attention, Constant} & kinds) or _joins_channels(network)


def _joins_channels(network: Network) -> bool:
    return any(isinstance(one, Concatenation) and one.along == "channels" for one in network.operations)


def wired_equation(
    network: Network,
    qhat0: float = 1.0,
    *,
    samples: Num[np.ndarray, " samples *shape"] | None = None,
    realised: NeuronSignals | None = None,
    fisher: Parametrisation | None = None,
    rng: np.random.Generator | None = None,
) -> WiredEquation:
    """The equations of JJᵀ, or of Θ = J_θJ_θᵀ, over all outputs of all samples together.

    Args:
        network: of Gaussian weights over channels, and what lies between them.
        qhat0: mean square of the entries of one random input, where neither samples nor signals are given.
        samples: inputs (n, N₀) or (n, channels, *positions), behind which every layer is drawn with fresh weights.
        realised: signals of one forward pass of this network instead.
        fisher: Θ instead of JJᵀ, in this parametrisation. Of tokens before an :class:`~freeness.network.Embedding` JJᵀ is by
            the vectors that it gives.
        rng: for drawing; the same every time when left out.

    Raises:
        InputError: an operation that is not covered, or signals of another network.

    Example:
        >>> from freeness.network import transformer
        >>> equation = wired_equation(transformer(1, 8, 2, 3))
        >>> [type(part).__name__ for part in equation.parts], len(equation.matrices)
        (['WiredPart', 'UnitsPart', 'HeadsPart'], 6)
    """
    generator = rng or np.random.default_rng(0)
    if samples is None and realised is None:
        samples = _random_input(network, qhat0, generator)
    x, channels = inputs_of(network, qhat0, samples, realised, generator)
    known = None if realised is None else iter(realised.preactivations)
    most = len(x) if len(x) < channels else CHANNELS if _has_stem(network) else None

    def given_outputs(layer: Weights) -> np.ndarray | None:
        if known is None:
            return None
        h = by_channel(next(known, np.empty(0)))
        wide = len(x) if isinstance(layer, TokenMixing) else layer.sizes[1]
        if not isinstance(layer, TokenMixing) and len(h) != wide:
            raise InputError(
                f"expected {wide} finite outputs of {described(layer)}, got {len(h)}; take the signals of this very network."
            )
        return h

    def source(layer: Weights, shape: tuple[int, ...], covariance: np.ndarray) -> np.ndarray:
        h = given_outputs(layer)
        if h is not None:
            return h
        count = layer.sizes[1] if most is None else min(layer.sizes[1], most)
        return drawn(count, covariance, generator, exact=False).reshape(count, *shape)

    builder = WireBuilder(source, given_outputs, generator, fisher, own={} if realised is None else realised.own)
    return builder.equation(builder.through(*_on_windows(network, x, channels)))


def _on_windows(network: Network, x: np.ndarray, channels: int) -> tuple[Network, np.ndarray, int]:
    """A first convolution whose windows do not overlap is a matrix on what they see: cutting an input up keeps JJᵀ.

    Of a Vision Transformer this leaves a position a patch, in place of one a pixel.
    """
    readers = network.readers(INPUT)
    layer = readers[0].operation if len(readers) == 1 else None
    apart = (
        isinstance(layer, Convolution)
        and layer.padding == "valid"
        and layer.dilation == 1
        and layer.stride >= max(layer.kernel)
        and len(x) == channels
    )
    found = in_patches(network, np.moveaxis(x, 0, 1)) if apart else None
    if found is None:
        return network, x, channels
    seen = np.moveaxis(found.points, 1, 0)
    return found.network, seen, len(seen)


def graph_or_wires(
    network: Network,
    graph: Callable[[], NetworkGraph],
    equation: Callable[[], WiredEquation],
) -> NetworkGraph | WiredEquation:
    """A graph of chains where there is one, and else, of Gaussian weights, the equations along the wires.

    Raises:
        Branching: there is no such graph, and weights are not Gaussian.
    """
    try:
        return graph()
    except Branching:
        if all(isinstance(layer.weights, Gaussian) for layer in network.weights):
            return equation()
        raise


def _has_stem(network: Network) -> bool:
    """Whether all that reads the input are weights, no attention behind, so that some channels can stand for all."""
    readers = network.readers(INPUT)
    mixed = any(isinstance(one, (Attention, TokenMixing)) for one in network.operations)
    return not (mixed or _joins_channels(network)) and all(isinstance(node.operation, Weights) for node in readers)


def _random_input(network: Network, qhat0: float, rng: np.random.Generator) -> np.ndarray | None:
    """One input of independent Gaussian entries, or of random tokens, where the operations say its channels and positions."""
    positions = next(
        (shape for operation in network.operations if (shape := _positions_of(operation)) is not None), None
    )
    first = next((layer for layer in network.weights if not isinstance(layer, TokenMixing)), None)
    if positions is None or first is None or not (np.isfinite(qhat0) and qhat0 > 0):
        return None
    if isinstance(first, Embedding):
        return rng.integers(first.count, size=(1, *positions))
    return np.sqrt(qhat0) * rng.standard_normal((1, first.sizes[0], *positions))


def _positions_of(operation: Operation) -> tuple[int, ...] | None:
    match operation:
        case Reshape(positions=positions) | Constant(positions=positions) if positions:
            return positions
        case TokenMixing(tokens_in=tokens):
            return (tokens,)
        case _:
            return None
