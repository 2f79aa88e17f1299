"""Stacks: each member is what torch trains, and the same in every stack."""

from itertools import product

import numpy as np
import pytest
import torch

from freeness.experiments import Cell, Images, batches, network_of, train_stack
from freeness.experiments.column import stack_of
from freeness.experiments.specification import DataSpecification
from freeness.experiments.tasks import Task, faster_stack, tasks_of
from freeness.torch import build
from freeness.torch.loss.losses import loss_function
from freeness.torch.model.sampling import seeded_generator

INPUTS, CLASSES = 13, 3
ROUNDED = 1e-4  # a thousand roundings of float32, which six steps at rates up to 0.3 amplify


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    sets = []
    for size in (40, 25):
        x = rng.standard_normal((size, INPUTS)).astype(np.float32)
        sets.append(Images(lambda chosen, x=x: x[chosen], np.arange(size) % CLASSES, "unit_norm"))
    return tuple(sets)


def cells(rates=(0.05, 0.2), seeds=(0, 1), **changes):
    entries = {
        "depth": 4,
        "width": 11,
        "inputs": INPUTS,
        "outputs": CLASSES,
        "activation": "tanh",
        "steps": 12,
        "evaluate": (0, 5, 12),
        "data": "made",
    } | changes
    return [Cell(rate=rate, seed=seed, **entries) for rate, seed in product(rates, seeds)]


def trained_by_torch(cell, images):
    """nn.Sequential, autograd and torch.optim."""
    model = build(network_of(cell), seeded_generator(cell.seed))
    make = {
        "sgd": lambda p: torch.optim.SGD(p, cell.rate),
        "momentum": lambda p: torch.optim.SGD(p, cell.rate, momentum=cell.momentum),
        "nesterov": lambda p: torch.optim.SGD(p, cell.rate, momentum=cell.momentum, nesterov=True),
        "adamw": lambda p: torch.optim.AdamW(p, cell.rate, betas=(cell.momentum, 0.999), weight_decay=0.0),
        "adam": lambda p: torch.optim.Adam(p, cell.rate, betas=(cell.momentum, 0.999)),
    }[cell.optimizer]
    optimizer, loss = make(model.parameters()), loss_function(cell.loss)
    stream, losses = batches(images[0], cell.batch, cell.seed), []
    for _ in range(cell.steps):
        x, y = next(stream)
        target = y if cell.loss == "cross_entropy" else torch.nn.functional.one_hot(y, cell.outputs).float()
        optimizer.zero_grad()
        value = loss(model(x), target)
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    x, y = images[1].__getitems__(range(len(images[1])))
    return losses, float((model(x).argmax(1) == y).float().mean()), [p.detach() for p in model.parameters()]


CASES = [
    {"activation": name, "batch": batch} for name in ("tanh", "hardtanh", "relu", "linear", "gelu") for batch in (1, 5)
] + [
    {"optimizer": "momentum"},
    {"optimizer": "nesterov", "batch": 3, "sigma_b": 0.3},
    {"optimizer": "adam", "batch": 3, "sigma_b": 0.3},
    {"loss": "cross_entropy", "batch": 3, "sigma_b": 0.3},
    {"loss": "mse", "batch": 3},
    {"loss": "binary_cross_entropy", "batch": 3},
    {"optimizer": "adamw"},
    {"loss": "half_mean_squared_error", "activation_scale": 0.4, "weights": "gaussian"},
    {"activation_scale": 0.4, "batch": 2},
    {"activation": "hardtanh", "activation_scale": 0.1},
    {"activation": "gelu", "activation_scale": 2.0},
    {"depth": 1},
]


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_every_member_is_trained_as_torch_trains_it(images, changes):
    members = cells(**changes)
    results = train_stack(members, images)
    for cell, result in zip(members, results, strict=True):
        losses, accuracy, _ = trained_by_torch(cell, images)
        assert result.looks[-1].accuracy == pytest.approx(accuracy)
        assert result.train_loss[1:] == pytest.approx([np.mean(losses[:5]), np.mean(losses[5:])], rel=2e-4)
        assert result.train_loss[0] is None and result.divergence_step is None


