"""Second moments through attention, forward, backward and of every weight, against sums written out and drawn Transformers."""

from dataclasses import replace

import numpy as np
import pytest

from freeness import InputError
from freeness.meanfield import backward, fisher_trace, gradients, joined, kernels
from freeness.network import (
    INPUT,
    Activation,
    Attention,
    Constant,
    Convolution,
    Dense,
    DrawnSource,
    Gaussian,
    Network,
    Node,
    Normalisation,
    Pooling,
    PositionWise,
    Product,
    RelativeScores,
    Residual,
    Rotary,
    Stream,
    Sum,
    activation,
    transformer,
)
from freeness.network.operations.attention import _UNTURNED, _back, _response, _returned
from freeness.numerics import gaussian_nodes
from tests.meanfield.simulated import assert_drawn, simulated_gradients, simulated_kernels, simulated_weights

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def fresh_numbers():
    """The same in every test, whatever ran before."""
    RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state


NAMES = ("query", "key", "value")


def gram(positions, samples=1, features=40):
    x = RNG.standard_normal((samples, positions, features))
    return x @ x.transpose(0, 2, 1) / features


def streams(*grams, features=32):
    return tuple(
        Stream(
            second,
            np.ones(second.shape[:2]),
            None,
            True,
            across=True,
            features=features,
            sources=frozenset((DrawnSource(name),)),
        )
        for second, name in zip(grams, NAMES, strict=True)
    )


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_the_derivative_of_the_softmax_is_the_sum_written_out():
    """R and K' as products of matrices against all four indices (theory.md §11)."""
    weights, value, key, query, gradient = softmax(RNG.standard_normal((3, 5))), *(gram(n)[0] for n in (5, 5, 3, 3))
    moved = weights @ value
    spans = (
        value[None, :, None, :]
        - moved[:, None, None, :]
        - moved.T[None, :, :, None]
        + (moved @ weights.T)[:, None, :, None]
    )  # i j k l
    response = np.einsum("ij,kl,ijkl,jl->ik", weights, weights, spans, key)
    returned = np.einsum("ik,ik,ij,km,ijkm->jm", gradient, query, weights, weights, spans)
    one = weights[None, None]
    np.testing.assert_allclose(
        _response(one, one, value[None, None], key[None, None], _UNTURNED)[0, 0], response, atol=1e-13
    )
    np.testing.assert_allclose(
        _returned(one, one, value[None, None], (gradient * query)[None], _UNTURNED)[0, 0], returned, atol=1e-13
    )


def test_products_of_lags_add_up_to_the_correlation_of_turned_scores():
    """Of two of three pairs that are turned, between five queries and four keys: 1e-4 of ρ(0), and sums over four positions."""
    rotary, lags = Rotary((1.0, 0.3)), np.arange(5)[:, None] - np.arange(4)
    turns = tuple(zip(*rotary.products(5, 4, 6), strict=True))
    known = rotary.correlation(lags[:, :, None, None] - lags, 6)  # i, j, k, l
    found = sum(u[:, None, :, None] * v[None, :, None, :] for u, v in turns)
    np.testing.assert_allclose(found, known, atol=1e-4)
    roots = rotary.roots(5, 4, 6)
    np.testing.assert_allclose(np.einsum("rij,rkl->ijkl", roots, roots), known, atol=1e-4)
    weights, value, key, query, gradient = softmax(RNG.standard_normal((5, 4))), *(gram(n)[0] for n in (4, 4, 5, 5))
    moved = weights @ value
    spans = (
        value[None, :, None] - moved[:, None, None] - moved.T[None, :, :, None] + (moved @ weights.T)[:, None, :, None]
    )
    every, one = np.einsum("ij,kl,ijkl,ijkl->ijkl", weights, weights, spans, known), weights[None, None]
    np.testing.assert_allclose(
        _response(one, one, value[None, None], key[None, None], turns)[0, 0],
        np.einsum("ijkl,jl->ik", every, key),
        atol=1e-3,
    )
    np.testing.assert_allclose(
        _returned(one, one, value[None, None], (gradient * query)[None], turns)[0, 0],
        np.einsum("ijkl,ik->jl", every, gradient * query),
        atol=1e-3,
    )


