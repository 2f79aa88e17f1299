"""The dual Gram matrix and the Jacobian equal those of automatic differentiation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.network import mlp
from freeness.torch import (
    build,
    dual_gram,
    jacobian_singular_values,
    measure_fisher,
    measure_jacobian,
    realised_signals,
    trace,
)
from freeness.torch.measured import measure
from freeness.torch.measured.measure import _backward_gram, _factors, _forward_gram
from tests.torch.models import covered_models, input_jacobian, parameter_jacobian

MODELS = covered_models()
ACTIVATIONS = ["relu", "tanh", "hardtanh", "erf", "gelu", "linear"]


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert float((found - expected).abs().max()) <= 1e-10 * max(float(expected.abs().max()), 1e-12)


@pytest.mark.parametrize("style", MODELS)
def test_dual_gram_and_singular_values_equal_jacrev(style: str) -> None:
    model, example = covered_models()[style]
    model, example = model.double().eval(), example.double()
    sample = example if example.ndim == 1 else example[:1]
    traced = trace(model, example)
    jacobian = parameter_jacobian(model, sample)
    assert_equal(dual_gram(traced, sample), jacobian @ jacobian.T)
    assert_equal(jacobian_singular_values(traced, sample), torch.linalg.svdvals(input_jacobian(model, sample)))


@settings(max_examples=20)
@given(
    widths=st.lists(st.integers(1, 12), min_size=2, max_size=5),
    activation=st.sampled_from(ACTIVATIONS),
    sigma_b=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 2**31),
)
def test_both_orders_equal_jacrev_at_any_shape(widths: list[int], activation: str, sigma_b: float, seed: int) -> None:
    network = mlp(len(widths) - 1, widths, activation, "gaussian", sigma_w=1.3, sigma_b=sigma_b)
    generator = torch.Generator().manual_seed(seed)
    model = build(network, generator, torch.float64)
    sample = torch.randn(widths[0], generator=generator, dtype=torch.float64)
    traced = trace(model, sample)
    factors = _factors(traced, sample)
    jacobian = parameter_jacobian(model, sample)
    assert_equal(_forward_gram(factors), jacobian @ jacobian.T)
    assert_equal(_backward_gram(factors), jacobian @ jacobian.T)
    outer = input_jacobian(model, sample)
    eigenvalues = torch.tensor(measure_jacobian(traced, sample).eigenvalues)
    assert_equal(eigenvalues, torch.linalg.eigvalsh(outer @ outer.T).clamp_min(0))


@pytest.mark.parametrize("widths", [(70, 200, 150, 130), (30, 150, 40, 200), (256, 256, 10)])
def test_tiled_products_equal_jacrev_beyond_one_tile(widths: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(3)
    model = build(mlp(len(widths) - 1, widths, "tanh", "haar", sigma_b=0.2), generator, torch.float64)
    sample = torch.randn(widths[0], generator=generator, dtype=torch.float64)
    traced = trace(model, sample)
    jacobian = parameter_jacobian(model, sample)
    for gram in (
        dual_gram(traced, sample),
        _forward_gram(_factors(traced, sample)),
        _backward_gram(_factors(traced, sample)),
    ):
        assert_equal(gram, jacobian @ jacobian.T)
        assert torch.equal(gram, gram.T)


@pytest.mark.parametrize("stacked", [1, 9, 16])
@pytest.mark.parametrize("silent", [False, True])
def test_sums_of_many_products_equal_jacrev(stacked: int, silent: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many layers one product adds; and where two read nothing but 0 and have no bias."""
    monkeypatch.setattr(measure, "_STACKED", stacked)
    widths = (5, 7, 4, 9, 3, 6, 4)
    model = build(
        mlp(6, list(widths), "tanh", "gaussian", sigma_b=0.5), torch.Generator().manual_seed(5), torch.float64
    )
    sample, dense = torch.linspace(-1, 1, 5).double(), [layer for layer in model if isinstance(layer, nn.Linear)]
    if silent:
        dense[0].weight.data.zero_()
        dense[0].bias = dense[1].bias = dense[2].bias = None
    jacobian, factors = parameter_jacobian(model, sample), _factors(trace(model, sample), sample)
    assert (0.0 in [factor.gain for factor in factors.dense]) == silent
    assert_equal(_backward_gram(factors), jacobian @ jacobian.T)


