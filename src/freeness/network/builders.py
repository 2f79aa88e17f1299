"""Networks by a few numbers."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from freeness.errors import InputError, check_sizes, is_real, is_size
from freeness.gaussian import ActivationFunction, activation
from freeness.network.ensembles import Gaussian, Haar, ScaledIdentity
from freeness.network.graph import Network, Residual, Step
from freeness.network.operations import Activation, Convolution, Dense, Normalisation, TokenMixing
from freeness.numerics import HUGE

_ENSEMBLES = {"haar": Haar, "gaussian": Gaussian, "identity": ScaledIdentity}


def mlp(
    depth: int,
    width: int | Sequence[int],
    activation: str | ActivationFunction = "hardtanh",
    weights: str = "haar",
    *,
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
) -> Network:
    """A fully connected network of ``depth`` weight matrices with a linear last layer (theory.md §0).

    Args:
        depth: L, the number of weight matrices; there are L - 1 activations.
        width: one width for all layers, or the L + 1 widths N_0, …, N_L.
        activation: a name of the table or an :class:`ActivationFunction`.
        weights: ``"haar"``, ``"gaussian"`` or ``"identity"``.
        sigma_w: gain of the weights.
        sigma_b: standard deviation of the biases; biases are trained if it is positive.

    Raises:
        InputError: sizes that are not whole numbers ≥ 1, an unknown name, or a gain that is not a number.

    Example:
        >>> mlp(depth=3, width=[784, 500, 300, 10], activation="relu", weights="gaussian", sigma_w=2**0.5).widths
        (784, 500, 300, 10)
    """
    widths = _widths(depth, width)
    if not isinstance(weights, str) or weights not in _ENSEMBLES:
        raise InputError(f"expected weights among {', '.join(_ENSEMBLES)}, got {weights!r}; choose one.")
    if not (is_real(sigma_w) and 0 < sigma_w < HUGE and is_real(sigma_b) and 0 <= sigma_b < HUGE):
        raise InputError(
            f"expected numbers sigma_w > 0 and sigma_b ≥ 0 below 1e100, got {sigma_w!r} and {sigma_b!r}; correct them."
        )
    function = activation if isinstance(activation, ActivationFunction) else _activation(activation)
    ensemble = _ENSEMBLES[weights](float(sigma_w))
    layers: list[Step] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        layers.append(Dense(fan_in, fan_out, ensemble, float(sigma_b), bool(sigma_b > 0), f"layer{index}"))
        if index < depth:
            layers.append(Activation(function, f"activation{index}"))
    return Network(tuple(layers))


@dataclass(frozen=True)
class Branch:
    """What the residual blocks of :func:`resnet` add to their stream.

    ``pre``: [normalisation,] φ, W; ``post``: W, [normalisation,] φ; ``dense`` times. ``scale``: β; 1/√blocks when left out.
    """

    activation: str | ActivationFunction = "relu"
    weights: str = "gaussian"
    sigma_w: float = 1.0
    sigma_b: float = 0.0
    order: Literal["pre", "post"] = "pre"
    normalisation: Literal["layer", "rms", "batch"] | None = None
    dense: int = 1
    scale: float | None = None


def resnet(
    blocks: int, width: int, branch: Branch | None = None, *, inputs: int | None = None, outputs: int | None = None
) -> Network:
    """A residual network x ↦ x + β·branch(x) of one width.

    Args:
        blocks: residual blocks, ≥ 1.
        width: N ≥ 1, neurons of the stream.
        branch: ReLU and one Gaussian matrix with β = 1/√blocks when left out.
        inputs: N_0 of a first weight layer into the stream; none when left out.
        outputs: of a last weight layer out of it; none when left out.

    Raises:
        InputError: sizes that are not whole numbers ≥ 1, an unknown name, or a gain that is not a number.

    Example:
        >>> resnet(4, 100, Branch("tanh", dense=2), inputs=784, outputs=10).depth
        10
    """
    kind = branch or Branch()
    check_sizes(blocks=blocks, width=width, dense=kind.dense)
    if kind.order not in ("pre", "post"):
        raise InputError(f'expected the order "pre" or "post", got {kind.order!r}; choose one.')
    if not isinstance(kind.activation, ActivationFunction):
        kind = replace(kind, activation=_activation(kind.activation))  # one for all blocks
    beta = 1 / np.sqrt(blocks) if kind.scale is None else kind.scale
    if not is_real(beta):
        raise InputError(f"expected a finite branch scale, got {kind.scale!r}; correct it.")
    layers: list[Step] = []
    if inputs is not None:
        layers.append(_matrix(kind, inputs, width, "embedding"))
    layers += [
        Residual(_branch(kind, width, str(block)), float(beta), name=f"block{block}") for block in range(1, blocks + 1)
    ]
    if outputs is not None:
        layers.append(_matrix(kind, width, outputs, "readout"))
    return Network(tuple(layers))


def _matrix(kind: Branch, fan_in: int, fan_out: int, name: str) -> Dense:
    layer = mlp(1, [fan_in, fan_out], kind.activation, kind.weights, sigma_w=kind.sigma_w, sigma_b=kind.sigma_b)
    return replace(layer.dense[0], name=name)


def _branch(kind: Branch, width: int, block: str) -> tuple[Step, ...]:
    function = kind.activation if isinstance(kind.activation, ActivationFunction) else _activation(kind.activation)
    layers: list[Step] = []
    for index in range(1, kind.dense + 1):
        end = f"{block}.{index}"
        norm = [] if kind.normalisation is None else [Normalisation(kind.normalisation, name=f"normalisation{end}")]
        matrix, bent = _matrix(kind, width, width, f"layer{end}"), Activation(function, f"activation{end}")
        layers += [*norm, bent, matrix] if kind.order == "pre" else [matrix, *norm, bent]
    return tuple(layers)


def cnn(
    chain: Network,
    kernel: tuple[int, ...] = (3, 3),
    padding: Literal["circular", "zeros", "valid"] = "circular",
    stride: int = 1,
) -> Network:
    """The convolutional network whose layers have the channels, weights and activations of a fully connected one.

    Args:
        chain: as of :func:`mlp`; its widths are channels. Haar weights become delta-orthogonal kernels.
        kernel: taps in every dimension of the positions.
        padding: ``"circular"``, ``"zeros"`` or ``"valid"``.
        stride: positions between two windows of every convolution, ≥ 1.

    Example:
        >>> cnn(mlp(6, 64, "tanh", "gaussian"), kernel=(3,)).layers[0].kernel
        (3,)
    """
    return Network(
        tuple(
            Convolution(
                layer.fan_in,
                layer.fan_out,
                tuple(kernel),
                layer.weights,
                padding,
                stride,
                layer.sigma_b,
                layer.bias,
                layer.name,
            )
            if isinstance(layer, Dense)
            else layer
            for layer in chain.chain()
        )
    )


def mixer(
    blocks: int,
    tokens: int,
    channels: int,
    branch: Branch | None = None,
    *,
    hidden: tuple[int, int] | None = None,
) -> Network:
    """MLP-Mixer blocks on a (channels, tokens) stream: a residual token-mixing MLP, then a residual channel-mixing one.

    Args:
        blocks: residual blocks, ≥ 1.
        tokens: positions P ≥ 1.
        channels: C ≥ 1 of the stream.
        branch: activation, weights, gains and scale of every residual branch (layer normalisation and GELU with scale 1
            when left out); each is [normalisation,] W, φ, W.
        hidden: widths inside the token-mixing and the channel-mixing branches; tokens and channels when left out.

    Raises:
        InputError: sizes that are not whole numbers ≥ 1, or an unknown name.

    Source: Tolstikhin et al. (2021); spectra: Hayase, Karakida (2023).

    Example:
        >>> mixer(2, 16, 32).depth
        8
    """
    kind = branch or Branch("gelu", normalisation="layer", scale=1.0)
    across, along = (tokens, channels) if hidden is None else hidden
    check_sizes(blocks=blocks, tokens=tokens, channels=channels, hidden=across)
    check_sizes(hidden=along)
    scale = 1 / np.sqrt(2 * blocks) if kind.scale is None else kind.scale
    bent = Activation(
        kind.activation if isinstance(kind.activation, ActivationFunction) else _activation(kind.activation)
    )
    norm = () if kind.normalisation is None else (Normalisation(kind.normalisation),)
    layers: list[Step] = []
    for block in range(1, blocks + 1):
        inner = [
            _matrix(kind, *sizes, f"token{block}.{i}") for i, sizes in ((1, (tokens, across)), (2, (across, tokens)))
        ]
        outer = [
            _matrix(kind, *sizes, f"channel{block}.{i}")
            for i, sizes in ((1, (channels, along)), (2, (along, channels)))
        ]
        mixing = [TokenMixing(d.fan_in, d.fan_out, d.weights, d.sigma_b, d.bias, d.name) for d in inner]
        pointwise = [
            Convolution(d.fan_in, d.fan_out, (1,), d.weights, "circular", 1, d.sigma_b, d.bias, d.name) for d in outer
        ]
        layers += [
            Residual((*norm, mixing[0], bent, mixing[1]), float(scale), name=f"tokens{block}"),
            Residual((*norm, pointwise[0], bent, pointwise[1]), float(scale), name=f"channels{block}"),
        ]
    return Network(tuple(layers))


def _widths(depth: object, width: object) -> list[int]:
    """The L + 1 widths as plain integers."""
    if not is_size(depth):
        raise InputError(
            f"expected a depth that is a whole number ≥ 1, got {depth!r}; give the number of weight matrices."
        )
    count = int(depth) + 1
    if is_size(width):
        return [int(width)] * count
    given = width.tolist() if isinstance(width, np.ndarray) else width
    if not isinstance(given, Sequence) or isinstance(given, (str, bytes)):
        raise InputError(f"expected a width or {count} widths, whole numbers ≥ 1, got {width!r}; correct it.")
    if len(given) != count or not all(map(is_size, given)):
        raise InputError(
            f"expected {count} widths, whole numbers ≥ 1, for depth {depth}, got {list(given)}; correct them."
        )
    return [int(n) for n in given]


_activation = activation
