"""Scores of distances in the ways in which people write them: T5's tables, ALiBi; read, replayed, and counted in spectra."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional

from freeness.network import Attention, Network, RelativeScores
from freeness.spectra import wired_equation
from freeness.torch import trace
from freeness.torch.record.signals import realised_neurons

WIDTH, HEADS, TOKENS = 48, 4, 5
LATER = torch.ones(TOKENS, TOKENS).triu(1).bool()


class Distant(nn.Module):
    """One attention behind weights of spread 1, whose scores get ``added`` (heads, T, T)."""

    def __init__(self, added: Tensor, written: bool, causal: bool) -> None:
        super().__init__()
        self.added, self.written, self.causal = nn.Parameter(added), written, causal
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.normal_(layer.weight, std=WIDTH**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        added = self.added[None]
        if self.causal:
            added = added.masked_fill(LATER, -torch.inf)
        if self.written:
            scores = added + q @ k.transpose(-1, -2) / math.sqrt(WIDTH / HEADS)
            mixed = scores.softmax(-1) @ v
        else:
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=added)
        return x + self.out(mixed.transpose(1, 2).flatten(2))


def distances() -> Tensor:
    places = torch.arange(TOKENS)
    return (places - places[:, None]).float()


def model(written: bool = False, causal: bool = False, added: Tensor | None = None) -> nn.Module:
    torch.manual_seed(3)
    slopes = torch.tensor([2.0, 0.5, -1.0, 0.0])
    return Distant(-slopes[:, None, None] * distances().abs() if added is None else added, written, causal)


def attention_of(network: Network) -> list[Attention]:
    return [one for one in network.operations if isinstance(one, Attention)]


@pytest.mark.parametrize(("written", "causal"), [(False, True), (True, False)])
def test_scores_of_distances_are_read_and_the_replay_has_them(written: bool, causal: bool) -> None:
    found = trace(model(written, causal), torch.randn(2, TOKENS, WIDTH))
    assert found.complete  # what a replay of the record gives is the model's output
    (one,) = attention_of(found.network)
    assert one.causal == causal and one.relative is not None
    expected = -torch.tensor([2.0, 0.5, -1.0, 0.0])[:, None, None] * distances().abs()
    shown = ~LATER.numpy() | (not causal)
    np.testing.assert_allclose(one.relative.over(TOKENS)[:, shown], expected.numpy()[:, shown], atol=1e-6)


def test_other_scores_are_read_as_they_are() -> None:
    torch.manual_seed(0)
    added = torch.randn(HEADS, TOKENS, TOKENS)
    found = trace(model(added=added), torch.randn(2, TOKENS, WIDTH))
    assert found.complete
    (one,) = attention_of(found.network)
    assert one.relative is None and one.added is not None
    np.testing.assert_allclose(one.added, added.numpy()[None], rtol=1e-6)


def test_what_all_keys_of_a_query_have_in_common_does_nothing() -> None:
    """As BLOOM and MPT write it: by the place of the key."""
    by_key = torch.arange(TOKENS).float()[None, None] * torch.tensor([1.0, 0.5, 0.25, 0.0])[:, None, None]
    (one,) = attention_of(trace(model(added=by_key), torch.randn(2, TOKENS, WIDTH)).network)
    assert one.relative is not None and one.relative.values[1] == (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)


def test_spectra_know_them() -> None:
    """The mean of JJᵀ within 5 % of one network's, which fresh weights scatter by; without them it is another."""
    net, x = model(written=True).eval(), torch.randn(1, TOKENS, WIDTH, generator=torch.Generator().manual_seed(5))
    jacobian = torch.autograd.functional.jacobian(lambda one: net(one).flatten(), x).reshape(-1, x.numel())
    measured = float(jacobian.square().sum()) / len(jacobian)
    found = trace(net, x)
    signals = realised_neurons(found, x)
    told = wired_equation(found.network, realised=signals).moments()[0]
    assert told == pytest.approx(measured, rel=0.05)
    nodes = [
        replace(node, operation=replace(node.operation, relative=None))
        if isinstance(node.operation, Attention)
        else node
        for node in found.network.nodes
    ]
    without = wired_equation(Network(nodes), realised=signals).moments()[0]
    assert abs(told - measured) < 0.3 * abs(without - measured)


@pytest.mark.slow
def test_models_of_others_are_read() -> None:
    tokens = torch.randint(0, 50, (2, 6), generator=torch.Generator().manual_seed(0))
    five = transformers.T5EncoderModel(
        transformers.T5Config(num_layers=2, d_model=32, d_kv=16, num_heads=2, vocab_size=50, d_ff=64)
    )
    table = five.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight.detach().numpy()
    for one in attention_of(trace(_Tokens(five.eval()), tokens).network):
        assert one.relative is not None  # buckets: 0 and 1 … 5 behind, 17 … 21 ahead
        expected = table[[5, 4, 3, 2, 1, 0, 17, 18, 19, 20, 21]] - table[0]
        np.testing.assert_allclose(np.transpose(one.relative.values), expected, atol=1e-5)
    mpt = transformers.MptModel(
        transformers.MptConfig(d_model=32, n_heads=2, n_layers=2, vocab_size=50, max_seq_len=16)
    )
    for one in attention_of(trace(_Tokens(mpt.eval()), tokens).network):
        assert one.causal and one.relative is not None
        slopes = np.asarray(RelativeScores.of_slopes(2, 6).values)
        np.testing.assert_allclose(np.asarray(one.relative.values)[:, :6], slopes[:, :6], atol=1e-6)


class _Tokens(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(input_ids=tokens)[0]
