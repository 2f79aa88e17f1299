"""Training the cells of one depth, and of everything else but rate and seed, as one stacked program.

Forward and backward are written out: a layer is one batched product h = x Wᵀ over the members, its gradient d ↦ dW one more, and
the update W ← W - η dᵀx uses each member's own rate. No operation mixes members, and none depends on how many there are: a
member's numbers are the same in every stack, bit for bit where batched products do not look at where a matrix lies in memory
(some processors' do, for batches of several samples), to rounding elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.experiments.cells import activation_of, network_of
from freeness.experiments.data import Images, batches
from freeness.experiments.elementwise import Bend, bend_of
from freeness.experiments.looks import Look, look_at
from freeness.experiments.losses import loss_and_pull
from freeness.experiments.specification import Cell
from freeness.experiments.update import Update, update_of
from freeness.network import Dense
from freeness.torch import activation_module, build, seeded_generator


@dataclass(frozen=True)
class CellResult:
    """What a training run gave.

    ``looks``: one a step of ``evaluate``; ``divergence_step``: the step whose loss was lost, after which the cell was frozen;
    ``train_loss``: mean loss of the batches between the looks; ``seconds``: its share of the time of its stack.
    """

    looks: tuple[Look, ...]
    divergence_step: int | None
    train_loss: tuple[float | None, ...]
    seconds: float


@dataclass(eq=False)
class Stack:
    """Weights (M, out, in) and biases (M, 1, out) or None, layer by layer, with the members' rates (M, 1, 1)."""

    cells: list[Cell]
    weights: list[Tensor]
    biases: list[Tensor | None]
    rates: Tensor
    bend: Bend
    update: Update
    members: list[int] = field(default_factory=list)  # places in the list of cells that was asked for

    def step(self, x: Tensor, y: Tensor) -> Tensor:
        """One step of every member; returns their losses (M,) before it, or does nothing where one is lost.

        Inputs are (M, B, N₀), classes (M, B).
        """
        inputs, before = [x], []
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.bmm(inputs[-1], weight.transpose(1, 2))
            before.append(h if bias is None else h + bias)
            if place < len(self.weights) - 1:
                inputs.append(self.bend.apply(before[-1]))
        cell = self.cells[0]
        losses, d = loss_and_pull(cell.loss, before[-1], y)
        if bool((losses <= cell.diverged_above).all()):  # NaN is not
            self._descend(inputs, before, d)
        return losses

    def _descend(self, inputs: list[Tensor], before: list[Tensor], d: Tensor) -> None:
        self.update.begin()
        for place in range(len(self.weights) - 1, -1, -1):
            weight, bias, x = self.weights[place], self.biases[place], inputs[place]
            ahead = torch.bmm(d, weight) if place else d
            self.update.weight(place, weight, d, x)
            if bias is not None:
                self.update.bias(place, bias, d)
            d = self.bend.pull(ahead, before[place - 1], x) if place else d

    def without(self, lost: Sequence[int]) -> Stack:
        """The stack of the other members."""
        kept = [row for row in range(len(self.cells)) if row not in set(lost)]
        chosen = torch.tensor(kept, dtype=torch.long, device=self.rates.device)
        return Stack(
            [self.cells[row] for row in kept],
            [weight[chosen] for weight in self.weights],
            [None if bias is None else bias[chosen] for bias in self.biases],
            self.rates[chosen],
            self.bend,
            self.update.rows(chosen),
            [self.members[row] for row in kept],
        )

    def model(self, row: int) -> nn.Sequential:
        """The member as a torch model that shares its weights."""
        model = nn.Sequential()
        function = activation_of(self.cells[row])
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            linear = nn.utils.skip_init(nn.Linear, weight.shape[2], weight.shape[1], bias=bias is not None)
            linear.weight = nn.Parameter(weight[row], requires_grad=False)
            if bias is not None:
                linear.bias = nn.Parameter(bias[row, 0], requires_grad=False)
            model.append(linear)
            if place < len(self.weights) - 1:
                model.append(activation_module(function))
        return model


def stack_of(cells: Sequence[Cell], device: torch.device | str = "cpu") -> Stack:
    """The stack of these cells at initialisation; cells of one seed start from the same weights."""
    if len({cell.column for cell in cells}) != 1:
        raise InputError("expected cells that differ in rate and seed only, got others; train each column by itself.")
    network = network_of(cells[0])
    drawn = {seed: build(network, seeded_generator(seed)) for seed in {cell.seed for cell in cells}}
    places = [place for place, layer in enumerate(network.chain()) if isinstance(layer, Dense)]
    modules = [[_linear(drawn[cell.seed][place]) for cell in cells] for place in places]
    weights = [torch.stack([m.weight.detach() for m in layer]).to(device) for layer in modules]
    biases = [
        torch.stack([m.bias.detach()[None] for m in layer]).to(device) if layer[0].bias is not None else None
        for layer in modules
    ]
    rates = torch.tensor([cell.rate for cell in cells], dtype=torch.float32, device=device)[:, None, None]
    bend = bend_of(activation_of(cells[0]))
    return Stack(list(cells), weights, biases, rates, bend, update_of(cells[0], rates), list(range(len(cells))))


