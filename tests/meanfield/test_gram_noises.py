"""Gram matrices of few channels, and the gradients of queries and keys that feel them: against drawn Transformers."""

import numpy as np
import pytest
import torch

from freeness.meanfield import gradients, loss_moments
from freeness.meanfield.gradient_walk import _Way
from freeness.meanfield.gram_noises import GramNoises
from freeness.meanfield.samples import SampleMoments
from freeness.meanfield.walk import compiled
from freeness.network import INPUT, Gaussian, Network, Node, Normalisation, PositionWise, Sum, transformer
from tests.meanfield.simulated import Simulated

TOKENS, DRAWS = 32, 40
NETWORK = transformer(2, 64, 4, TOKENS, norm="post", sigma_qk=0.5, vocabulary=20, activation="gelu")
INPUTS = np.random.default_rng(3).integers(0, 20, (1, TOKENS))
COTANGENT = np.random.default_rng(4).standard_normal((1, 20, TOKENS))


@pytest.fixture(scope="module")
def drawn():
    """Signals behind norms, and squared gradients of all weights, of every draw."""
    grams, squares = [], []
    for seed in range(DRAWS):
        run = Simulated(seed)
        values = run.values(NETWORK, torch.tensor(INPUTS))
        found = torch.autograd.grad((values[NETWORK.nodes[-1].name] * torch.tensor(COTANGENT)).sum(), run.parameters)
        squares.append(
            {owner[0]: float(g.square().sum()) / owner[2] ** 2 for g, owner in zip(found, run.owners, strict=True)}
        )
        grams.append({node.name: values[node.name].detach()[0] for node in NETWORK.nodes if is_norm(node)})
    return grams, {name: np.mean([one[name] for one in squares]) for name in squares[0]}


