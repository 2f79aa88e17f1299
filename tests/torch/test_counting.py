"""Counts of one forward pass."""

import pytest
import torch
from torch import nn

from freeness.torch.measured.plan import forward_seconds
from freeness.torch.model.counting import counted


def test_products_of_a_convolution_are_counted_and_groups_apart():
    x = torch.ones(2, 4, 6, 6)
    plain, grouped = counted(nn.Conv2d(4, 8, 3), x), counted(nn.Conv2d(4, 8, 3, groups=4), x)
    assert plain.dense == 2 * 2 * 16 * 8 * 4 * 9 and plain.grouped == 0
    assert grouped.grouped == plain.dense / 4 and grouped.dense == 0


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_every_matrix_of_a_recurrent_layer_is_applied_at_every_place(kind):
    model, x = kind(5, 7, batch_first=True), torch.ones(3, 11, 5)
    matrices = sum(parameter.numel() for parameter in model.parameters() if parameter.ndim == 2)
    assert counted(model, x).work == pytest.approx(2 * 33 * matrices, rel=0.02)


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_fused_recurrent_layer_reads_its_weights_at_every_place_once_for_all_samples(batch_first):
    model = nn.LSTM(5, 7, 2, batch_first=batch_first, bidirectional=True)
    few, many = (counted(model, torch.ones((n, 11, 5) if batch_first else (11, n, 5))) for n in (3, 6))
    assert few.read == many.read == 11 * 4 * (4 * 7 * 7) * 4
    assert few.times(2).read == few.read and forward_seconds(many) < 2 * forward_seconds(few)


def test_counting_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    before = [buffer.clone() for buffer in model.buffers()]
    counted(model, torch.randn(2, 1, 5, 5))
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers(), strict=True)) and model.training
