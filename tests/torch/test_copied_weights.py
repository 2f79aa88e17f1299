"""Layers that are copies of one another, as nn.TransformerEncoder makes them, are named."""

import copy

import torch
from torch import nn

from freeness.torch import AnalyzeOptions, analyze, initialize_
from freeness.torch.start.copied_weights import copied_weights, copies_note


def encoder() -> nn.Module:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), nn.Flatten(), nn.Linear(32, 3))


def test_copies_are_told_first_and_gone_behind_a_draw():
    model, data = encoder(), (torch.randn(6, 4, 8), torch.arange(6) % 3)
    assert len(copied_weights(model)) == 2 * 4  # matrices of attention, twice, and of the branch
    told = analyze(model, data, AnalyzeOptions(only="rate")).verdict.warnings
    assert told[0].startswith(
        "0.layers.1.self_attn.in_proj_weight is a copy of 0.layers.0.self_attn.in_proj_weight, and 7 more"
    )
    initialize_(model)
    assert copies_note(model) == ()


def test_one_tensor_used_twice_constants_and_layers_of_their_own_are_no_copies():
    torch.manual_seed(0)
    one, other = nn.Linear(4, 4), nn.Linear(4, 4)
    model = nn.ModuleList([one, one, other, nn.LayerNorm(4)])
    assert not copied_weights(model)
    for write in (nn.init.zeros_, nn.init.eye_):
        for part in (one, other):
            write(part.weight)
        assert not copied_weights(model)
    for rows in (torch.arange(4.0).expand(4, 4), torch.arange(4.0)[:, None].expand(4, 4)):  # as a state space starts
        for part in (one, other):
            part.weight.data = rows.clone()
        assert not copied_weights(model)
    part = nn.Linear(4, 4)
    assert copied_weights(nn.ModuleList([part, copy.deepcopy(part)])) == {"1.weight": "0.weight"}
    with torch.no_grad():  # equal at both ends
        (near := copy.deepcopy(part)).weight[1, 1] += 1.0
    assert not copied_weights(nn.ModuleList([part, near]))
    teacher = copy.deepcopy(part).requires_grad_(False)
    assert not copied_weights(nn.ModuleList([part, teacher]))