def differing(x):
    """Gram matrices between positions of what differs between them, of many x of shape (..., channels, positions)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return np.swapaxes(centred, -1, -2) @ centred / x.shape[-2]


def noises_behind(nodes, x):
    """Streams, and what is said of departures, behind nodes that no attention reads."""
    noises, network = GramNoises(nodes), Network(nodes)
    prepared = compiled(network, SampleMoments(x, network, across=True).stream(), None, finite=True)
    for node in nodes:
        if node.name in prepared.norms:
            noises.normed(node, prepared.norms[node.name])
        else:
            streams = tuple(prepared.streams[name] for name in node.inputs)
            noises.follow(node, streams, prepared.streams[node.name])
    return prepared.streams, noises


def test_gram_matrices_behind_a_chain_of_weights_have_the_second_moments_of_wishart_matrices():
    """E Q̂⊗Q̂ ← (1 + S/n) E Q̂⊗Q̂ with all T⁴ entries."""
    x = np.random.default_rng(0).standard_normal((1, 5, 3))
    widths = [5, 7, 4, 6]
    nodes = [Node("0", PositionWise(5, 7, Gaussian(1.0)), (INPUT,))]
    nodes += [Node(str(k), PositionWise(widths[k], widths[k + 1], Gaussian(1.0)), (str(k - 1),)) for k in (1, 2)]
    streams, noises = noises_behind(tuple(nodes), x)
    q = differing(x[0])
    plain, turned = np.einsum("ab,cd->abcd", q, q), np.einsum("ac,bd->abcd", q, q) + np.einsum("ad,bc->abcd", q, q)
    exact = plain
    for width in widths[1:]:
        exact = exact + (exact.transpose(0, 2, 1, 3) + exact.transpose(0, 2, 3, 1)) / width
    rates = [1 + 2 / n for n in widths[1:]], [1 - 1 / n for n in widths[1:]]
    most, least = (float(np.prod(each)) for each in rates)
    assert exact == pytest.approx((most + 2 * least) / 3 * plain + (most - least) / 3 * turned)
    shape = float(noises.found["2"].shape @ noises.found["2"].shape)
    assert shape == pytest.approx(sum(1 / n for n in widths[1:]))
    told = noises.departed("2", "2", streams["2"])
    assert told.alike + 2 * told.exchanged == pytest.approx(np.exp(2 * shape)), told
    assert told.alike - told.exchanged == pytest.approx(np.exp(-shape))


def test_what_is_left_between_tokens_behind_norms_of_sums_scatters_as_told():
    """x ← norm(x + W x), twelve times, of tokens that are nearly alike: its mean, and E tr Q̂², (E tr Q̂)²."""
    width, count, draws, rng = 24, 12, 600, np.random.default_rng(1)
    x = rng.standard_normal((width, 1)) + 0.05 * rng.standard_normal((width, 4))
    x = x / np.sqrt((x**2).mean(axis=0))
    nodes, last = [Node("start", Normalisation("rms", 0.0), (INPUT,))], "start"
    for k in range(count):
        nodes += [
            Node(f"w{k}", PositionWise(width, width, Gaussian(1.0)), (last,)),
            Node(f"s{k}", Sum(), (last, f"w{k}")),
        ]
        last = f"n{k}"
        nodes.append(Node(last, Normalisation("rms", 0.0), (f"s{k}",)))
    streams, noises = noises_behind(tuple(nodes), x[None])
    drawn = np.broadcast_to(x, (draws, *x.shape))
    for _ in range(count):
        drawn = drawn + rng.standard_normal((draws, width, width)) @ drawn / width**0.5
        drawn = drawn / np.sqrt((drawn**2).mean(axis=1, keepdims=True))
    grams, mean = differing(drawn), np.asarray(streams[last].second[0])
    mean = mean - mean.mean(axis=0, keepdims=True)
    mean = mean - mean.mean(axis=1, keepdims=True)
    trace, square = np.trace(mean), np.square(mean).sum()
    told = noises.departed(last, last, streams[last])
    both = np.trace(grams, axis1=1, axis2=2), np.square(grams).sum(axis=(1, 2))
    pairs = (
        (both[0], trace),
        (both[1], told.alike * square + told.exchanged * (square + trace**2)),
        (both[0] ** 2, told.alike * trace**2 + 2 * told.exchanged * square),
    )
    for seen, known in pairs:
        assert seen.mean() == pytest.approx(known, rel=3 * seen.std() / draws**0.5 / seen.mean()), (seen.mean(), known)
    assert square + told.exchanged * (square + trace**2) < 0.9 * both[1].mean()  # where lengths are left out


def is_norm(node):
    return isinstance(node.operation, Normalisation)


def test_what_keys_and_values_read_departs_as_told(drawn):
    """Of x between positions, about its mean there: E tr Q² = (1 + e)·tr (E Q)² + e·(tr E Q)²."""
    streams = _Way.of(NETWORK, 1.0, INPUTS).prepared.streams
    centred = [x - x.mean(dim=1, keepdim=True) for x in (one["block1.mlp.norm"] for one in drawn[0])]
    grams = np.array([(x.T @ x / len(x)).numpy() for x in centred])
    parts = np.array([np.square(q).sum() / np.trace(q) ** 2 for q in grams])
    mean = grams.mean(axis=0)
    least = np.square(mean).sum() / np.trace(mean) ** 2 - parts.mean() / DRAWS
    seen = (parts.mean() - least) / (1 + least)
    assert streams["block2.attention.key"].common.exchanged == pytest.approx(seen, rel=0.25)


@pytest.mark.parametrize("way", ["alone", "batch"])
def test_gradients_of_queries_and_keys_know_how_many_channels_there_are(drawn, way):
    """Of twice as many channels as positions; theory of wide layers tells .7 of them."""
    if way == "alone":
        told = {place.name: place.weights for place in gradients(NETWORK, inputs=INPUTS, cotangent=COTANGENT)}
    else:
        told = {place.name: place.weights for place in loss_moments(NETWORK, INPUTS, COTANGENT)}
    names = [f"block{block}.attention.{part}" for block in (1, 2) for part in ("query", "key")]
    ratios = np.array([told[name] / drawn[1][name] for name in names])
    assert abs(ratios.mean() - 1) < 0.1 and np.abs(ratios - 1).max() < 0.2
