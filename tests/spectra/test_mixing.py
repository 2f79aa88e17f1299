"""Jacobians of token- and channel-mixing networks against drawn ones, whose matrices are written out by Kronecker products."""

import numpy as np
import pytest

from freeness import InputError, fisher_law, jacobian_law
from freeness.network import (
    Activation,
    Branch,
    Convolution,
    Dense,
    Haar,
    Network,
    Normalisation,
    Sum,
    TokenMixing,
    activation,
    mixer,
)
from freeness.spectra import NeuronSignals, drawn_pass, graph_law, network_graph, predict_jacobian
from tests.spectra.simulation import weight
from tests.spectra.wires import followed


def draw_mixer(network, x, rng):
    """Signals and eigenvalues of JJᵀ of a drawn network on x (channels, tokens)."""
    seen = []
    _, jacobian, _ = followed(network, x, lambda *given: _layer(*given, seen=seen, rng=rng))
    return NeuronSignals(x[None], tuple(h[None] for h in seen)), np.linalg.eigvalsh(jacobian @ jacobian.T)


def _layer(layer, x, *others, seen, rng):
    channels, tokens = x.shape
    match layer:
        case TokenMixing():
            w = weight(Dense(layer.tokens_in, layer.tokens_out, layer.weights), rng)
            seen.append(x @ w.T)
            return x @ w.T, (np.kron(np.eye(channels), w),), None
        case Convolution():
            v = weight(Dense(layer.channels_in, layer.channels_out, layer.weights), rng)
            seen.append(v @ x)
            return v @ x, (np.kron(v, np.eye(tokens)),), None
        case Activation():
            return layer.function.function(x), (np.diag(layer.function.derivative(x).ravel()),), None
        case Normalisation():
            centred = x - x.mean(axis=0)
            size = np.sqrt((centred**2).mean(axis=0) + layer.epsilon)
            step = np.zeros((channels, tokens, channels, tokens))
            for p in range(tokens):
                normal = centred[:, p] / size[p]
                step[:, p, :, p] = (np.eye(channels) - 1 / channels - np.outer(normal, normal) / channels) / size[p]
            return centred / size, (step.reshape(x.size, x.size),), None
        case Sum():
            value = sum(scale * one for scale, one in zip(layer.scales, (x, *others), strict=True))
            return value, tuple(scale * np.eye(x.size) for scale in layer.scales), None
    raise AssertionError(layer)


def haar_mixer(blocks, tokens, channels):
    return mixer(blocks, tokens, channels, Branch("tanh", "haar", sigma_w=1.3, scale=0.6, normalisation="layer"))


def mixing_chain(tokens, channels):
    bent = Activation(activation("hardtanh"))
    pair = (TokenMixing(tokens, tokens, Haar(1.1)), bent, Convolution(channels, channels, (1,), Haar(1.1)), bent)
    return Network((pair * 3)[:-1])


@pytest.mark.parametrize(
    ("network", "tokens", "lowest"),
    [
        (haar_mixer(3, 12, 24), 12, 0.7),
        pytest.param(haar_mixer(3, 20, 40), 20, 0.7, marks=pytest.mark.slow),
        pytest.param(mixing_chain(20, 40), 20, 0.99, marks=pytest.mark.slow),
    ],
    ids=["small", "residual", "chain"],
)
def test_the_jacobian_of_a_drawn_mixer(network, tokens, lowest):
    """4 draws: Cauchy transform within 5 % + 4 standard errors, as the module says; the upper end is low by up to ``lowest``."""
    ratios, tops = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        signals, eigenvalues = draw_mixer(network, rng.standard_normal((2 * tokens, tokens)), rng)
        law = graph_law(network_graph(network, realised=signals))
        z = np.quantile(eigenvalues, [0.1, 0.5, 0.9]) + 1j * eigenvalues[-1] / 20
        ratios.append(law.cauchy(z) / (1 / (z[:, None] - eigenvalues)).mean(axis=1))
        tops.append(law.upper_end / eigenvalues[-1])
    errors = np.std(ratios, axis=0, ddof=1) / 2
    assert (np.abs(np.mean(ratios, axis=0) - 1) <= 0.05 + 4 * errors).all() and errors.max() < 0.05
    assert lowest < np.mean(tops) < 1.05


def test_drawn_signals_stand_for_a_drawn_network():
    """Mean field, and one pass without weights: mean of JJᵀ within 10 % of a drawn network's."""
    network = haar_mixer(2, 16, 32)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, 16))
    _, eigenvalues = draw_mixer(network, x, rng)
    found = predict_jacobian(network, samples=x[None])
    assert found.law.mean == pytest.approx(eigenvalues.mean(), rel=0.1)
    assert any("tokens" in text for text in found.assumptions)
    passed = drawn_pass(network, samples=x[None], rng=rng)
    assert jacobian_law(network, realised=passed).mean == pytest.approx(eigenvalues.mean(), rel=0.1)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: fisher_law(haar_mixer(1, 4, 8), samples=np.ones((1, 8, 4))), "measure it"),
        (lambda: jacobian_law(haar_mixer(1, 4, 8), samples=np.ones((1, 8, 5))), "4 tokens"),
        (lambda: jacobian_law(haar_mixer(1, 4, 8), samples=np.ones((2, 8, 4))), "one sample"),
        (lambda: jacobian_law(haar_mixer(1, 4, 8)), "samples"),
        (lambda: network_graph(mixer(1, 4, 8), samples=np.ones((1, 8, 4))), "far from free"),
        (lambda: mixer(0, 4, 8), "blocks"),
    ],
)
def test_what_is_not_covered_is_named(ask, message):
    with pytest.raises(InputError, match=message):
        ask()