@pytest.mark.parametrize("changes", CASES, ids=str)
def test_a_member_does_not_depend_on_the_stack(images, changes):
    """Up to rounding: on some processors a batched product depends on where in memory a matrix begins."""
    members = cells(rates=(0.05, 0.2, 0.3), seeds=(0, 1, 2), **changes)
    together = stack_of(members)
    alone = [stack_of([cell]) for cell in members]
    streams = [batches(images[0], members[0].batch, cell.seed) for cell in members]
    for _ in range(6):
        drawn = [next(stream) for stream in streams]
        losses = together.step(torch.stack([x for x, _ in drawn]), torch.stack([y for _, y in drawn]))
        for row, (stack, (x, y)) in enumerate(zip(alone, drawn, strict=True)):
            torch.testing.assert_close(stack.step(x[None], y[None])[0], losses[row], rtol=ROUNDED, atol=0)
    for row, stack in enumerate(alone):
        for one, all_of_them in zip(stack.weights, together.weights, strict=True):
            torch.testing.assert_close(one[0], all_of_them[row], rtol=ROUNDED, atol=ROUNDED)


def test_results_are_equal_whatever_the_stack(images):
    members = cells(rates=(0.05, 0.2, 0.3), seeds=(0, 1, 2), width=17)
    looks = [result.looks for result in train_stack(members, images)]
    assert looks == [train_stack([cell], images)[0].looks for cell in members]


def test_a_diverged_member_is_frozen_and_disturbs_nobody(images):
    members = cells(rates=(0.05, 500.0), activation="relu", steps=30, evaluate=(1, 10, 30))
    calm, wild = train_stack(members, images)[:2], train_stack(members, images)[2:]
    assert [r.looks for r in calm] == [r.looks for r in train_stack(members[:2], images)]
    for result in wild:
        assert result.divergence_step is not None and result.divergence_step < 30
        assert result.looks[-1] == result.looks[-2].at(30)  # its weights stay
        assert 0 <= result.looks[-1].accuracy <= 1
        assert result.train_loss[-1] is None
    assert all(value is not None for result in calm for value in result.train_loss)


def test_a_stack_that_diverges_altogether_ends(images):
    results = train_stack(cells(rates=(1e4, 1e5), activation="relu", steps=1000, evaluate=(500, 1000)), images)
    assert all(len(result.looks) == 2 and result.divergence_step < 500 for result in results)


def test_metrics_are_those_of_the_library(images):
    from freeness.torch import batch_sharpness, freeness_test

    cell = cells(rates=(0.05,), seeds=(0,), width=40, metrics=("sharpness", "freeness"), evaluate=(0, 12))[0]
    first = train_stack([cell], images)[0].looks[0]
    model = build(network_of(cell), seeded_generator(0))
    x, y = images[0].__getitems__([0])
    target = torch.nn.functional.one_hot(y, CLASSES).float()
    assert first.sharpness == pytest.approx(batch_sharpness(model, x, target, cell.loss).value, rel=1e-4)
    assert first.freeness == pytest.approx(freeness_test(model, x).largest)


def test_cells_of_different_columns_are_refused(images):
    with pytest.raises(ValueError, match="differ in rate and seed only"):
        train_stack([*cells(), *cells(depth=2)], images)


def test_tasks_hold_one_column_each_the_longest_first(images):
    members = [*cells(), *cells(depth=9)]
    tasks = tasks_of(members, DataSpecification(), together=3)
    assert [len(task.cells) for task in tasks] == [3, 3, 1, 1]
    assert {cell.key for task in tasks for cell in task.cells} == {cell.key for cell in members}
    assert all(len({cell.column for cell in task.cells}) == 1 for task in tasks)
    assert [task.cells[0].depth for task in tasks] == [9, 4, 9, 4]
    assert isinstance(tasks[0], Task)


def test_the_probe_takes_a_size_that_it_clocked(images):
    members = cells(rates=tuple(np.linspace(0.01, 0.2, 3)), steps=500, evaluate=(500,))
    assert faster_stack(members, images) in (1, 4, 6)
    assert faster_stack(members[:1], images) == 1