def test_weights_of_equal_scores_are_means():
    """At scale 0 every query takes the mean of what it sees, and nothing comes back to queries and keys."""
    value, gradient = gram(4), gram(4)
    three = streams(gram(4), gram(4), value)
    for causal in (False, True):
        mean = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None] if causal else np.full((4, 4), 0.25)
        operation = Attention(2, causal, 0.0)
        after, _ = joined(operation, three)
        np.testing.assert_allclose(after.second, mean @ value @ mean.T, rtol=1e-12)
        assert after.scatter < 1e-7
        query, key, back = backward(operation, three, after, gradient)
        assert not query.any()
        assert not key.any()
        np.testing.assert_allclose(back, mean.T @ gradient @ mean, rtol=1e-12)


def test_two_keys_are_an_integral_over_one_score():
    """A = (s, 1 - s) with s the sigmoid of a Gaussian of variance Q(K₁₁ + K₂₂ - 2K₁₂)."""
    key, value, query = gram(2, 400), gram(2, 400), np.full((400, 1, 1), 1.7)
    key[:], value[:] = key[0], value[0]
    after, _ = joined(Attention(4), streams(query, key, value))
    nodes, mass = gaussian_nodes(1.7 * float(key[0, 0, 0] + key[0, 1, 1] - 2 * key[0, 0, 1]))
    sigmoid = 1 / (1 + np.exp(-nodes))
    weights = np.stack([sigmoid, 1 - sigmoid], axis=1)
    exact = mass @ np.einsum("xi,ij,xj->x", weights, value[0], weights)
    draws = after.second[:, 0, 0]
    assert abs(draws.mean() - exact) < 4 * draws.std() / 20
    assert 0.5 < (draws.std() / exact) / after.scatter < 1.5  # the standard error that is told is that of one sample


def test_scores_over_the_full_width_leave_no_derivative():
    """At 1/d_k scores have the variance 1/d_k, so what comes back to queries falls by d_k."""
    three = streams(gram(6), gram(6), gram(6), features=256)
    after, _ = joined(Attention(1, scale="full"), three)
    by_full = backward(Attention(1, scale="full"), three, after, gram(6))
    by_number = backward(Attention(1, scale=1 / 256), three, after, np.zeros((1, 6, 6)))
    assert np.trace(by_full[0][0]) < 0.01 * np.trace(by_full[2][0])
    assert not by_number[0].any()


def close(network, inputs, seeds, allowed):
    """As drawn networks, at every place."""
    found = gradients(network, inputs=inputs)
    assert_drawn(found, network, inputs, seeds, allowed)
    return {place.name: place for place in found}


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"norm": "post", "causal": True, "activation": "relu", "sigma_w": 1.3},
        {"norm": "none", "gated": True, "activation": "silu", "key_heads": 2, "residual_scale": 0.5},
        {"vocabulary": 11, "causal": True, "rms": True, "sigma_qk": 1.4, "rotary": 30.0},
        {"vocabulary": 11, "causal": True, "rms": True, "sigma_qk": 1.3},
    ],
    ids=["pre", "post", "gated", "rotary", "tokens"],
)
def test_transformers_are_drawn_transformers(choices):
    network = transformer(2, 128, 4, 5, hidden=128, **choices)
    tokens = RNG.integers(0, 11, (1, 5)) if "vocabulary" in choices else RNG.standard_normal((1, 128, 5))
    close(network, tokens, 10, 0.12)


