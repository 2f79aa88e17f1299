"""Models whose forward pass holds derivatives: physics-informed networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from freeness import InputError
from freeness.torch import AnalyzeOptions, analyze, batch_sharpness
from freeness.torch.loss.differentiated import differentiated

GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(7, 2, generator=GENERATOR, dtype=torch.float64)


class Heat(nn.Module):
    """u_t - u_xx of a network u(x, t), which is 0 for solutions. Source: Raissi, Perdikaris, Karniadakis, 2019."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)).double()

    def forward(self, x: Tensor) -> Any:
        u = self.net(x)
        (first,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first[:, 0].sum(), x, create_graph=True)
        return first[:, 1:] - second[:, :1]


class Functional(Heat):
    """The same by torch.func."""

    def forward(self, x: Tensor) -> Any:
        def u(point: Tensor) -> Tensor:
            return self.net(point)[0]

        first = torch.func.vmap(torch.func.grad(u))(x)
        second = torch.func.vmap(torch.func.hessian(u))(x)
        return first[:, 1:] - second[:, 0, :1]


class Trained(Heat):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x).square().mean()


class TwoTerms(Heat):
    def forward(self, x: Tensor) -> Any:
        inside, outside = super().forward(x), super().forward(2 * x)[:3]
        return inside.square().mean() + outside.square().mean()


def jacobian(model: Heat) -> Tensor:
    """Of the residuals in all parameters, where u_t and u_xx are written down."""
    names = [name for name, _ in model.net.named_parameters()]
    given = [p.detach() for p in model.net.parameters()]

    def residual(w: Tensor, b: Tensor, v: Tensor, c: Tensor) -> Tensor:
        h = torch.tanh(X @ w.T + b)
        slope, bend = 1 - h**2, -2 * h * (1 - h**2)
        return (slope * w[:, 1]) @ v.T - (bend * w[:, 0] ** 2) @ v.T + 0 * c

    assert names == ["0.weight", "0.bias", "2.weight", "2.bias"]
    parts = torch.func.jacrev(residual, argnums=(0, 1, 2, 3))(*given)
    return torch.cat([part.reshape(len(X), -1) for part in parts], 1)


@pytest.mark.parametrize("kind", [Heat, Functional])
def test_residuals_have_the_spectra_of_their_derivatives_written_down(kind: type[Heat]) -> None:
    model, exact = kind(), jacobian(Heat())
    wanted = float(torch.linalg.eigvalsh(2 * exact @ exact.T / len(X))[-1])
    found = analyze(model, (X, torch.zeros(7, 1).double()), loss="mse")
    assert found.learning_rate.sharpness == pytest.approx(wanted, rel=1e-8)
    assert found.fisher.measured is not None
    assert found.fisher.measured.eigenvalues[0] == pytest.approx(float(exact[0] @ exact[0]), rel=1e-6)
    rows = [row.name for row in found.layers.modules]
    assert rows == (["net.0", "net.2"] if kind is Heat else [])  # inside torch.func no layer is seen


def test_a_loss_of_residuals_that_the_model_computes_has_their_matrix() -> None:
    exact = jacobian(Heat())
    wanted = float(torch.linalg.eigvalsh(2 * exact @ exact.T / len(X))[-1])
    found = analyze(Trained(), X, AnalyzeOptions(only="rate"))
    assert found.learning_rate.sharpness == pytest.approx(wanted, rel=1e-8)
    assert any("inner signals" in line for line in found.verdict.warnings)


def test_losses_that_need_more_than_outputs_are_refused_with_the_way_out() -> None:
    def of_inputs(outputs: Tensor, x: Tensor) -> Tensor:
        return torch.autograd.grad(outputs.sum(), x, create_graph=True)[0].square().mean()

    for ask in (lambda: analyze(TwoTerms(), X), lambda: batch_sharpness(Heat().net, X, X, of_inputs)):
        with pytest.raises(InputError, match=r"differentiates the model.*return its residuals"):
            ask()


def test_the_block_leaves_grad_mode_and_hooks_as_they_were() -> None:
    model = Heat()
    with torch.no_grad():
        with differentiated(model):
            assert not model(X).requires_grad and not torch.is_grad_enabled()
        with pytest.raises(RuntimeError, match="does not require grad"):
            model(X)
    with differentiated(model), pytest.raises(RuntimeError), torch.no_grad():
        model(torch.zeros(1))  # no such input
    assert torch.is_grad_enabled() and not model._forward_hooks and not model._forward_pre_hooks
