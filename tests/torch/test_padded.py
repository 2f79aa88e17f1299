"""Texts of different lengths, and decoders that read an encoder: theory beside the mean of drawn networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from freeness.advice import LayerTable
from freeness.torch import batch_of, observe, trace
from freeness.torch.analyzing.layer_theory import OutputLoss, with_theory
from freeness.torch.model.outputs import run
from freeness.torch.request.packing import packed

WORDS, WIDTH, LENGTHS = 11, 48, (3, 6, 5)
DRAWS, TOLD = 40, 4  # theory takes the sizes of weights from one network


def texts(length: int = 6) -> Tensor:
    return torch.randint(1, WORDS, (len(LENGTHS), length), generator=torch.Generator().manual_seed(1))


SEEN = torch.arange(6) < torch.tensor(LENGTHS)[:, None]


def drawn(model: nn.Module) -> None:
    for one in model.parameters():
        if one.ndim > 1:
            nn.init.normal_(one, std=one.shape[-1] ** -0.5)


class Encoder(nn.Module):
    """A Transformer's encoder on padded texts; ``pooled``: the mean of what is seen goes to the outputs."""

    def __init__(self, pooled: bool = False) -> None:
        super().__init__()
        self.table, self.head, self.pooled = nn.Embedding(WORDS, WIDTH, padding_idx=0), nn.Linear(WIDTH, 5), pooled
        layer = nn.TransformerEncoderLayer(WIDTH, 4, WIDTH, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        drawn(self.layers)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        found = self.layers(self.table(words), src_key_padding_mask=mask == 0)
        if not self.pooled:
            return self.head(found)
        kept = mask[..., None].float()
        return self.head((found * kept).sum(1) / kept.sum(1))


class Translator(nn.Module):
    """An encoder of padded texts, and a decoder of others that reads it; both have one table."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, 5)
        first = nn.TransformerEncoderLayer(WIDTH, 4, WIDTH, 0.0, batch_first=True, norm_first=True)
        second = nn.TransformerDecoderLayer(WIDTH, 4, WIDTH, 0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(first, 1, enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(second, 1)
        drawn(self.encoder)
        drawn(self.decoder)

    def forward(self, words: Tensor, mask: Tensor, others: Tensor) -> Tensor:
        hidden, size = mask == 0, others.shape[1]
        found = self.decoder(
            self.table(others),
            self.encoder(self.table(words), src_key_padding_mask=hidden),
            tgt_mask=torch.ones(size, size).triu(1).bool(),
            tgt_is_causal=False,
            memory_key_padding_mask=hidden,
        )
        return self.head(found)


Loss = Callable[[Tensor], Tensor]


def told(model: nn.Module, batch: tuple[Tensor, ...], loss: Loss) -> LayerTable:
    one, rows = packed(model, batch_of((batch, torch.zeros(len(LENGTHS))), model))
    table = observe(one, lambda: loss(run(one, rows)), training=False)
    return with_theory(table, trace(one, rows[:1]), rows, OutputLoss(run(one, rows).detach(), loss), training=False)


def squares(model: nn.Module, batch: tuple[Tensor, ...], loss: Loss) -> dict[str, float]:
    """Of the gradients of every module's own parameters."""
    model.zero_grad()
    loss(model(*batch)).backward()
    return {
        name: sum(float(one.grad.square().sum()) for one in module.parameters(recurse=False) if one.grad is not None)
        for name, module in model.named_modules()
    }


CASES = {
    "tokens": (Encoder, (texts() * SEEN, SEEN.long()), SEEN[..., None]),
    "mean": (lambda: Encoder(pooled=True), (texts() * SEEN, SEEN.long()), torch.ones(1)),
    "decoder": (Translator, (texts() * SEEN, SEEN.long(), texts(4)), torch.ones(1)),
}


@pytest.mark.parametrize(
    "case", ["mean", *(pytest.param(one, marks=pytest.mark.slow) for one in ("tokens", "decoder"))]
)
def test_gradients_are_those_of_drawn_networks(case: str) -> None:
    """Within 10 % or three standard errors of the mean over drawn networks, of which both are taken."""
    make, batch, counted = CASES[case]
    torch.manual_seed(0)
    shape = (len(LENGTHS), 5) if case == "mean" else (len(LENGTHS), batch[-1].shape[1], 5)
    wanted = torch.randn(shape) * counted
    seen: list[dict[str, float]] = []
    tables: list[LayerTable] = []
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        model = make().eval()
        seen.append(squares(model, batch, lambda found: (found * wanted).sum()))
        if seed < TOLD:
            tables.append(told(model, batch, lambda found: (found * wanted).sum()))
    assert not tables[0].refused and not tables[0].around
    for number, row in enumerate(tables[0]):
        said = np.array([table[number].gradient_predicted for table in tables], dtype=float)
        drawn_ = np.array([one[row.name] for one in seen])
        error = np.hypot(drawn_.std(ddof=1) / DRAWS**0.5, said.std(ddof=1) / TOLD**0.5)
        assert said.mean() == pytest.approx(drawn_.mean(), abs=max(0.1 * drawn_.mean(), 3 * error)), row.name
