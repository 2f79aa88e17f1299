"""Samples of different lengths: theory of a padded batch is that of each sample without its padding."""

from __future__ import annotations

import numpy as np
import pytest

from freeness.errors import InputError
from freeness.meanfield import LossMoments, loss_moments
from freeness.network import (
    INPUT,
    Activation,
    Attention,
    Data,
    Dense,
    Embedding,
    Gaussian,
    Network,
    Node,
    Normalisation,
    Operation,
    PositionWise,
    Product,
    Selection,
    Sum,
    activation,
)
from freeness.network.operations import attention

RNG = np.random.default_rng(0)
WIDTH, LENGTHS = 60, (3, 6)
TOKENS = RNG.integers(1, 9, size=(2, 6))
SEEN = np.arange(6) < np.array(LENGTHS)[:, None]
COTANGENTS = RNG.standard_normal((2, 5))


def over(name: str, into: int = WIDTH, out: int = WIDTH) -> Operation:
    return PositionWise(into, out, Gaussian(1.0), name=name)


def reader(tokens: np.ndarray, seen: np.ndarray | None) -> Network:
    """A block of a Transformer on tokens beside the input; the first position goes to the outputs."""
    added = None if seen is None else np.where(seen, 0.0, -np.inf)[:, None, None]
    nodes = [
        Node("tokens", Data(tokens, 9), ()),
        Node("table", Embedding(9, WIDTH), ("tokens",)),
        Node("norm", Normalisation("layer"), ("table",)),
        *(Node(name, over(name), ("norm",)) for name in ("query", "key", "value")),
        Node("attention", Attention(4, added=added), ("query", "key", "value")),
        Node("out", over("out"), ("attention",)),
        Node("sum", Sum((1.0, 1.0)), ("table", "out")),
        Node("up", over("up"), ("sum",)),
        Node("bend", Activation(activation("relu")), ("up",)),
        Node("first", Selection("positions", 0, 1, vector=True), ("bend",)),
        Node("head", Dense(WIDTH, 5, Gaussian(1.0)), ("first",)),
    ]
    return Network(nodes)


def weights(found: tuple[LossMoments, ...]) -> dict[str, float]:
    return {one.name: one.weights for one in found if one.weights}


def test_padding_that_is_hidden_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 3 %: softmax weights are drawn, others for another number of positions."""
    monkeypatch.setattr(attention, "_MOST", 4096)
    monkeypatch.setattr(attention, "_ENTRIES", 2**20)
    padded = np.where(SEEN, TOKENS, 0)
    for row, length in enumerate(LENGTHS):
        only, cotangent = slice(row, row + 1), COTANGENTS[row : row + 1]
        found = loss_moments(reader(padded[only], SEEN[only]), None, cotangent)
        alone = loss_moments(reader(TOKENS[only, :length], None), None, cotangent)
        assert weights(found) == pytest.approx(weights(alone), rel=0.03)
        spread = [[one.gradient_scatter for one in each if one.weights] for each in (found, alone)]
        assert spread[0] == pytest.approx(spread[1], rel=0.1)
    seen, hidden = (weights(loss_moments(reader(padded[:1], one), None, COTANGENTS[:1])) for one in (None, SEEN[:1]))
    assert abs(seen["value"] / hidden["value"] - 1) > 0.1  # what is not hidden counts


def masked(share: np.ndarray) -> Network:
    nodes = [
        Node("table", Embedding(9, WIDTH), (INPUT,)),
        Node("mask", Data(share[:, None]), ()),
        Node("kept", Product(), ("table", "mask")),
        Node("head", over("head", WIDTH, 5), ("kept",)),
    ]
    return Network(nodes)


def test_a_mean_over_what_is_seen_is_that_of_the_shorter_sample() -> None:
    """A mask of the samples, and numbers of theirs, are given factors: Σ over the pairs of both."""
    share = SEEN / SEEN.sum(axis=1, keepdims=True)
    gradient = np.broadcast_to(COTANGENTS[:, :, None], (2, 5, 6))  # of the sum over positions
    found = weights(loss_moments(masked(share), TOKENS, gradient))["head"]
    vectors = np.stack([(np.eye(9)[one] * part[:, None]).sum(axis=0) for one, part in zip(TOKENS, share, strict=True)])
    assert found == pytest.approx(WIDTH * ((COTANGENTS @ COTANGENTS.T) * (vectors @ vectors.T)).sum())


def test_another_batch_is_refused() -> None:
    with pytest.raises(InputError, match="expected data of 2 samples"):
        loss_moments(masked(np.ones((1, 6))), TOKENS, np.ones((2, 5, 6)))