@pytest.mark.slow
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("norm", "allowed"), [("pre", 0.1), ("post", 0.15)])
@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_nine_of_ten_layers_are_within_a_tenth(norm, allowed, causal, sigma):
    """Of the mean of 40 drawn networks, or two standard errors; each norm behind a sum adds about 1/100 at this width."""
    network = transformer(5, 256, 8, 10, norm=norm, causal=causal, sigma_qk=sigma, inputs=30, outputs=10, hidden=256)
    inputs = RNG.standard_normal((1, 30, 10))
    found = {place.name: place for place in gradients(network, inputs=inputs)}
    errors = []
    for name, (mean, error) in simulated_gradients(network, inputs, 40).items():
        pair = np.array([found[name].signal, found[name].gradient])
        errors += list(np.abs(mean - pair) / np.maximum(allowed * np.abs(mean), 2 * error))
    for (name, part), (mean, error) in simulated_weights(network, inputs, 40).items():
        errors.append(abs(mean - getattr(found[name], part)) / max(allowed * mean, 2 * error))
    assert np.mean(np.array(errors) <= 1) >= 0.9


def test_cross_attention_learned_positions_and_scales_of_the_branch():
    """Queries of one signal, keys and values of another with fewer positions; a trained scale on the branch (LayerScale)."""
    width = 128

    def layer(name, *inputs, fan_in=width, sigma_b=0.0):
        return Node(name, PositionWise(fan_in, width, Gaussian(1.0), sigma_b, sigma_b > 0, name), inputs)

    network = Network(
        (
            layer("stream", INPUT, fan_in=20, sigma_b=0.3),
            Node("places", Constant(width, (8,), 0.7), ()),
            Node("placed", Sum(), ("stream", "places")),
            Node("short", Convolution(20, width, (3,), Gaussian(1.2), "valid", 2, dilation=2), (INPUT,)),
            layer("query", "placed"),
            layer("key", "short", sigma_b=0.5),
            layer("value", "short"),
            Node("mixed", Attention(4), ("query", "key", "value")),
            layer("out", "mixed"),
            Node("gamma", Constant(width, (), 0.4), ()),
            Node("scaled", Product(), ("out", "gamma")),
            Node("shift", Constant(width, (), 0.2), ()),
            Node("sum", Sum((1.0, 1.0, 0.5)), ("placed", "scaled", "shift")),
            Node("pooled", Pooling(None), ("sum",)),
            Dense(width, 10, Gaussian(1.0)),
        )
    )
    found = close(network, RNG.standard_normal((1, 20, 8)), 14, 0.1)
    assert found["places"].weights > 0
    assert found["gamma"].weights > 0


def test_depthwise_and_grouped_convolutions():
    block = (
        Convolution(96, 96, (3,), Gaussian(1.1), groups=96),
        Normalisation("layer"),
        PositionWise(96, 192, Gaussian(1.0)),
        Activation(activation("gelu")),
        PositionWise(192, 96, Gaussian(1.0)),
    )
    first = Convolution(4, 96, (3,), Gaussian(1.0), "zeros", groups=2)
    network = Network((first, Residual(block, 0.7), Residual(block, 0.7), Pooling(None), Dense(96, 10, Gaussian(1.0))))
    close(network, RNG.standard_normal((1, 4, 8)), 16, 0.1)


@pytest.mark.parametrize(
    "choices",
    [
        {"norm": "none", "residual_scale": 0.35},
        {"gated": True, "rms": True},
        pytest.param({"gated": True, "activation": "silu"}, marks=pytest.mark.slow),
        pytest.param({"key_heads": 2}, marks=pytest.mark.slow),
    ],
    ids=["gelu without norms", "geglu", "swiglu", "grouped queries"],
)
def test_nine_of_ten_places_are_within_a_tenth_of_the_mean(choices):
    """Or two standard errors, over ten drawn networks."""
    network = transformer(2, 128, 4, 6, inputs=20, outputs=10, hidden=128, **choices)
    assert_mostly(network, np.random.default_rng(77).standard_normal((1, 20, 6)))


