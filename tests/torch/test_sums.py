"""Sums of signals, however they are written, and what only looks like them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from freeness.torch.measured.sums import adds_signals


class Written(nn.Module):
    """A forward pass as a function of the module and its input."""

    def __init__(self, way: Callable[[Written, Tensor], Tensor]) -> None:
        super().__init__()
        self.way = way
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.shift, self.table = nn.Parameter(torch.zeros(6)), nn.Embedding(7, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.way(self, x))


def inner(m: Written, x: Tensor) -> Tensor:
    return torch.tanh(m.first(x))


def in_place(m: Written, x: Tensor) -> Tensor:
    y = 2 * inner(m, x)
    y += x
    return y


def gelu_by_hand(m: Written, x: Tensor) -> Tensor:
    h = m.first(x)
    return 0.5 * h * (1 + torch.tanh(0.797 * (h + 0.0447 * h**3)))


SUMS: dict[str, Callable[[Written, Tensor], Tensor]] = {
    "plain": lambda m, x: x + inner(m, x),
    "scaled": lambda m, x: torch.add(inner(m, x), x, alpha=0.5),
    "scaled skip": lambda m, x: 0.3 * x + inner(m, x),
    "projected skip": lambda m, x: m.second(x) + m.first(inner(m, x)),
    "difference": lambda m, x: x - inner(m, x),
    "mixture": lambda m, x: torch.lerp(x, inner(m, x), 0.5),
    "in place": in_place,
    "checkpointed": lambda m, x: checkpoint(lambda z: z + inner(m, z), x, use_reentrant=False),
}
NONE: dict[str, Callable[[Written, Tensor], Tensor]] = {
    "chain": inner,
    "parameter": lambda m, x: inner(m, x) + m.shift,
    "constant": lambda m, x: inner(m, x) + torch.ones(6),
    "twice the same": lambda m, x: (lambda h: h + h)(inner(m, x)),
    "GELU by hand": gelu_by_hand,
    "leaky by hand": lambda m, x: (lambda h: torch.tanh(h) + 0.1 * h)(m.first(x)),
    "writes into its input": lambda m, x: inner(m, x.clamp_(-1, 1)),
    "cannot be run so": lambda m, x: inner(m, x * float(x.numpy().max())),
}


@pytest.mark.parametrize("way", SUMS)
def test_sums_are_seen(way):
    assert adds_signals(Written(SUMS[way]), torch.randn(4, 6, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("way", NONE)
def test_other_additions_are_none(way):
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    assert not adds_signals(Written(NONE[way]), x)
    assert torch.equal(x, before)


def test_sums_behind_an_embedding_of_integers():
    tokens = torch.arange(4) % 7
    assert adds_signals(Written(lambda m, x: (lambda h: h + inner(m, h))(m.table(x))), tokens)
    assert not adds_signals(Written(lambda m, x: inner(m, m.table(x))), tokens)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrence_is_no_skip(kind):
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = kind(6, 6, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)[0][:, -1]

    assert not adds_signals(Recurrent(), torch.ones(2, 5, 6))


def test_transformers_and_residual_convolutions_have_sums_and_attention_alone_has_none():
    block = nn.TransformerEncoderLayer(6, 2, 12, dropout=0.0, batch_first=True)
    assert adds_signals(block.eval(), torch.ones(2, 5, 6))
    attention = nn.MultiheadAttention(6, 2, batch_first=True)

    class Alone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = attention

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x, x, x)[0]

    assert not adds_signals(Alone().eval(), torch.ones(2, 5, 6))
