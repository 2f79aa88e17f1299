"""Norms of few channels: lengths, cosines and what comes back, against closed forms, drawn vectors and drawn Transformers."""

from math import lgamma

import numpy as np
import pytest
import torch

from freeness.meanfield import gradients, loss_moments
from freeness.meanfield.gradient_walk import _Way
from freeness.meanfield.samples import SampleMoments
from freeness.meanfield.walk import compiled
from freeness.network import (
    INPUT,
    Dense,
    Gaussian,
    Haar,
    Network,
    Node,
    Normalisation,
    Pooling,
    PositionWise,
    Sum,
    transformer,
)
from tests.meanfield.simulated import Simulated

WIDTH = 48
BEHIND = (
    Node("norm", Normalisation("rms", 0.0), ("front",)),
    Node("mean", Pooling(None), ("norm",)),
    Dense(WIDTH, 9, Gaussian(1.0)),
)


def places(network, x):
    return {place.name: place for place in gradients(network, inputs=x)}


def cosine(one, other):
    return (one * other).sum(axis=-1) / np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))


def test_the_mean_cosine_of_gaussian_vectors_is_hotellings():
    """E r = (2ρ/n)·(Γ((n+1)/2)/Γ(n/2))²·₂F₁(½, ½; n/2 + 1; ρ²)."""
    network = Network((Node("front", PositionWise(3, WIDTH, Gaussian(1.0)), (INPUT,)), *BEHIND))
    one, other = np.array([2.0, 0.6, 0.0]), np.array([0.5, 1.0, 1.5])
    rho, total, term = float(cosine(one, other)), 0.0, 1.0
    for k in range(200):
        total, term = total + term, term * (k + 0.5) ** 2 / ((k + WIDTH / 2 + 1) * (k + 1)) * rho**2
    exact = 2 * rho / WIDTH * np.exp(2 * (lgamma((WIDTH + 1) / 2) - lgamma(WIDTH / 2))) * total
    found = places(network, np.stack([one, other], axis=1)[None])["norm"].likeness
    assert abs(found - exact) < 0.05 * abs(rho - exact)


def test_what_comes_back_through_a_norm_of_gaussian_vectors():
    """E n/χ²_n = n/(n - 2), and of n directions one is lost."""
    network = Network((Node("front", PositionWise(3, WIDTH, Gaussian(1.0)), (INPUT,)), *BEHIND))
    found = places(network, np.ones((1, 3, 2)))
    exact = (WIDTH - 1) / (WIDTH - 2)
    assert found["front"].gradient == pytest.approx(exact * found["norm"].gradient, rel=5 / WIDTH**2)


def test_a_sum_with_what_a_norm_leads_to():
    """x of known lengths and y of drawn ones, two positions: mean cosine behind, and (1 - c²)/s² of what has left a norm."""
    rng = np.random.default_rng(2)
    first = Node("first", Normalisation("rms", 0.0), (INPUT,))
    branch = Node("branch", PositionWise(WIDTH, WIDTH, Gaussian(0.9)), ("first",))
    network = Network((first, branch, Node("front", Sum(), ("first", "branch")), *BEHIND))
    x = np.linalg.qr(rng.standard_normal((WIDTH, 2)))[0] @ np.array([[1.0, 0.8], [0.0, 0.6]]) * WIDTH**0.5
    y = 0.9 * rng.standard_normal((40_000, WIDTH, 2)) @ np.linalg.cholesky(x.T @ x / WIDTH).T
    seen = cosine(*np.moveaxis(x + y, -1, 0))
    found = places(network, x[None])
    mean, error = seen.mean(), seen.std() / len(seen) ** 0.5
    assert abs(found["norm"].likeness - mean) < 4 * error + 0.1 * abs(0.8 - mean)
    assert abs(0.8 - mean) > 8 * error  # which wide layers tell
    grown = (WIDTH / ((x + y) ** 2).sum(axis=1)).mean() * (1 - 1 / WIDTH)
    assert found["front"].gradient == pytest.approx(grown * found["norm"].gradient, rel=5 / WIDTH**2)


@pytest.mark.parametrize("causal", [False, True])
def test_lengths_behind_attention_and_hidden_units_vary_as_told(causal):
    """By the channels that weights write and read, and by the heads."""
    network = transformer(1, 64, 4, 6, norm="post", causal=causal, sigma_qk=1.4, hidden=64)
    x = np.random.default_rng(1).standard_normal((1, 64, 6))
    prepared = _Way.of(network, 1.0, x).prepared
    with torch.no_grad():
        drawn = [Simulated(seed).values(network, torch.tensor(x)) for seed in range(200)]
    ratios = []
    for name in ("attention.mixed", "attention.out", "attention", "mlp.activation", "mlp.out", "mlp"):
        told = prepared.lengths[f"block1.{name}"].total(prepared.streams[f"block1.{name}"])
        squares = np.array([values[f"block1.{name}"][0].square().mean(dim=0).numpy() for values in drawn])
        ratios.append(told.mean() / (squares.var(axis=0, ddof=1) / squares.mean(axis=0) ** 2).mean())
    assert ratios == pytest.approx([1.0] * 6, abs=0.15)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.08)


def test_rotations_keep_lengths():
    """|x + Wx|² of a rotation W varies by x·Wx alone, 1/n; |Vx|² of m of n rows as that of a part of a unit vector."""
    kept, fewer = Haar(1.0), WIDTH // 3
    network = Network(
        (
            Node("known", Normalisation("rms", 0.0), (INPUT,)),
            Node("turned", PositionWise(WIDTH, WIDTH, kept), ("known",)),
            Node("sum", Sum(), ("known", "turned")),
            Node("norm", Normalisation("rms", 0.0), ("sum",)),
            Node("part", PositionWise(WIDTH, fewer, kept), ("norm",)),
            Node("again", PositionWise(fewer, fewer, kept), ("part",)),
        )
    )
    x = np.random.default_rng(0).standard_normal((1, WIDTH, 2))
    prepared = compiled(network, SampleMoments(x, network).stream(), None, finite=True)
    told = {
        name: prepared.lengths[name].total(prepared.streams[name])[0, 0] for name in ("turned", "sum", "part", "again")
    }
    assert told["turned"] == pytest.approx(0.0, abs=1e-12)
    assert told["sum"] == pytest.approx(1 / WIDTH)
    exact = 2 * (WIDTH - fewer) / (fewer * (WIDTH + 2))  # Beta(m/2, (n - m)/2)
    assert told["part"] == pytest.approx(exact, rel=3 / WIDTH)
    assert told["again"] == pytest.approx(told["part"])


def test_pairs_of_samples_know_as_much_as_samples_by_themselves():
    network = transformer(2, 32, 4, 5, norm="post", inputs=10, outputs=3, hidden=32)
    rng = np.random.default_rng(0)
    x, cotangent = rng.standard_normal((1, 10, 5)), rng.standard_normal((1, 3))
    alone = {place.name: place for place in gradients(network, inputs=x, cotangent=cotangent)}
    for place in loss_moments(network, x, cotangent):
        assert place.signal == pytest.approx(alone[place.name].signal, rel=1e-9)
        if place.weights:
            assert place.weights == pytest.approx(alone[place.name].weights, rel=1e-9)
