"""Random networks: the law of JJᵀ or Θ beside one that is drawn with its weights and differentiated by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from scipy import special

import freeness as fr
from freeness.network import (
    Activation,
    Branch,
    Dense,
    Flatten,
    Haar,
    Network,
    Pooling,
    Residual,
    cnn,
    mixer,
    mlp,
    resnet,
    transformer,
)
from tests.fuzz.case import Case
from tests.fuzz.trees import levels
from tests.spectra.graph_simulation import draw_graph
from tests.spectra.position_simulation import draw_positions
from tests.spectra.simulation import draw, weight
from tests.spectra.wired_simulation import drawn_network

_NONE = np.empty(0)
_SMOOTH = ("tanh", "erf", "gelu", "silu", "softplus", "sigmoid", "sin", "elu", "selu", "mish", "softsign")
_BROKEN = ("relu", "hardtanh", "leaky_relu", "relu6", "hardswish", "hardsigmoid")
# What norms and attention leave out is 1/N of narrow networks.
_OF_REALISED, _OF_NARROW = 0.03, 0.06


def _activation(rng: np.random.Generator) -> str:
    return str(rng.choice(_SMOOTH if rng.random() < 0.5 else _BROKEN))


def _gain(rng: np.random.Generator) -> float:
    return round(float(rng.uniform(0.8, 1.8)), 3)


def _bias(rng: np.random.Generator) -> float:
    return float(rng.choice([0.0, round(rng.uniform(0.01, 0.5), 3)]))


def _weights(rng: np.random.Generator) -> str:
    return str(rng.choice(["haar", "gaussian"]))


def chain(rng: np.random.Generator) -> Case:
    """Of the mean field, of the laws of D² of one pass, or of its neurons."""
    depth = int(rng.integers(1, 7))
    widths = [int(rng.choice([160, 240, 240, 320])) for _ in range(depth + 1)]
    network = mlp(depth, widths, _activation(rng), _weights(rng), sigma_w=_gain(rng), sigma_b=_bias(rng))
    qhat0, fisher = round(float(rng.uniform(0.3, 1.5)), 3), bool(rng.random() < 0.5)
    seen, seed = str(rng.choice(["mean field", "laws", "neurons"])), int(rng.integers(2**31))
    drawn = cache(lambda: draw(network, qhat0, np.random.default_rng(seed)))

    def law() -> fr.Law:
        realised = {"mean field": None, "laws": drawn().signals, "neurons": drawn().signals.neurons}[seen]
        return (fr.fisher_law if fisher else fr.jacobian_law)(network, qhat0, realised=realised)

    def spectrum(size: int, rng: np.random.Generator) -> np.ndarray:
        if seen == "mean field":
            return _of_mean_field(network, qhat0, fisher, rng)
        return drawn().fisher if fisher else drawn().jacobian

    first = network.dense[0]
    text = (
        f"{'Θ' if fisher else 'JJᵀ'} of {depth} layers {widths}, {first.weights}, σ_b {first.sigma_b}, "
        f"{_bends(network)}, q {qhat0}, {seen}"
    )
    return Case(text, law, spectrum, _NONE, allowed=_OF_REALISED, smooth=False)


def deep(rng: np.random.Generator) -> Case:
    """Chains of the mean field to depth 30, which is what rates and designs ask about."""
    depth, width, fisher = int(rng.integers(7, 31)), int(rng.choice([160, 240])), bool(rng.random() < 0.5)
    network = mlp(depth, width, _activation(rng), _weights(rng), sigma_w=_gain(rng), sigma_b=_bias(rng))
    qhat0, first = round(float(rng.uniform(0.3, 1.5)), 3), network.dense[0]
    text = (
        f"{'Θ' if fisher else 'JJᵀ'} of {depth} layers of {width}, {first.weights}, σ_b {first.sigma_b}, {_bends(network)}, "
        f"q {qhat0}"
    )
    return Case(
        text,
        lambda: (fr.fisher_law if fisher else fr.jacobian_law)(network, qhat0),
        lambda size, rng: _of_mean_field(network, qhat0, fisher, rng),
        _NONE,
        allowed=_OF_REALISED,
        smooth=False,
    )


def _of_mean_field(network: Network, qhat0: float, fisher: bool, rng: np.random.Generator) -> np.ndarray:
    """Of fresh matrices between derivatives at Gaussian quantiles in random order: one network's signals wander, these do not.

    q = σ_w² q̂ + σ_b² and q̂ = E φ(√q z)², by the trapezoidal rule.
    """
    z = np.linspace(-9.0, 9.0, 40_001)
    mean, masses = qhat0, special.softmax(-(z**2) / 2)
    steps: list[tuple[np.ndarray, np.ndarray, float]] = []  # W, D behind it, ‖x‖² (+ 1) before it
    for layer in network.layers:
        if isinstance(layer, Dense):
            norm = layer.fan_in * mean + layer.bias
            steps.append((weight(layer, rng), np.ones(layer.fan_out), norm))
            rows = (
                min(1.0, layer.fan_in / layer.fan_out) if isinstance(layer.weights, Haar) else 1.0
            )  # their mean norm²
            mean = rows * layer.weights.sigma_w**2 * mean + layer.sigma_b**2
        elif isinstance(layer, Activation):
            matrix, before, norm = steps[-1]
            own = rng.permutation(layer.function.derivative(mean**0.5 * special.ndtri(levels(before.size))))
            steps[-1] = matrix, own, norm
            mean = float(masses @ layer.function.function(mean**0.5 * z) ** 2)
    backward = np.eye(network.widths[-1])
    theta = np.zeros_like(backward)
    for matrix, own, norm in reversed(steps):
        backward = backward * own
        theta += norm * backward @ backward.T
        backward = backward @ matrix
    if fisher:
        return np.linalg.eigvalsh(theta)
    values = np.linalg.svd(backward, compute_uv=False) ** 2
    return np.append(values, np.zeros(network.widths[-1] - values.size))


def _bends(network: Network) -> str:
    return ", ".join(sorted({one.function.name for one in network.operations if isinstance(one, Activation)}))


def residual(rng: np.random.Generator) -> Case:
    """Blocks x + β·branch(x), sometimes with an activation behind each, between matrices or without; of one pass's neurons."""
    width, blocks = int(rng.choice([120, 160])), int(rng.integers(1, 4))
    branch = Branch(
        _activation(rng),
        _weights(rng),
        sigma_w=_gain(rng),
        sigma_b=_bias(rng),
        order=rng.choice(["pre", "post"]),  # type: ignore[arg-type]
        normalisation=rng.choice(np.array([None, None, "layer", "rms"])),
        dense=int(rng.integers(1, 3)),
        scale=round(float(rng.uniform(0.2, 0.9)), 3),
    )
    inputs, outputs = (int(rng.choice([80, width])) if rng.random() < 0.6 else None for _ in range(2))
    network = resnet(blocks, width, branch, inputs=inputs, outputs=outputs)
    fisher, seed = bool(rng.random() < 0.5), int(rng.integers(2**31))
    text = f"{'Θ' if fisher else 'JJᵀ'} of {blocks} blocks of {width}, {inputs} in, {outputs} out, {branch}"

    @cache
    def drawn():  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(seed)
        return draw_graph(network, rng.standard_normal(inputs or width), rng)

    def law() -> fr.Law:
        return (fr.fisher_law if fisher else fr.jacobian_law)(network, realised=drawn().signals)

    allowed = _OF_NARROW if outputs == 80 else _OF_REALISED
    return Case(
        text, law, lambda *_: drawn().fisher if fisher else drawn().jacobian, _NONE, allowed=allowed, smooth=False
    )


