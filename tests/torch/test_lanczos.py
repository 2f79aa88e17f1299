"""Stochastic estimates agree with exact spectra within the standard errors that they state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch import (
    CurvatureOptions,
    LanczosOptions,
    SpectralEstimate,
    batch_sharpness,
    curvature_spectrum,
    estimate_fisher,
    estimate_jacobian,
    measure_fisher,
    measure_jacobian,
    trace,
)
from freeness.torch.loss.losses import loss_function
from freeness.torch.measured.curvature_dual import dual_operator
from freeness.torch.measured.curvature_matrices import Matrix, curvature_operator
from freeness.torch.measured.lanczos import largest_eigenpair, spectral_estimate
from freeness.torch.model.pace import TimeUp
from tests.torch.models import of_vector
from tests.torch.test_curvature import data, dense_ggn, mixed_model, perceptron
from tests.torch.zoo import zoo_model


def options(seed: int, probes: int = 24, steps: int = 64) -> LanczosOptions:
    return LanczosOptions(probes, steps, torch.Generator().manual_seed(seed))


def assert_agrees(found: SpectralEstimate, eigenvalues: np.ndarray, sigmas: float = 5.0) -> None:
    assert abs(found.mean - eigenvalues.mean()) <= sigmas * found.mean_error + 1e-9 * eigenvalues.max()
    second, error = found.moment(2)
    assert abs(second - (eigenvalues**2).mean()) <= sigmas * error + 1e-9 * eigenvalues.max() ** 2
    assert abs(found.top - eigenvalues.max()) <= found.top_residual + 1e-9 * eigenvalues.max()


def test_the_standard_error_is_that_of_repeated_estimates() -> None:
    values = np.linspace(0, 1, 200) ** 3
    found = [spectral_estimate(lambda v: values * v, 200, options(seed, 12)) for seed in range(60)]
    scatter = np.std([estimate.mean for estimate in found])
    assert scatter == pytest.approx(np.mean([estimate.mean_error for estimate in found]), rel=0.25)
    assert np.mean([estimate.mean for estimate in found]) == pytest.approx(values.mean(), abs=4 * scatter / 60**0.5)
    for estimate in found:
        assert_agrees(estimate, values)


def test_the_law_follows_the_eigenvalues() -> None:
    values = np.concatenate([np.zeros(300), np.linspace(1, 2, 100)])
    found = spectral_estimate(lambda v: values * v, 400, options(1, 40))
    for x in (0.5, 1.3, 1.8):
        share, error = found.cdf(x)
        assert abs(share - (values <= x).mean()) <= 5 * error + 0.02
        assert float(found.law.cdf(x)) == pytest.approx(share)
    assert found.law.mean == pytest.approx(found.mean)


def test_the_largest_eigenvalue_is_found_to_its_tolerance_or_not_at_all() -> None:
    generator = np.random.default_rng(0)
    frame = np.linalg.qr(generator.standard_normal((400, 400)))[0]
    values = np.concatenate([np.linspace(0, 1, 398), [1.5, 1.51]])
    matrix = (frame * values) @ frame.T
    found = largest_eigenpair(lambda v: matrix @ v, generator.standard_normal(400), 1e-9)
    assert found is not None and found[0] == pytest.approx(1.51, rel=1e-12)
    assert np.linalg.norm(matrix @ found[1] - found[0] * found[1]) <= 2e-9
    crowded = np.linspace(0, 1, 6000)
    assert largest_eigenpair(lambda v: crowded * v, np.ones(6000), 1e-9) is None
    with pytest.raises(InputError, match="finite products"):
        largest_eigenpair(lambda v: v * np.inf, np.ones(5), 1e-9)


def test_a_low_rank_ends_the_recursion_and_a_generator_makes_it_reproducible() -> None:
    values = np.array([3.0, 0.0, 0.0, 0.0, 0.0])
    first, second = (spectral_estimate(lambda v: values * v, 5, options(7)) for _ in range(2))
    assert first.mean == second.mean and first.top == pytest.approx(3.0) and first.top_residual == 0.0
    with pytest.raises(InputError, match="at least 2 probes"):
        LanczosOptions(1)
    with pytest.raises(InputError, match="finite products"):
        spectral_estimate(lambda v: v * np.nan, 5)


MODELS = [
    "Conv1d",
    "LeNet",
    "autoencoder",
    "deep linear",
    "dict output",
    "perceptron",
    "pre-activation ResNet",
    "residual perceptron",
    "ResNet-18",
    "ViT",
    "GPT",
    "LSTM",
    "parametrised",
    "gated",
]


@pytest.mark.parametrize("name", MODELS)
def test_estimated_spectra_of_models_agree_with_exact_ones(name: str) -> None:
    model, x = zoo_model(name)
    traced = trace(model, x)
    assert_agrees(estimate_fisher(traced, x, options(0)), measure_fisher(traced, x).eigenvalues)
    assert_agrees(
        estimate_jacobian(traced, x, options(0)), measure_jacobian(traced, x).eigenvalues
    )  # of tokens, embedded


def dense(model: nn.Module, inputs: Tensor, targets: Tensor, loss: str, matrix: Matrix) -> Tensor:
    """The curvature matrix by torch.func."""
    if matrix in ("ggn", "fisher"):
        return dense_ggn(model.eval(), inputs, loss)
    flat, outputs = of_vector(model, lambda call: call(inputs))
    criterion, one = loss_function(loss), range(len(inputs))
    if matrix == "hessian":
        return torch.func.hessian(lambda vector: criterion(outputs(vector), targets))(flat)
    gradients = torch.stack(
        [torch.func.grad(lambda vector, i=i: criterion(outputs(vector)[[i]], targets[[i]]))(flat) for i in one]
    )
    return gradients.T @ gradients / len(inputs)


@pytest.mark.parametrize("loss", ["half_squared_error", "mse", "cross_entropy"])
@pytest.mark.parametrize("matrix", ["ggn", "fisher", "hessian", "empirical_fisher"])
def test_curvature_matrices_are_those_of_torch_func(matrix: Matrix, loss: str) -> None:
    model, (inputs, targets) = perceptron(), data(loss)
    eigenvalues = torch.linalg.eigvalsh(dense(model, inputs, targets, loss, matrix)).detach().numpy()
    assert batch_sharpness(model, inputs, targets, loss, CurvatureOptions(matrix)).value == pytest.approx(
        eigenvalues[-1], rel=1e-7
    )
    found = curvature_spectrum(model, inputs, targets, loss, CurvatureOptions(matrix), options(3, 8, 40))
    assert_agrees(found, eigenvalues)
    assert found.size == len(eigenvalues) and found.law.mean == pytest.approx(found.mean)


@pytest.mark.parametrize("loss", ["half_mean_squared_error", "cross_entropy"])
@pytest.mark.parametrize("matrix", ["ggn", "empirical_fisher"])
def test_a_curvature_matrix_and_its_dual_have_the_same_nonzero_eigenvalues(matrix: Matrix, loss: str) -> None:
    model, (inputs, targets) = perceptron().eval(), data(loss)
    wanted = torch.linalg.eigvalsh(dense(model, inputs, targets, loss, matrix)).detach().numpy()
    operator = curvature_operator(model, inputs, targets, loss, matrix)
    whole = np.linalg.eigvalsh(np.stack([operator.matvec(unit) for unit in np.eye(len(wanted))]))
    dual = dual_operator(model, (inputs, targets), loss, matrix)
    assert dual is not None and dual.shape[0] == (len(inputs) if matrix == "empirical_fisher" else 3 * len(inputs))
    short = np.linalg.eigvalsh(np.stack([dual.matvec(unit) for unit in np.eye(dual.shape[0])]))
    np.testing.assert_allclose(whole, wanted, atol=1e-12 * wanted[-1])
    np.testing.assert_allclose(short, wanted[-len(short) :], atol=1e-12 * wanted[-1])
    assert dual_operator(model, (inputs, targets), loss, "hessian") is None


def test_an_unknown_matrix_is_refused() -> None:
    inputs, targets = data("mse")
    with pytest.raises(InputError, match="matrix among ggn, fisher, hessian, empirical_fisher, got 'kfac'"):
        curvature_spectrum(perceptron(), inputs, targets, "mse", CurvatureOptions("kfac"))  # type: ignore[arg-type]


def test_large_batches_are_cut_and_agree_with_those_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (inputs, targets) = mixed_model(), data("cross_entropy", 20)
    whole = batch_sharpness(model, inputs, targets, "cross_entropy").value
    for module in ("curvature_matrices", "curvature_dual"):
        monkeypatch.setattr(f"freeness.torch.measured.{module}.CHUNK", 6)
    assert batch_sharpness(model, inputs, targets, "cross_entropy").value == pytest.approx(whole, rel=1e-7)


@pytest.mark.parametrize("products", [2, 3, 7])
def test_where_time_ends_within_the_first_probe_its_shorter_rule_stands(products: int) -> None:
    values, left = np.linspace(0.0, 1.0, 400), iter(range(products))

    def product(vector: np.ndarray) -> np.ndarray:
        if next(left, None) is None:
            raise TimeUp("over")
        return values * vector

    if products < 3:
        with pytest.raises(TimeUp):
            spectral_estimate(product, 400, LanczosOptions(2, 12))
        return
    found = spectral_estimate(product, 400, LanczosOptions(2, 12))
    assert len(found._rules[0][0]) == products and abs(found.mean - 0.5) < 4 * found.mean_error
    assert abs(found.moment(2)[0] - 1 / 3) < 0.1
