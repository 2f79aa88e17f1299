"""Traces of curvature matrices, against matrices that torch.func writes down."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from freeness.errors import InputError
from freeness.torch import (
    CurvatureOptions,
    LanczosOptions,
    adam_preconditioner,
    curvature_spectrum,
    curvature_trace,
    initialize_,
)
from freeness.torch.measured.curvature_matrices import Hessian, Matrix
from tests.torch.test_lanczos import data, dense, perceptron


@pytest.mark.parametrize("matrix", ["ggn", "hessian"])
def test_the_trace_is_that_of_the_matrix(matrix: Matrix) -> None:
    model, (inputs, targets) = perceptron(), data("cross_entropy")
    wanted = float(dense(model, inputs, targets, "cross_entropy", matrix).trace())
    found = curvature_trace(model, inputs, targets, "cross_entropy", CurvatureOptions(matrix), probes=60)
    assert abs(found.value - wanted) <= 3 * found.error + 1e-12
    assert found.error <= 0.2 * wanted


def test_the_standard_error_is_that_of_the_blocks() -> None:
    model, (inputs, targets) = perceptron(), data("cross_entropy")
    whole, start, bound = dense(model, inputs, targets, "cross_entropy", "hessian"), 0, 0.0
    for module in (one for one in model.modules() if isinstance(one, nn.Linear)):
        end = start + sum(parameter.numel() for parameter in module.parameters())
        bound += 2 * float(whole[start:end, start:end].square().sum())
        start = end
    found = curvature_trace(model, inputs, targets, "cross_entropy", CurvatureOptions("hessian"), probes=100)
    assert start == len(whole) and found.error == pytest.approx((bound / 100) ** 0.5, rel=0.1)


def test_between_rectifiers_few_probes_tell_what_many_whole_products_do_not() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(layer for _ in range(6) for layer in (nn.Linear(20, 20), nn.ReLU())), nn.Linear(20, 3))
    initialize_(model)
    inputs, targets = torch.randn(8, 20), torch.arange(8) % 3
    exact = curvature_trace(model, inputs, targets, "cross_entropy")  # no layer bends by itself: the same trace
    how = CurvatureOptions("hessian")
    found = curvature_trace(model, inputs, targets, "cross_entropy", how)
    whole = curvature_spectrum(model, inputs, targets, "cross_entropy", how, LanczosOptions(40, 1))
    assert exact.error == 0 and abs(found.value - exact.value) <= 3 * found.error
    assert 2 * found.error < whole.size * whole.mean_error


def test_batches_are_cut_and_preconditioned(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (inputs, targets) = perceptron().eval(), data("mse")
    scale = adam_preconditioner(model, inputs, targets, "mse")
    how = CurvatureOptions("hessian", scale)
    whole = curvature_trace(model, inputs, targets, "mse", how, probes=200)
    monkeypatch.setattr("freeness.torch.measured.curvature_matrices.CHUNK", 3)
    assert curvature_trace(model, inputs, targets, "mse", how, probes=200).value == pytest.approx(whole.value)
    wanted = float((dense(model, inputs, targets, "mse", "hessian").diagonal() / scale).sum())
    assert abs(whole.value - wanted) <= 3 * whole.error


def test_a_weight_that_torch_computes_from_others_is_of_one_module_with_its_bias(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = weight_norm(nn.Linear(16, 7))
    model, asked = nn.Sequential(first, nn.Tanh(), nn.Linear(7, 3)).double(), list[list[list[int]]]()
    within = Hessian.within

    def noted(self: Hessian, groups: list[list[int]], vector: torch.Tensor) -> torch.Tensor:
        asked.append(groups)
        return within(self, groups, vector)

    monkeypatch.setattr(Hessian, "within", noted)
    inputs, targets = data("cross_entropy")
    curvature_trace(model, inputs, targets, "cross_entropy", CurvatureOptions("hessian"), probes=2)
    assert asked == [[[0, 1, 2], [3, 4]]] * 2  # bias, norms and directions


def test_one_probe_has_no_error() -> None:
    with pytest.raises(InputError, match="at least 2 probes, got 1"):
        curvature_trace(perceptron(), *data("mse"), "mse", probes=1)