def convolutional(rng: np.random.Generator) -> Case:
    """Convolutions over a few positions, with skips, pooling or a matrix behind."""
    channels, depth = int(rng.choice([32, 48])), int(rng.integers(1, 4))
    plane = (3,) if rng.random() < 0.6 else (2, 2)
    base = mlp(depth, channels, _activation(rng), _weights(rng), sigma_w=_gain(rng), sigma_b=_bias(rng))
    padding = str(rng.choice(["circular", "zeros"]))
    network = cnn(base, (3,) * len(plane), padding)  # type: ignore[arg-type]
    end = str(rng.choice(["none", "skip", "pooling", "flat"]))
    last = base.dense[0]
    if end == "skip":
        bent = Activation(
            next(iter([*(o.function for o in network.operations if isinstance(o, Activation))]), fr.activation("relu"))
        )
        more = replace(network.operations[0], name="more")
        network = Network((*network.operations, Residual((bent, more), 0.5)))
    elif end == "pooling":
        network = Network((*network.operations, Pooling(None), replace(last, name="head")))
    elif end == "flat":
        head = Dense(channels * int(np.prod(plane)), channels, last.weights, last.sigma_b, last.bias, "head")
        network = Network((*network.operations, Flatten(), head))
    fisher, seed = bool(rng.random() < 0.4), int(rng.integers(2**31))
    text = (
        f"{'Θ' if fisher else 'JJᵀ'} of {depth} convolutions, {channels} channels on {plane}, {padding}, {last.weights}, "
        f"σ_b {last.sigma_b}, {_bends(network)}, end {end}"
    )

    @cache
    def drawn():  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(seed)
        return draw_positions(network, rng.standard_normal((1, channels, *plane)), rng)

    def law() -> fr.Law:
        return (fr.fisher_law if fisher else fr.jacobian_law)(network, realised=drawn().signals)

    return Case(
        text, law, lambda *_: drawn().fisher if fisher else drawn().jacobian, _NONE, allowed=_OF_NARROW, smooth=False
    )


