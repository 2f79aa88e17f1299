"""Training many copies of one network at once: every rate with every seed, each by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from bank_networks import EVALUATED, LAST, SEEDS, Case, images, model, order


class Trainer:
    """Runs of a case; ``starts`` are its networks, one a seed, and ``initial`` the mean of their losses."""

    def __init__(self, case: Case, seeds: Sequence[int] = SEEDS) -> None:
        self.case = case
        self.starts = [model(case, seed) for seed in seeds]
        self.x, self.y = images(case)
        self.names = [name for name, _ in self.starts[0].named_parameters()]
        self.shapes = [parameter.shape for parameter in self.starts[0].parameters()]
        self.theta = torch.stack([nn.utils.parameters_to_vector(start.parameters()).detach() for start in self.starts])
        self.batches = torch.stack([order(case.batch, len(self.x), seed) for seed in seeds], dim=1)
        self.initial = self._evaluated(self.theta).tolist()

    def losses(self, rates: Tensor, places: Sequence[int] = LAST) -> Tensor:
        """The mean after some steps, for rates (R, seeds); inf where a run left the numbers."""
        mean = self.followed(rates, places)[1].mean(0).reshape(len(rates), len(self.starts))
        return torch.where(mean.isfinite(), mean, math.inf)

    def followed(self, rates: Tensor, places: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The losses of every batch before its step, and of images after some, up to the last: (steps or places, R·seeds)."""
        count = len(rates)
        theta, before, found = self.theta.repeat(count, 1), [], []
        optimizer = self._optimizer(theta, rates.flatten().tolist())
        for step, chosen in enumerate(self.batches[: max(places)], 1):
            y = self.y[chosen]
            x = self.x[chosen].repeat(count, 1, 1)
            values, gradient = self._gradient(theta, x, y.repeat(count, *[1] * (y.ndim - 1)))
            for group, row in zip(optimizer.param_groups, gradient, strict=True):
                group["params"][0].grad = row
            optimizer.step()
            before.append(values)
            if step in places:
                found.append(self._evaluated(theta))
        return torch.stack(before), torch.stack(found)

    def _optimizer(self, theta: Tensor, rates: list[float]) -> torch.optim.Optimizer:
        """torch's own, every row of theta a parameter with its own rate."""
        groups = [{"params": [row], "lr": rate} for row, rate in zip(theta, rates, strict=True)]
        if self.case.optimizer == "adam":
            return torch.optim.Adam(groups, fused=True)
        return torch.optim.SGD(groups, lr=1.0, momentum=0.9 if self.case.optimizer == "momentum" else 0.0, fused=True)

    def _outputs(self, theta: Tensor, x: Tensor) -> Tensor:
        parts = theta.split([shape.numel() for shape in self.shapes], dim=1)
        stacked = {n: p.reshape(-1, *s) for n, p, s in zip(self.names, parts, self.shapes, strict=True)}

        def one(parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
            return functional_call(self.starts[0], parameters, (inputs,))

        return vmap(one, in_dims=(0, 0 if x.ndim == 3 else None))(stacked, x)

    def _losses_of(self, outputs: Tensor, y: Tensor) -> Tensor:
        """One number a copy."""
        if self.case.loss == "cross_entropy":
            flat = nn.functional.cross_entropy(outputs.flatten(0, 1), y.flatten(), reduction="none")
            return flat.reshape(outputs.shape[:2]).mean(1)
        return 0.5 * (outputs - y).square().sum(2).mean(1)

    def _gradient(self, theta: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of the copies, and their gradients."""
        leaf = theta.detach().requires_grad_()
        losses = self._losses_of(self._outputs(leaf, x), y)
        return losses.detach(), torch.autograd.grad(losses.sum(), leaf)[0]

    def _evaluated(self, theta: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.y[:EVALUATED]
            found = []
            for part in theta.split(9):
                outputs = self._outputs(part, self.x[:EVALUATED])
                found.append(self._losses_of(outputs, y.expand(len(part), *y.shape)))
        return cast(Tensor, torch.cat(found))