@pytest.mark.slow
@pytest.mark.parametrize("causal", [False, True])
def test_scores_of_distances_count_in_every_head_by_itself(causal):
    """One head sees what lies near, one what lies far, two both; without them a fifth of the weights are told otherwise."""
    far = tuple(1.5 * abs(m) for m in range(-5, 6))
    scores = RelativeScores((tuple(-one for one in far), far, (0.0,) * 11, (0.0,) * 11))
    plain = transformer(2, 128, 4, 6, inputs=20, outputs=10, hidden=128, causal=causal, sigma_qk=0.7)
    network = Network(
        [
            replace(node, operation=replace(node.operation, relative=scores))
            if isinstance(node.operation, Attention)
            else node
            for node in plain.nodes
        ]
    )
    inputs = RNG.standard_normal((1, 20, 6))
    assert_mostly(network, inputs)
    with_, without = (np.array([p.weights for p in gradients(one, inputs=inputs)]) for one in (network, plain))
    assert (np.abs(with_ - without) > 0.15 * with_).sum() > 0.2 * np.count_nonzero(with_)


@pytest.mark.parametrize(
    "layer",
    [
        Convolution(96, 96, (3,), Gaussian(1.4), "zeros", dilation=2),
        Convolution(96, 96, (3,), Gaussian(1.4), "zeros", 2),
        Convolution(96, 96, (3,), Gaussian(1.4), "zeros", groups=4),
    ],
    ids=["dilated", "strided", "grouped"],
)
def test_nine_of_ten_places_of_convolutions_are_within_a_tenth_of_the_mean(layer):
    first = Convolution(4, 96, (3,), Gaussian(1.4), "zeros")
    bend = Activation(activation("relu"))
    network = Network((first, bend, layer, bend, Pooling(None), Dense(96, 10, Gaussian(1.0))))
    assert_mostly(network, RNG.standard_normal((1, 4, 12)))


def assert_mostly(network, inputs, draws=10):
    """Nine of ten signals, gradients and weights within a tenth of the mean or two standard errors, all within 35 %."""
    found = {place.name: place for place in gradients(network, inputs=inputs)}
    pairs = []
    for name, (mean, error) in simulated_gradients(network, inputs, draws).items():
        told = np.array([found[name].signal, found[name].gradient])
        pairs += list(zip(mean, error, told, strict=True))
    for (name, part), (mean, error) in simulated_weights(network, inputs, draws).items():
        pairs.append((mean, error, getattr(found[name], part)))
    mean, error, told = np.array(pairs).T
    apart = np.abs(mean - told)
    assert (apart <= np.maximum(0.1 * told, 2 * error)).mean() >= 0.9
    assert (apart <= 0.35 * told + 2 * error).all()


def test_the_trace_of_the_fisher_matrix_is_the_sum_over_unit_cotangents():
    network = transformer(1, 96, 4, 4, inputs=12, outputs=5, hidden=96)
    inputs = RNG.standard_normal((1, 12, 4))
    drawn = simulated_weights(network, inputs, 24)
    mean, error = (np.sum([one[k] for one in drawn.values()]) for k in (0, 1))
    assert fisher_trace(network, inputs) == pytest.approx(5 * mean, abs=5 * 2 * error, rel=0.08)


@pytest.mark.parametrize("causal", [False, True])
def test_kernels_between_samples_are_those_of_drawn_transformers(causal):
    """Two samples, alike in half of their positions, by scores that are drawn together."""
    network = transformer(1, 128, 4, 4, inputs=12, outputs=6, hidden=128, causal=causal, sigma_qk=1.3)
    inputs = RNG.standard_normal((2, 12, 4))
    inputs[1, :, :2] = inputs[0, :, :2]
    found = kernels(network, inputs)
    means, errors = simulated_kernels(network, inputs, 16)
    for exact, mean, error in zip((found.nngp, found.ntk), means, errors, strict=True):
        assert (np.abs(mean - exact) <= 4.5 * error + 0.06 * np.abs(exact).max()).all()
        assert error.max() < 0.15 * np.abs(exact).max()


