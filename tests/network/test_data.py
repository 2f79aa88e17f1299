"""What samples bring beside the input: its second moments, and masks in softmax weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from freeness.errors import InputError
from freeness.network import Attention, Data, Dense, Embedding, Gaussian, Network, Node, softmax_weights

RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 4, size=(3, 5))


@pytest.mark.parametrize("across", [True, False])
def test_products_of_tokens_are_those_of_their_vectors(across: bool) -> None:
    tokens = Data(TOKENS, 4, silent=(0,))
    vectors = Data(tokens.entries)
    assert not tokens.entries[:, :, :][:, 0].any()
    for rows in (slice(0, 3), slice(1, 2)):
        np.testing.assert_allclose(tokens.products(rows, across=across), vectors.products(rows, across=across))
    np.testing.assert_allclose(tokens.own_products(across=across), vectors.own_products(across=across))
    own = np.arange(3)
    np.testing.assert_allclose(
        vectors.own_products(across=across), vectors.products(slice(0, 3), across=across)[own, own]
    )


def test_a_network_of_some_samples_holds_theirs() -> None:
    added = np.arange(12.0).reshape(3, 1, 1, 4)
    one = Attention(2, added=added).of_samples(np.array([2, 0]))
    assert one.added is not None
    np.testing.assert_array_equal(one.added, added[[2, 0]])
    nodes = [
        Node("tokens", Data(TOKENS[:, 0], 4), ()),
        Node("table", Embedding(4, 6), ("tokens",)),
        Node("out", Dense(6, 2, Gaussian(1.0)), ("table",)),
    ]
    (data,) = Network(nodes).of_samples(np.array([1])).data
    np.testing.assert_array_equal(data.values, TOKENS[1:2, 0])


def test_hidden_keys_are_as_none() -> None:
    """Softmax weights of a padded sample are those of the sample without padding; of a query that sees nothing 0."""
    query, key = RNG.standard_normal((2, 2, 10, 3))  # two samples of five positions
    hidden = np.where(np.arange(5) < np.array([3, 5])[:, None], 0.0, -np.inf)[:, None, None]
    weights, _ = softmax_weights(Attention(2, added=hidden), query, key, samples=2)
    alone, _ = softmax_weights(Attention(2), query[:, :3], key[:, :3])
    np.testing.assert_allclose(weights[:, :3, :3], alone)
    assert not weights[:, :5, 3:].any()
    blind = replace(Attention(2), added=np.full((2, 1, 1, 5), -np.inf))
    assert not softmax_weights(blind, query, key, samples=2)[0].any()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Data(np.array([[0, 4]]), 4), "whole numbers from 0 to 3"),
        (lambda: Data(np.zeros(0)), "expected data"),
        (lambda: Attention(2, added=np.zeros((1, 3, 4, 4))), "1 or 2 heads"),
    ],
)
def test_what_does_not_fit_is_refused(made, words: str) -> None:
    with pytest.raises(InputError, match=words):
        made()
