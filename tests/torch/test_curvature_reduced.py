"""The Hessian on the directions that it does not annihilate, beside the whole one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from freeness.torch import (
    CurvatureOptions,
    LanczosOptions,
    batch_sharpness,
    curvature_spectrum,
)
from freeness.torch.measured import curvature_reduced
from freeness.torch.measured.curvature_matrices import curvature_operator
from freeness.torch.measured.curvature_reduced import reduced_hessian
from tests.torch.models import of_vector

FEW = LanczosOptions(probes=3, steps=12)


class Shared(nn.Module):
    """One weight in two layers, and one that is read outside a layer as well."""

    def __init__(self, penalty: bool) -> None:
        super().__init__()
        self.first, self.second, self.penalty = nn.Linear(6, 6), nn.Linear(6, 6), penalty

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x))
        if self.penalty:
            return self.second(hidden) + self.first.weight.square().sum()
        return self.second(torch.tanh(self.first(hidden)))


def seeded(make: Any) -> nn.Module:
    torch.manual_seed(0)
    return make().double()


def perceptron() -> nn.Module:
    layers = nn.Linear(6, 7), nn.Tanh(), nn.LayerNorm(7), nn.Linear(7, 5, bias=False), nn.GELU(), nn.Linear(5, 6)
    return nn.Sequential(*layers)


def top(operator: Any) -> np.ndarray:
    matrix = np.stack([operator.matvec(unit) for unit in np.eye(operator.shape[0])], axis=1)
    assert np.abs(matrix - matrix.T).max() < 1e-12 * np.abs(matrix).max()
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    return values[np.argsort(-np.abs(values))]


@pytest.fixture(autouse=True)
def _small_models_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curvature_reduced, "_GAIN", 1)


@pytest.mark.parametrize(("samples", "loss"), [(1, "half_squared_error"), (2, "cross_entropy")])
def test_nonzero_eigenvalues_are_those_of_the_whole_hessian(samples: int, loss: str) -> None:
    model, x = seeded(perceptron), torch.randn(samples, 6).double()
    y = torch.arange(samples) if loss == "cross_entropy" else torch.randn(samples, 6).double()
    found = reduced_hessian(model, (x, y), loss)
    assert found is not None and found.shape[0] < curvature_operator(model, x, y, loss, "hessian").shape[0]
    whole = top(curvature_operator(model, x, y, loss, "hessian"))
    count = (np.abs(whole) > 1e-9 * np.abs(whole).max()).sum()
    np.testing.assert_allclose(np.sort(top(found)[:count]), np.sort(whole[:count]), atol=1e-11 * np.abs(whole).max())


def test_sharpness_and_spectrum_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = seeded(perceptron), torch.randn(1, 6).double(), torch.randn(1, 6).double()
    how = CurvatureOptions("hessian")
    found = batch_sharpness(model, x, y, "half_squared_error", how)
    spectrum = curvature_spectrum(model, x, y, "half_squared_error", how, FEW)
    monkeypatch.setattr(curvature_reduced, "_GAIN", 10**6)
    assert reduced_hessian(model, (x, y), "half_squared_error") is None
    assert found.value == pytest.approx(batch_sharpness(model, x, y, "half_squared_error", how).value, rel=1e-9)
    whole = curvature_spectrum(model, x, y, "half_squared_error", how, FEW)
    assert spectrum.size == whole.size
    assert spectrum.mean == pytest.approx(whole.mean, abs=4 * (whole.mean_error + spectrum.mean_error))


@pytest.mark.parametrize("penalty", [False, True])
def test_a_weight_that_is_used_otherwise_as_well_stays_whole(penalty: bool) -> None:
    x, y = torch.randn(1, 6).double(), torch.randn(1, 6).double()
    model = seeded(lambda: Shared(penalty))
    assert (reduced_hessian(model, (x, y), "half_squared_error") is None) == penalty
    value = batch_sharpness(model, x, y, "half_squared_error", CurvatureOptions("hessian")).value
    flat, outputs = of_vector(model, lambda call: call(x))
    matrix = torch.func.hessian(lambda vector: 0.5 * (outputs(vector) - y).square().sum())(flat)
    assert value == pytest.approx(float(torch.linalg.eigvalsh(matrix)[-1]), rel=1e-8)


def test_a_batch_too_large_for_its_widths_is_left_whole() -> None:
    model, x = seeded(perceptron), torch.randn(20, 6).double()
    assert reduced_hessian(model, (x, x), "half_squared_error") is None
