"""What is trained is what is measured: frozen parts, adapters, parameters that the optimiser holds, tied weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from freeness.torch import AnalyzeOptions, analyze, batch_sharpness, given_loss
from freeness.torch.loss.loss_note import loss_note

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(7, 5, generator=GENERATOR, dtype=torch.float64)
Y = torch.arange(7) % 3


class Adapter(nn.Module):
    """A frozen layer with a trained correction of rank 2."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down, self.up = (
            nn.Parameter(torch.randn(size) / 2) for size in ((2, layer.in_features), (layer.out_features, 2))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + x @ self.down.T @ self.up.T


def adapted() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(Adapter(nn.Linear(5, 6)), nn.Tanh(), Adapter(nn.Linear(6, 3))).double()


def half_frozen() -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    model[0].requires_grad_(False)
    return model


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.again, self.head = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.again.weight = self.first.weight
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.again(torch.tanh(self.first(x)))))


def dense(model: nn.Module, names: list[str]) -> tuple[float, np.ndarray]:
    """λ_max of the GGN, and the eigenvalues of Θ at the first sample, over these parameters."""
    weights = {name: p.detach() for name, p in model.named_parameters() if name in names}

    def outputs(some: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(model, some, (x,), tie_weights=True)

    parts = torch.func.jacrev(outputs)(weights, X)
    rows = torch.cat([part.reshape(7, 3, -1) for part in parts.values()], 2)
    p = outputs(weights, X).softmax(1).detach()
    ggn = torch.einsum("bcp,bcd,bdq->pq", rows, torch.diag_embed(p) - p[:, :, None] * p[:, None, :], rows) / 7
    return float(torch.linalg.eigvalsh(ggn.detach())[-1]), torch.linalg.eigvalsh(rows[0] @ rows[0].T).detach().numpy()


@pytest.mark.parametrize("make", [adapted, half_frozen, Tied])
def test_sharpness_and_spectra_are_over_the_trained_parameters(make: type[nn.Module]) -> None:
    model = make()
    sharpness, fisher = dense(model, [name for name, p in model.named_parameters() if p.requires_grad])
    report = analyze(model, (X, Y))
    assert report.learning_rate.sharpness == pytest.approx(sharpness, rel=1e-8)
    assert report.fisher.measured is not None
    np.testing.assert_allclose(report.fisher.measured.eigenvalues, fisher, rtol=1e-8)
    told = [w for w in report.verdict.warnings if w.startswith("Measured is what is trained")]
    assert bool(told) == (make is not Tied)
    if make is adapted:
        assert "40 of 97 parameters (0.down, 0.up, 2.down, 2.up)" in told[0]


def test_parameters_that_the_optimiser_does_not_hold_are_not_trained() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    head = list(model[2].parameters())
    groups = [{"params": head[:1], "weight_decay": 0.25}, {"params": head[1:]}]
    report = analyze(model, (X, Y), optimizer=torch.optim.SGD(groups, lr=1.0))
    sharpness, fisher = dense(model, ["2.weight", "2.bias"])
    assert report.learning_rate.sharpness == pytest.approx(sharpness, rel=1e-8)
    assert report.learning_rate.bound == pytest.approx(2 / (sharpness + 0.25), rel=1e-8)
    assert report.fisher.measured is not None
    np.testing.assert_allclose(report.fisher.measured.eigenvalues, fisher, rtol=1e-8)
    assert all(p.requires_grad for p in model.parameters())
    whole = analyze(model, (X, Y), AnalyzeOptions(optimizer=torch.optim.SGD(model.parameters(), lr=1.0)))
    assert whole.learning_rate.sharpness == pytest.approx(batch_sharpness(model, X, Y, "cross_entropy").value)


def waves(outputs: Tensor, targets: Tensor) -> Tensor:
    return (3 * outputs.sum(1) - targets).cos().mean()


def test_a_report_says_that_a_loss_is_not_convex_and_which_matrix_is_meant() -> None:
    model = half_frozen()
    assert any("not convex in the outputs here" in w for w in analyze(model, (X, Y), loss=waves).verdict.warnings)
    squares = nn.functional.one_hot(Y, 3).double()
    assert not any("convex" in w for w in analyze(model, (X, squares), loss=nn.HuberLoss()).verdict.warnings)
    logarithms = nn.Sequential(model, nn.LogSoftmax(1))
    assert any("that of the logits" in w for w in analyze(logarithms, (X, Y), loss=nn.NLLLoss()).verdict.warnings)


def test_the_range_of_the_curvature_is_that_of_the_hessian() -> None:
    model = half_frozen()
    hessian = torch.func.hessian(lambda f: 7 * waves(f, Y))(model(X).detach()).reshape(21, 21)
    low, high = (float(end) for end in torch.linalg.eigvalsh(hessian)[[0, -1]])
    (told,) = loss_note(model, (X, Y), given_loss(waves))
    assert f"from {low:.3g} to {high:.3g}" in told
