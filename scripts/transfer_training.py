"""Training one network at several rates at once, each parameter with a rate of its own, on the same batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from transfer_networks import STEPS, Member

EVALUATED = 256  # samples at most whose loss is told
LAST = (20, 10, 0)  # the loss of a run is the mean after all but these steps
MOMENTUM, BETAS, EPSILON, DECAY = 0.9, (0.9, 0.999), 1e-8, 0.01
Rates = Mapping[str, float]  # by the names of parameters


class Runs:
    """Runs of one member from one start; ``model`` may be another start of it; ``batch``: samples of a step."""

    def __init__(
        self,
        member: Member,
        seed: int = 0,
        model: nn.Module | None = None,
        *,
        steps: int = STEPS,
        batch: int | None = None,
    ) -> None:
        self.member, self.seed = member, seed
        self.steps, self.batch = steps, batch or member.kind.batch
        self.model = member.started(seed) if model is None else model
        self.x, self.y = member.kind.data()

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Those of the seed: passes over the data, each in a new order."""
        size, steps = self.batch, self.steps
        generator = torch.Generator().manual_seed(self.seed)
        passes = -(-steps * size // len(self.x))
        order = torch.cat([torch.randperm(len(self.x), generator=generator) for _ in range(passes)])
        for rows in order[: steps * size].reshape(steps, size):
            yield self.x[rows], self.y[rows]

    def uniform(self, rate: float) -> Rates:
        """One rate for all parameters."""
        return dict.fromkeys((name for name, _ in self.model.named_parameters()), rate)

    def losses(self, given: Sequence[Rates]) -> list[float]:
        """After all steps, one a set of rates; infinite where a run left the numbers."""
        found: list[float] = []
        together = self.member.kind.together
        for start in range(0, len(given), together):
            found += self._together(given[start : start + together])
        return found

    def _together(self, given: Sequence[Rates]) -> list[float]:
        named = dict(self.model.named_parameters())
        theta = {name: value.detach().expand(len(given), *value.shape).clone() for name, value in named.items()}
        rates = {
            name: torch.tensor([one[name] for one in given]).reshape(-1, *[1] * value.ndim)
            for name, value in named.items()
        }
        gradient = vmap(grad(self._loss), in_dims=(0, None, None)) if len(given) > 1 else self._of_one
        first = {name: torch.zeros_like(value) for name, value in theta.items()}
        second = {name: torch.zeros_like(value) for name, value in theta.items()}
        told = []
        for step, (x, y) in enumerate(self.batches(), 1):
            found = gradient(theta, x, y)
            for name, slope in found.items():
                self._step(theta[name], rates[name], slope, (first[name], second[name], step))
            if self.steps - step in LAST:
                told.append(self._evaluated(theta))
        mean = torch.stack(told).mean(0)
        return [value if math.isfinite(value) else math.inf for value in mean.tolist()]

    def _step(self, theta: Tensor, rate: Tensor, slope: Tensor, kept: tuple[Tensor, Tensor, int]) -> None:
        """As torch's optimisers do it, in place."""
        first, second, step = kept
        if self.member.optimizer == "adamw":
            theta.mul_(1 - rate * DECAY)
            first.lerp_(slope, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
            scale = (second / (1 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
            theta.sub_(rate / (1 - BETAS[0] ** step) * first / scale)
            return
        if self.member.optimizer == "momentum":
            slope = first.mul_(MOMENTUM).add_(slope)
        theta.sub_(rate * slope)

    def _of_one(self, theta: dict[str, Tensor], x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """As vmap of one run does it, which takes three times as long on small networks."""
        one = {name: value[0].requires_grad_() for name, value in theta.items()}
        slopes = torch.autograd.grad(self._loss(one, x, y), list(one.values()))
        return {name: slope[None] for name, slope in zip(one, slopes, strict=True)}

    def _loss(self, theta: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        outputs = functional_call(self.model, theta, (x,))
        return nn.functional.cross_entropy(outputs.flatten(0, -2), y.flatten())

    def _evaluated(self, theta: dict[str, Tensor]) -> Tensor:
        x, y = self.x[:EVALUATED], self.y[:EVALUATED]
        with torch.no_grad():
            return vmap(self._loss, in_dims=(0, None, None))(theta, x, y)
