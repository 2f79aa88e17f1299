"""Shorter sequences are the first places of all arguments and targets, and nothing else of a model changes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from freeness.torch import AnalyzeOptions, analyze, batch_of, batch_sharpness
from freeness.torch.analyzing.shorter import places_of, shortened
from freeness.torch.request.model_loss import own_loss
from freeness.torch.request.packing import packed

TOKENS, PLACES = 11, 40


class Language(nn.Module):
    """Tokens, a mask, and numbers of each text, to scores at every place; with labels a loss of the next tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.order, self.head = nn.Embedding(TOKENS, 6), nn.Embedding(PLACES, 6), nn.Linear(8, TOKENS)

    def forward(self, tokens: Tensor, mask: Tensor, numbers: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        places = torch.arange(tokens.shape[1])
        signal = torch.tanh(self.table(tokens) + self.order(places)) * mask[..., None]
        signal = signal.cumsum(1) / (1 + places[:, None])
        logits = self.head(torch.cat([signal, numbers[:, None].expand(-1, len(places), -1).to(signal.dtype)], 2))
        found = {"logits": logits}
        if labels is not None:
            found["loss"] = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return found


def data(places: int = PLACES) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(TOKENS, (3, PLACES), generator=generator)[:, :places]
    mask = torch.ones(3, PLACES, dtype=torch.int64)[:, :places]
    return {"tokens": tokens, "mask": mask, "numbers": torch.randint(3, (3, 2), generator=generator), "labels": tokens}


def model() -> Language:
    torch.manual_seed(0)
    return Language()


def test_packed_arguments_are_cut_where_they_have_places() -> None:
    one, rows = packed(model(), batch_of(data(), model()))
    targets = data()["labels"]
    assert places_of(one, rows, targets) == PLACES
    short, some, wanted = shortened(one, rows, targets, 17)
    again, expected = packed(model(), batch_of(data(17), model()))
    assert torch.equal(some, expected) and torch.equal(wanted, targets[:, :17])
    assert torch.equal(short(some)["logits"], again(expected)["logits"])
    assert torch.equal(one(rows)["logits"][:, :17], short(some)["logits"])


def test_what_has_no_places_is_not_shortened() -> None:
    x = torch.ones(3, PLACES)
    assert places_of(nn.Linear(PLACES, 5), x, torch.zeros(3, dtype=torch.int64)) == 0
    assert places_of(nn.Linear(PLACES, PLACES), x, torch.zeros(3, PLACES, dtype=torch.int64)) == 0


@pytest.mark.slow
@pytest.mark.always
def test_where_there_is_no_room_the_rate_is_of_shorter_sequences_and_says_so() -> None:
    found = analyze(model(), data(), AnalyzeOptions(memory=4e3, only="rate"))
    stage = next(stage for stage in found.stages if stage.name == "curvature")
    assert 16 <= stage.length < PLACES
    told = [warning for warning in found.verdict.warnings if f"first {stage.length} places" in warning]
    assert len(told) == 1
    batch = batch_of(data(stage.length), model())
    owned = own_loss(model(), batch)
    assert owned is not None
    rows = found.learning_rate.batch
    exact = batch_sharpness(owned.model, owned.inputs[:rows], owned.targets[:rows], owned.loss).value
    rate = found.learning_rate
    assert abs(rate.sharpness - exact) <= 3 * rate.sharpness_error + 1e-4 * exact
    assert rate.sharpness == pytest.approx(exact, rel=0.05)
