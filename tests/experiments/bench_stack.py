"""A column of 36 cells as stacks against one cell after the other, and against plain torch; bytes beside time."""

import pytest
import torch

from freeness.experiments import batches, data_facts, expand, load_images, preset
from freeness.experiments.column import stack_of
from freeness.torch import build
from freeness.torch.loss.losses import loss_function
from freeness.torch.model.sampling import seeded_generator

SWEEP = preset("headline")
STEPS = 5


@pytest.fixture(scope="module")
def images():
    torch.set_num_threads(1)
    return load_images(SWEEP.data)


def column(images, depth):
    placed = expand(SWEEP, data_facts(SWEEP.data, images[0]))
    return [
        item.cell.model_copy(update={"rate": 1e-3})
        for item in placed
        if item.place[0] == 0 and item.cell.depth == depth
    ]


@pytest.mark.parametrize("depth", SWEEP.depths)
@pytest.mark.parametrize("size", [1, 12, 36])
def test_steps_of_a_column(benchmark, images, depth, size):
    benchmark.group = f"36 members, L = {depth}, {STEPS} steps"
    cells = column(images, depth)
    x, y = next(batches(images[0], 1, 0))
    stacks = [stack_of(cells[start : start + size]) for start in range(0, len(cells), size)]
    x, y = x.expand(size, *x.shape).contiguous(), y.expand(size, *y.shape)

    def steps():
        for stack in stacks:
            for _ in range(STEPS):
                stack.step(x, y)

    benchmark(steps)
    benchmark.extra_info["MiB of weights"] = sum(w.nbytes for w in stacks[0].weights) / 2**20


@pytest.mark.parametrize("depth", SWEEP.depths)
def test_steps_by_autograd_and_torch_optim(benchmark, images, depth):
    benchmark.group = f"36 members, L = {depth}, {STEPS} steps"
    from freeness.experiments import network_of

    cells = column(images, depth)
    x, y = next(batches(images[0], 1, 0))
    target = torch.nn.functional.one_hot(y, 10).float()
    loss = loss_function("half_squared_error")
    models = [build(network_of(cell), seeded_generator(cell.seed)) for cell in cells]
    optimizers = [torch.optim.SGD(model.parameters(), 1e-3) for model in models]

    def steps():
        for model, optimizer in zip(models, optimizers, strict=True):
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss(model(x), target).backward()
                optimizer.step()

    benchmark(steps)