def train_stack(
    cells: Sequence[Cell], images: tuple[Images, Images], device: torch.device | str = "cpu"
) -> tuple[CellResult, ...]:
    """Train cells of one column at once.

    A member whose loss exceeds ``diverged_above``, or is no number, is frozen before that step: it leaves the stack, and its
    later looks are those of the frozen weights.

    Args:
        cells: M of one column: alike but for rate and seed.
        images: for training, for testing.
        device: "cpu" or a CUDA device.

    Returns:
        One result a cell, in their order.

    Raises:
        InputError: cells of different columns, or a batch larger than the data.

    Example:
        >>> from freeness.experiments import data_facts, expand, load_images, preset
        >>> sweep = preset("tiny")
        >>> images = load_images(sweep.data)
        >>> column = [item.cell for item in expand(sweep, data_facts(sweep.data, images[0])) if item.cell.depth == 2]
        >>> [result.divergence_step is not None for result in train_stack(column, images)]  # rates ascend, two seeds each
        [False, False, False, False, True, True]
    """
    start = perf_counter()
    run = _Run(cells, images, device)
    for step in range(cells[0].steps):
        run.look(step)
        if not run.stack.cells:
            break
        run.step(step)
    return run.results(perf_counter() - start)


def _linear(module: nn.Module) -> nn.Linear:
    assert isinstance(module, nn.Linear)
    return module


class _Run:
    """The state of a training run: the stack, the streams of data and what has been seen."""

    def __init__(self, cells: Sequence[Cell], images: tuple[Images, Images], device: torch.device | str) -> None:
        self.stack, self.images, self.device = stack_of(cells, device), images, device
        self.streams = {seed: batches(images[0], cells[0].batch, seed) for seed in sorted({c.seed for c in cells})}
        self.cells = list(cells)
        self.looks: list[list[Look]] = [[] for _ in cells]
        self.diverged: list[int | None] = [None] * len(cells)
        self.frozen: list[Look | None] = [None] * len(cells)
        self.means: list[list[float | None]] = [[] for _ in cells]
        self._sum, self._count = torch.zeros(len(cells), dtype=torch.float64), 0
        self._place()

    def step(self, step: int) -> None:
        drawn = [next(stream) for stream in self.streams.values()]
        x = torch.stack([pair[0] for pair in drawn]).to(self.device)
        y = torch.stack([pair[1] for pair in drawn]).to(self.device)
        losses = self.stack.step(x[self._seed], y[self._seed])
        while not bool((losses <= self.cells[0].diverged_above).all()) and self.stack.cells:
            lost = torch.nonzero(~(losses <= self.cells[0].diverged_above)).flatten().tolist()
            self._freeze(lost, step)
            losses = self.stack.step(x[self._seed], y[self._seed]) if self.stack.cells else losses[:0]
        self._sum[self._rows] += losses.cpu().double()
        self._count += 1

    def look(self, step: int) -> None:
        """Look at the members where the specification asks for it."""
        if step not in self.cells[0].evaluate:
            return
        for row, member in enumerate(self.stack.members):
            self.looks[member].append(look_at(self.stack.model(row), self.stack.cells[row], self.images, step))
            self.means[member].append(float(self._sum[member]) / self._count if self._count else None)
        self._sum.zero_()
        self._count = 0

    def results(self, seconds: float) -> tuple[CellResult, ...]:
        cell = self.cells[0]
        if self.stack.cells:
            self.look(cell.steps)
        for member, frozen in enumerate(self.frozen):
            for step in cell.evaluate[len(self.looks[member]) :]:
                assert frozen is not None
                self.looks[member].append(frozen.at(step))
                self.means[member].append(None)
        share = seconds / len(self.cells)
        return tuple(
            CellResult(tuple(looks), diverged, tuple(means), share)
            for looks, diverged, means in zip(self.looks, self.diverged, self.means, strict=True)
        )

    def _freeze(self, lost: list[int], step: int) -> None:
        for row in lost:
            member = self.stack.members[row]
            self.diverged[member] = step
            self.frozen[member] = look_at(self.stack.model(row), self.stack.cells[row], self.images, step)
        self.stack = self.stack.without(lost)
        self._place()

    def _place(self) -> None:
        seeds = list(self.streams)
        self._seed = torch.tensor([seeds.index(cell.seed) for cell in self.stack.cells], dtype=torch.long)
        self._rows = torch.tensor(self.stack.members, dtype=torch.long)