def tokens(rng: np.random.Generator) -> Case:
    """A Transformer or a Mixer of one or two blocks: JJᵀ by one pass's signals."""
    count, width, seed = int(rng.integers(3, 6)), int(rng.choice([48, 64])), int(rng.integers(2**31))
    blocks = int(rng.integers(1, 3))
    bent = str(rng.choice(["gelu", "relu", "silu"]))
    if rng.random() < 0.4:
        branch = Branch(
            bent, "gaussian", sigma_w=_gain(rng), normalisation=rng.choice(np.array([None, "layer"])), scale=0.7
        )
        network = mixer(blocks, count, width, branch)
        text = f"Mixer of {blocks} blocks, {count} tokens, {width} channels, {branch}"
    else:
        choices = {
            "norm": str(rng.choice(["pre", "post", "none"])),
            "causal": bool(rng.random() < 0.4),
            "sigma_qk": round(float(rng.uniform(0.5, 1.5)), 3),
            "residual_scale": round(float(rng.uniform(0.3, 1.0)), 3),
            "gated": bool(rng.random() < 0.3),
            "rms": bool(rng.random() < 0.3),
            "hidden": int(rng.choice([width, 2 * width])),
            "activation": bent,
        }
        network = transformer(blocks, width, 4, count, **choices)
        text = f"Transformer of {blocks} blocks, {count} tokens, width {width}, {choices}"

    @cache
    def drawn():  # type: ignore[no-untyped-def]
        rng = np.random.default_rng(seed)
        return drawn_network(network, rng.standard_normal((width, count)), rng)

    return Case(
        text,
        lambda: fr.jacobian_law(network, realised=drawn()[0]),
        lambda *_: drawn()[1],
        _NONE,
        allowed=_OF_NARROW,
        smooth=False,
    )


def network(rng: np.random.Generator) -> Case:
    """One of these."""
    return [chain, residual, convolutional, tokens][int(rng.choice(4, p=[0.4, 0.3, 0.2, 0.1]))](rng)
