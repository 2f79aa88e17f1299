"""The guard puts everything back, whatever the block does."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from freeness.torch import (
    CurvatureOptions,
    adam_preconditioner,
    batch_sharpness,
    dual_gram,
    measure_jacobian,
    realised_signals,
    trace,
    untouched,
)
from freeness.torch.model.state import _HELD


def example_model() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, 3))
    model(torch.ones(2, 4)).sum().backward()
    model[0].eval()
    model[3].bias.requires_grad_(False)
    return model


def picture(model: nn.Module) -> list[object]:
    """Everything that must survive, in comparable form."""
    tensors = [tensor.detach().clone() for tensor in (*model.parameters(), *model.buffers())]
    gradients = [None if p.grad is None else (id(p.grad), p.grad.clone()) for p in model.parameters()]
    flags = [(id(p), p.requires_grad) for p in model.parameters()]
    modules = [
        (m.training, list(m._forward_hooks), list(m._forward_pre_hooks), list(m._backward_hooks))
        for m in model.modules()
    ]
    numpy_state = np.random.get_state()
    return [
        tensors,
        gradients,
        flags,
        modules,
        torch.get_rng_state(),
        random.getstate(),
        numpy_state[1].tolist(),
        numpy_state[2],
    ]


def assert_same(before: object, after: object) -> None:
    if isinstance(before, torch.Tensor):
        assert isinstance(after, torch.Tensor) and torch.equal(before, after)
    elif isinstance(before, list | tuple):
        assert isinstance(after, list | tuple) and len(before) == len(after)
        for one, two in zip(before, after, strict=True):
            assert_same(one, two)
    else:
        assert before == after


def vandalise(model: nn.Sequential) -> None:
    assert not any(module.training for module in model.modules())
    with torch.no_grad():
        model[0].weight.add_(1.0)
        model[3].weight.grad.zero_()
    model[0].weight.grad = None
    model[3].bias.grad = torch.ones(3)
    model[3].weight = nn.Parameter(torch.zeros(3, 6))
    model[0].bias.requires_grad_(False)
    model.train()
    model[1].register_forward_hook(lambda module, given, returned: returned + 1)
    torch.rand(3)
    random.random()
    np.random.rand()


def test_everything_is_restored() -> None:
    model = example_model()
    before = picture(model)
    with untouched(model):
        vandalise(model)
    assert_same(before, picture(model))


def test_everything_is_restored_after_an_exception() -> None:
    model = example_model()
    before = picture(model)
    with pytest.raises(KeyError), untouched(model):
        vandalise(model)
        raise KeyError
    assert_same(before, picture(model))


def test_batch_statistics_are_restored_and_training_mode_can_be_asked_for() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()
    before = picture(model)
    with untouched(model, training=True):
        assert model.training and model[1].training
        model(torch.arange(8.0).reshape(2, 4))
        assert int(model[1].num_batches_tracked) == 1
    assert_same(before, picture(model))


def test_weights_that_are_not_finite_are_restored_too() -> None:
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight[0, 0] = torch.nan
        model.weight[1, 1] = torch.inf
    with untouched(model), torch.no_grad():
        model.weight.zero_()
    assert torch.isnan(model.weight[0, 0]) and torch.isinf(model.weight[1, 1])


def test_measuring_leaves_no_trace() -> None:
    model = example_model()
    before = picture(model)
    x, y = torch.ones(2, 4), torch.zeros(2, 3)
    traced = trace(model, x)
    realised_signals(traced, x[0])
    dual_gram(traced, x[0])
    measure_jacobian(traced, x[0])
    batch_sharpness(model, x, y, "mse", CurvatureOptions(preconditioner=adam_preconditioner(model, x, y, "mse")))
    assert_same(before, picture(model))


def test_blocks_inside_a_block_hold_the_same_copy_of_the_weights():
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    with untouched(model):
        with untouched(model):
            assert len({id(kept) for kept in _HELD.values()}) == 2  # weight and bias, once each
            model.weight.data += 1.0
        assert torch.equal(model.weight, before)
        model.weight.data += 2.0
        with untouched(model):  # another copy, for this is no longer right
            model.weight.data += 1.0
        assert torch.equal(model.weight, before + 2.0)
    assert torch.equal(model.weight, before) and not _HELD


def test_weights_that_are_no_numbers_are_put_back_as_such():
    model = nn.Linear(2, 1)
    model.weight.data[0, 0] = float("nan")
    with untouched(model):
        model.weight.data.zero_()
    assert model.weight[0, 0].isnan() and model.weight[0, 1] != 0
