"""Steps of the optimisers for stacks, as ``torch.optim`` makes them, every member with its own rate."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from freeness.experiments.specification import Cell

_SECOND, _EPSILON = 0.999, 1e-8  # β₂ and ε of adam, torch's


@dataclass(eq=False)
class Update:
    """An optimiser over a stack; ``state`` holds what it remembers of each parameter.

    Plain gradient descent writes W - η dᵀx without forming the gradient.
    """

    kind: str
    beta: float
    rates: Tensor
    state: dict[tuple[str, int], list[Tensor]] = field(default_factory=dict)
    count: int = 0

    def begin(self) -> None:
        """A new step."""
        self.count += 1

    def weight(self, place: int, weight: Tensor, d: Tensor, x: Tensor) -> None:
        """Step of weights (M, out, in) whose gradient is dᵀx.

        Args:
            place: of the layer.
            weight: changed in place.
            d: (M, B, out).
            x: (M, B, in).
        """
        if self.kind != "sgd":
            self._moved("weight", place, weight, torch.bmm(d.transpose(1, 2), x))
        elif d.shape[1] == 1:  # an outer product; a batched product of one member takes other code than of several
            weight.addcmul_((d * -self.rates).transpose(1, 2), x)
        else:
            weight.baddbmm_((d * -self.rates).transpose(1, 2), x)

    def bias(self, place: int, bias: Tensor, d: Tensor) -> None:
        """Step of biases (M, 1, out) whose gradient is the sum of d over the batch.

        Args:
            place: of the layer.
            bias: changed in place.
            d: (M, B, out).
        """
        self._moved("bias", place, bias, d.cumsum(dim=1)[:, -1:])

    def rows(self, chosen: Tensor) -> Update:
        """The optimiser of the chosen members.

        Args:
            chosen: their rows.
        """
        state = {name: [tensor[chosen] for tensor in kept] for name, kept in self.state.items()}
        return Update(self.kind, self.beta, self.rates[chosen], state, self.count)

    def _moved(self, name: str, place: int, parameter: Tensor, gradient: Tensor) -> None:
        if self.kind == "sgd":
            parameter.sub_(self.rates * gradient)
        elif self.kind == "adam":
            first, second = self._kept(name, place, gradient, 2)
            first.mul_(self.beta).add_(gradient * (1 - self.beta))
            second.mul_(_SECOND).add_(gradient.square() * (1 - _SECOND))
            root = (second / (1 - _SECOND**self.count)).sqrt_().add_(_EPSILON)
            parameter.sub_(self.rates * (first / (1 - self.beta**self.count)) / root)
        else:
            (kept,) = self._kept(name, place, gradient, 1)
            kept.mul_(self.beta).add_(gradient)
            parameter.sub_(self.rates * (gradient + self.beta * kept if self.kind == "nesterov" else kept))

    def _kept(self, name: str, place: int, gradient: Tensor, how_many: int) -> list[Tensor]:
        fresh = [torch.zeros_like(gradient) for _ in range(how_many)]
        return self.state.setdefault((name, place), fresh)


def update_of(cell: Cell, rates: Tensor) -> Update:
    """The optimiser of a column, without memory.

    Args:
        cell: names it, with β (β₁ of adam).
        rates: (M, 1, 1).
    """
    return Update(cell.optimizer, cell.momentum, rates)