def test_what_comes_back_between_samples_is_what_comes_back_to_each():
    """Of a batch whose samples are one and the same, from A of all together: as from A of that sample."""
    weights, gradient = softmax(RNG.standard_normal((2, 8, 3, 5))), gram(3, 2)
    weights[1] = weights[0]
    grams = [np.repeat(gram(size)[:1], 2, axis=0) for size in (3, 5, 5)]
    gradient[1] = gradient[0]
    drawn = [grams[0], *(one[:, None] for one in grams[1:])]
    alone = _back(weights[:1], weights[:1], tuple(one[:1] for one in drawn), gradient[:1], _UNTURNED)
    both = _back(weights[:1], weights, tuple(drawn), gradient, _UNTURNED)
    for one, other in zip(alone, both, strict=True):
        np.testing.assert_allclose(other, np.repeat(one, 2, axis=0), rtol=1e-12)


def test_a_known_cotangent_takes_the_place_of_a_drawn_one():
    """Of all outputs alike, at one position only."""
    network = transformer(2, 32, 4, 3, vocabulary=7)
    tokens = np.array([[1, 2, 3]])
    cotangent = np.zeros((1, 7, 3))
    cotangent[:, :, 0] = 1 / np.sqrt(7)
    end = gradients(network, inputs=tokens, cotangent=cotangent)[-1]
    assert end.gradient == pytest.approx(1.0)
    first = {place.name: place.gradient for place in gradients(network, inputs=tokens, cotangent=cotangent)}
    whole = {place.name: place.gradient for place in gradients(network, inputs=tokens)}
    assert first["positions"] != pytest.approx(whole["positions"], rel=1e-3)
    with pytest.raises(InputError, match=r"outputs' shape \(1, 7, 3\), got \(1, 3\)"):
        gradients(network, inputs=tokens, cotangent=np.ones((1, 3)))


def test_what_attention_asks_for_is_said():
    network = transformer(1, 32, 4, 3)
    inputs = RNG.standard_normal((2, 32, 3))
    many = RNG.standard_normal((342, 32, 3))
    with pytest.raises(InputError, match="at most 1024 samples times positions"):
        kernels(Network((*network.nodes, Node("mean", Pooling(None), ("norm",)))), many)
    with pytest.raises(InputError, match="tokens at positions before attention"):
        gradients(_alone())
    with pytest.raises(InputError, match="independent signals into attention"):
        gradients(_alone(key="query"), inputs=inputs)
    with pytest.raises(InputError, match="3 positions before reshape 'tokens'"):
        gradients(network, inputs=RNG.standard_normal((2, 32, 4)))
    shared = Network((*network.nodes[:-1], Node("norm", network.nodes[-1].operation, ("block1.mlp",), shares="tokens")))
    with pytest.raises(InputError, match="those of 'tokens'"):
        gradients(shared, inputs=inputs)


def _alone(key="key"):
    nodes = [Node(name, PositionWise(32, 32, Gaussian(1.0)), (INPUT,)) for name in NAMES]
    mixed = Node("mixed", Attention(4), ("query", key, "value"))
    return Network((*(node for node in nodes if node.name in mixed.inputs), mixed))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"heads": 3}, "heads that divide the width"),
        ({"depth": 0}, "depth that is a whole number"),
        ({"norm": "both"}, '"pre", "post" or "none"'),
        ({"sigma_qk": np.nan}, "finite sigma_qk"),
        ({"hidden": 2.5}, "hidden that is a whole number"),
    ],
)
def test_impossible_transformers_are_refused(choices, message):
    with pytest.raises(InputError, match=message):
        transformer(**({"depth": 2, "width": 8, "heads": 2, "tokens": 4} | choices))
