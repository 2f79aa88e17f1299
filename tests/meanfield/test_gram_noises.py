"""Gram matrices of few channels, and the gradients of queries and keys that feel them: against drawn Transformers."""

import numpy as np
import pytest
import torch

from freeness.meanfield import gradients, loss_moments
from freeness.meanfield.gradient_walk import _Way
from freeness.network import Normalisation, transformer
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
    assert streams["block2.attention.key"].common == pytest.approx(seen, rel=0.25)


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