def test_frozen_biases_do_not_count() -> None:
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    model[0].bias.requires_grad_(False)
    sample = torch.ones(5).double()
    jacobian = parameter_jacobian(model, sample, ["0.weight", "2.weight", "2.bias"])
    assert_equal(dual_gram(trace(model, sample), sample), jacobian @ jacobian.T)


def test_small_singular_values_are_kept() -> None:
    """Squares near 1e-24 relative: JJᵀ has lost them, J has not."""
    model = nn.Linear(4, 4, bias=False).double()
    wanted = torch.tensor([1.0, 1e-4, 1e-8, 1e-12], dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.diag(wanted))
    found = jacobian_singular_values(trace(model, torch.ones(4).double()), torch.ones(4))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_measurements_are_ascending_with_all_outputs() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 6))
    traced, sample = trace(model, torch.ones(3)), torch.ones(3)
    for measurement in (measure_fisher(traced, sample), measure_jacobian(traced, sample)):
        assert measurement.eigenvalues.shape == (6,)
        assert np.all(np.diff(measurement.eigenvalues) >= 0) and measurement.eigenvalues[0] >= 0
        assert measurement.law.mean == pytest.approx(measurement.eigenvalues.mean())
        assert measurement.seconds > 0
    assert np.all(measure_jacobian(traced, sample).eigenvalues[:3] == 0)


def test_float32_models_are_measured_in_float64() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    sample = torch.linspace(-1, 1, 8)
    single = dual_gram(trace(model, sample), sample)
    double = dual_gram(trace(model.double(), sample.double()), sample)
    assert single.dtype == torch.float64
    assert_equal(single, double)
    traced = trace(model.float(), sample)
    asked = dual_gram(traced, sample, dtype=torch.float32)
    assert asked.dtype == torch.float64
    assert 0 < float((asked - double).abs().max()) <= 1e-5 * float(double.max())
    assert "in float32" in measure_fisher(traced, sample, dtype=torch.float32).method
    assert "in float" not in measure_jacobian(traced, sample).method


def test_realised_signals_are_those_of_a_hand_written_pass() -> None:
    model = nn.Sequential(nn.Linear(6, 40), nn.Hardtanh(), nn.Linear(40, 3)).double()
    x = torch.linspace(-2, 3, 6, dtype=torch.float64)
    first, activation, second = realised_signals(trace(model, x), x).layers
    h = model[0](x).detach()
    assert first.squared_norm == pytest.approx(float(x @ x))
    assert first.qhat == pytest.approx(float(x @ x) / 6)
    assert first.q == activation.q == pytest.approx(float(h.square().mean()))
    assert activation.mu1 == pytest.approx(float((h.abs() < 1).double().mean()))
    assert len(activation.derivative_law.atoms) <= 2
    assert second.squared_norm == pytest.approx(float(h.clamp(-1, 1).square().sum()))
    assert second.q == pytest.approx(float(model(x).detach().square().mean()))


def test_bad_samples_are_refused() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    traced = trace(model, torch.ones(6))
    for function in (realised_signals, dual_gram, measure_fisher, measure_jacobian):
        with pytest.raises(InputError, match="expected a nonzero sample, got all zeros"):
            function(traced, torch.zeros(6))
        with pytest.raises(InputError, match=r"6 features, got shape \(2, 6\)"):
            function(traced, torch.ones(2, 6))
        with pytest.raises(InputError, match="NaN"):
            function(traced, torch.full((6,), torch.nan))
    with torch.no_grad():
        model[0].weight.mul_(1e38)
        model[0].weight.abs_()
    exploding = nn.Sequential(nn.Linear(2, 2), Exponential(), nn.Linear(2, 2)).double()
    traced = trace(exploding, torch.ones(2).double())
    with pytest.raises(InputError, match="NaN or infinity after '1'"):
        realised_signals(traced, torch.full((2,), 1e6).double() * torch.sign(exploding[0].weight[0].detach()))


class Exponential(nn.Module):
    """exp overflows."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(x)
