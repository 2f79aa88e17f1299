"""Checkpoints refuse what measuring asks of a graph; measured they are what they hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.utils.checkpoint as checkpoints
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import CheckpointFunction, checkpoint

from freeness.torch import batch_sharpness, measure_fisher, observe, trace
from freeness.torch.measured.sums import adds_signals
from freeness.torch.model.checkpoints import plain_checkpoints

X, Y = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


class Blocks(nn.Module):
    """x + f(x), each maybe in a checkpoint; ``first``: the layer that reads the input as well."""

    def __init__(self, held: bool, first: bool = False):
        super().__init__()
        torch.manual_seed(0)
        self.into, self.out, self.held, self.first = nn.Linear(5, 8), nn.Linear(8, 3), held, first
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.Tanh()) for _ in range(2))

    def run(self, module: nn.Module, x: Tensor) -> Tensor:
        return checkpoint(module, x, use_reentrant=True) if self.held else module(x)

    def forward(self, x: Tensor) -> Tensor:
        x = self.run(self.into, x) if self.first else self.into(x)
        for block in self.blocks:
            x = x + self.run(block, x)
        return self.out(x)


def test_a_model_with_reentrant_checkpoints_has_the_numbers_of_the_one_without():
    held, plain = (batch_sharpness(Blocks(each), X, Y, "cross_entropy").value for each in (True, False))
    assert held == pytest.approx(plain, rel=1e-5)
    with plain_checkpoints():
        assert adds_signals(Blocks(True), X)


def test_the_table_of_layers_is_that_of_the_model_without():
    tables = []
    for held in (True, False):
        model = Blocks(held)
        tables.append(observe(model, lambda model=model: functional.cross_entropy(model(X), Y)))
    assert all(a.gradient == pytest.approx(b.gradient, rel=1e-4) for a, b in zip(*tables, strict=True))
    assert tables[0].sums == tables[1].sums and len(tables[0].sums) == 2


def test_what_no_gradient_reaches_in_training_has_none_here_and_carries_no_derivative():
    model, frozen = Blocks(True, first=True), Blocks(False)
    with pytest.warns(UserWarning, match="Gradients will be None"):
        model(X).sum().backward()
    assert {name for name, one in model.named_parameters() if one.grad is not None} == {"out.weight", "out.bias"}
    for module in (frozen.into, frozen.blocks):
        module.requires_grad_(False)
    held = batch_sharpness(model, X, Y, "cross_entropy").value
    assert held == pytest.approx(batch_sharpness(frozen, X, Y, "cross_entropy").value, rel=1e-5)


def test_checkpoints_are_as_they_were_behind_the_outermost_block():
    with plain_checkpoints(), plain_checkpoints():
        pass
    assert "apply" not in vars(CheckpointFunction)
    model = Blocks(True)
    with pytest.raises(RuntimeError, match="use_reentrant"):
        torch.autograd.grad(model(X).sum(), list(model.parameters()), allow_unused=True)


class Recomputed(Blocks):
    """Blocks in checkpoints that are not reentrant."""

    def run(self, module: nn.Module, x: Tensor) -> Tensor:
        return checkpoint(module, x, use_reentrant=False) if self.held else module(x)


def test_theta_of_checkpoints_that_run_anew_is_that_of_the_model_without():
    """Their spectra were missing: "Recomputed values … have different metadata"."""
    model, plain = Recomputed(True), Blocks(False)
    found = measure_fisher(trace(model, X[:1]), X[0]).eigenvalues
    rows = [torch.autograd.grad(plain(X[:1])[0, k], plain.parameters(), retain_graph=True) for k in range(3)]
    j = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]).double()
    np.testing.assert_allclose(found, torch.linalg.eigvalsh(j @ j.T), rtol=1e-4)
    before = checkpoints._checkpoint_without_reentrant_generator
    with plain_checkpoints():
        assert checkpoints._checkpoint_without_reentrant_generator is not before
    assert checkpoints._checkpoint_without_reentrant_generator is before
