"""Models in the styles that people write, and the ground truth by torch.func."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class FunctionalCalls(nn.Module):
    """A subclass whose activations are function calls, with a flatten in front."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(12, 9), nn.Linear(9, 7, bias=False), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x.view(x.shape[0], -1)))
        x = functional.dropout(functional.gelu(self.second(x)), 0.4, training=self.training)
        return self.head(functional.leaky_relu(x, 0.2))


class Nested(nn.Module):
    """Blocks in blocks, one activation module shared by two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.Tanh()
        self.body = nn.Sequential(
            nn.Sequential(nn.Linear(6, 8), self.act), nn.Sequential(nn.Linear(8, 8), self.act), nn.Identity()
        )
        self.head = nn.ModuleDict({"out": nn.Linear(8, 3)})

    def forward(self, x: Tensor) -> Tensor:
        return self.head["out"](self.body(x))


class ValueDependent(nn.Module):
    """Control flow on values: torch.export refuses it, hooks do not mind."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.head = nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if float(x.detach().abs().sum()) > 0:
            x = self.act(x)
        return self.head(x)


class SelfGated(nn.Module):
    """A hand-written activation of several calls."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.5 * x) - 0.1


class Residual(nn.Module):
    """A skip connection, which is not covered."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return h + self.second(torch.tanh(h))


def covered_models() -> dict[str, tuple[nn.Module, Tensor]]:
    """Name to (model, example): everything that trace must read."""
    torch.manual_seed(11)
    mixed = nn.Sequential(
        nn.Linear(6, 8), nn.Hardtanh(), nn.Linear(8, 9), nn.ELU(0.7), nn.Linear(9, 7), nn.Softplus(),
        nn.Linear(7, 8), nn.SiLU(), nn.Linear(8, 8), nn.Softsign(), nn.Linear(8, 3),
    )  # fmt: skip
    return {
        "sequential": (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)), torch.randn(3, 6)),
        "no biases": (
            nn.Sequential(nn.Linear(6, 5, bias=False), nn.Tanh(), nn.Linear(5, 8, bias=False)),
            torch.randn(1, 6),
        ),
        "functional": (FunctionalCalls(), torch.randn(2, 3, 4)),
        "nested, shared activation": (Nested(), torch.randn(2, 6)),
        "mixed": (mixed, torch.randn(4, 6)),
        "dropout": (
            nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 5), nn.Dropout(0.5), nn.GELU(), nn.Linear(5, 4)),
            torch.randn(2, 6),
        ),
        "flatten": (
            nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Sigmoid(), nn.Linear(6, 2)),
            torch.randn(2, 1, 3, 4),
        ),
        "hooks": (ValueDependent(), torch.randn(2, 6)),
        "composite": (
            nn.Sequential(nn.Linear(6, 5), SelfGated(), nn.ReLU(inplace=True), nn.Linear(5, 4)),
            torch.randn(2, 6),
        ),
        "linear layers in a row": (nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)), torch.randn(2, 6)),
        "activation at both ends": (nn.Sequential(nn.Tanh(), nn.Linear(6, 5), nn.Tanh()), torch.randn(2, 6)),
        "one vector": (nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)), torch.randn(6)),
    }


def parameter_jacobian(model: nn.Module, x: Tensor, names: list[str] | None = None) -> Tensor:
    """J_θ (outputs, parameters) at the batch x, flattened over samples and outputs, by torch.func.jacrev."""
    chosen = {n: p.detach() for n, p in model.named_parameters() if names is None or n in names}

    def outputs(values: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(model, values, (x,)).reshape(-1)

    blocks = torch.func.jacrev(outputs)(chosen)
    return torch.cat([block.flatten(1) for block in blocks.values()], dim=1)


def input_jacobian(model: nn.Module, x: Tensor) -> Tensor:
    """J (outputs, inputs) at one sample given as a batch of one or a vector."""
    jacobian = torch.func.jacrev(lambda value: model(value).reshape(-1))(x).detach()
    return jacobian.reshape(jacobian.shape[0], -1)


def rows(outputs: Tensor, inputs: list[Tensor]) -> Tensor:
    """∂outputs/∂inputs, one output after the other, (outputs, numbers of all inputs)."""
    found = []
    for value in outputs:
        gradients = torch.autograd.grad(value, inputs, retain_graph=True, allow_unused=True, materialize_grads=True)
        found.append(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    return torch.stack(found)
