"""Ensembles are read off the weights: right over many draws, and silent where a test would have no power."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from freeness.network.ensembles import Gaussian, Haar, Measured, ScaledIdentity
from freeness.torch import recognise
from freeness.torch.model.sampling import haar_matrix, weight_matrix

SHAPES = [(10, 300), (32, 32), (64, 200), (200, 64), (128, 128), (500, 300)]


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(2, 5), (7, 7), *SHAPES])
def test_haar_matrices_are_haar(shape: tuple[int, int], dtype: torch.dtype) -> None:
    for generator in generators(20):
        found = recognise((1.7 * haar_matrix(*shape, generator)).to(dtype))
        assert isinstance(found, Haar)
        assert found.sigma_w == pytest.approx(1.7, rel=1e-5)


def test_matrices_of_torchs_orthogonal_initialisation_are_haar() -> None:
    torch.manual_seed(0)
    weight = nn.init.orthogonal_(torch.empty(600, 600), gain=1.2)
    assert recognise(weight) == recognise(weight.double()) or isinstance(recognise(weight.double()), Haar)
    assert isinstance(recognise(weight), Haar)


@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_matrices_are_gaussian(shape: tuple[int, int]) -> None:
    for generator in generators(40):
        found = recognise(weight_matrix(Gaussian(1.4), *shape, generator).float())
        assert isinstance(found, Gaussian)
        assert found.sigma_w == pytest.approx(1.4, rel=5 / math.sqrt(2 * shape[0] * shape[1]))


@pytest.mark.parametrize("shape", SHAPES)
def test_uniform_matrices_are_gaussian_to_free_probability(shape: tuple[int, int]) -> None:
    torch.manual_seed(5)
    for _ in range(20):
        layer = nn.Linear(shape[1], shape[0])  # uniform(-1/√fan_in, 1/√fan_in): σ_w = 1/√3
        found = recognise(layer.weight)
        assert isinstance(found, Gaussian)
        assert found.sigma_w == pytest.approx(1 / math.sqrt(3), rel=5 / math.sqrt(shape[0] * shape[1]))


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5), (100, 100)])
def test_scaled_identities_are_not_haar(shape: tuple[int, int]) -> None:
    assert recognise(0.8 * torch.eye(*shape)) == ScaledIdentity(pytest.approx(0.8, rel=1e-6))


def spiked(generator: torch.Generator) -> Tensor:
    left, right = haar_matrix(200, 1, generator), haar_matrix(1, 200, generator)
    return weight_matrix(Gaussian(1.0), 200, 200, generator) + 3.0 * left @ right


def half_trained(generator: torch.Generator) -> Tensor:
    """A random start plus a broad decaying spectrum, as training leaves it."""
    change = weight_matrix(Measured(0.0, 2.0 / np.arange(1, 201)), 200, 200, generator)
    return weight_matrix(Gaussian(1.0), 200, 200, generator) + change


def uneven_rows(generator: torch.Generator) -> Tensor:
    return torch.linspace(0.3, 1.7, 200).double()[:, None] * weight_matrix(Gaussian(1.0), 200, 200, generator)


def nearly_orthogonal(generator: torch.Generator) -> Tensor:
    return weight_matrix(Measured(0.0, np.linspace(0.98, 1.02, 200)), 200, 200, generator)


def permutation(generator: torch.Generator) -> Tensor:
    return torch.eye(200, dtype=torch.float64)[torch.randperm(200, generator=generator)]


def pruned(generator: torch.Generator) -> Tensor:
    keep = torch.rand(200, 200, generator=generator) < 0.05
    return weight_matrix(Gaussian(1.0), 200, 200, generator) * keep


def diagonal_with_gaussian_singular_values(generator: torch.Generator) -> Tensor:
    return torch.diag(torch.linalg.svdvals(weight_matrix(Gaussian(1.0), 200, 200, generator)))


def offset(generator: torch.Generator) -> Tensor:
    """Independent entries with a mean: one outlier."""
    return weight_matrix(Gaussian(1.0), 200, 200, generator) + 0.02


@pytest.mark.parametrize(
    "draw",
    [
        spiked,
        half_trained,
        uneven_rows,
        nearly_orthogonal,
        permutation,
        pruned,
        diagonal_with_gaussian_singular_values,
        offset,
    ],
)
def test_other_matrices_are_measured(draw: object) -> None:
    assert callable(draw)
    for generator in generators(20):
        weight = draw(generator)
        found = recognise(weight)
        assert isinstance(found, Measured)
        np.testing.assert_allclose(found.singular_values, torch.linalg.svdvals(weight), rtol=1e-9, atol=1e-12)
        assert found.sigma_w == pytest.approx(float((weight.square().mean() * 200).sqrt()))


@pytest.mark.parametrize(
    "weight", [torch.randn(1, 50), torch.randn(50, 1), torch.randn(4, 50), torch.ones(1, 1), torch.zeros(9, 9)]
)
def test_matrices_too_small_to_tell_are_measured(weight: Tensor) -> None:
    assert isinstance(recognise(weight), Measured)


def long_matrix() -> Tensor:
    return 0.02 * torch.randn(20_000, 230, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("turned", [False, True])
def test_a_table_of_tokens_is_gaussian_by_sums_of_its_rows(turned: bool) -> None:
    table = long_matrix()
    found = recognise(table.T if turned else table)
    assert isinstance(found, Gaussian)
    assert found.sigma_w == pytest.approx(0.02 * math.sqrt(20_000 if turned else 230), rel=1e-3)


def test_one_direction_in_a_table_of_tokens_is_seen_and_measured() -> None:
    table = long_matrix()
    generator = torch.Generator().manual_seed(4)
    left, right = torch.randn(20_000, generator=generator), torch.randn(230, generator=generator)
    edge = 0.02 * (math.sqrt(20_000) + math.sqrt(230))
    table += 1.3 * edge * torch.outer(left / left.norm(), right / right.norm())
    found = recognise(table)
    assert isinstance(found, Measured)
    exact = torch.linalg.svdvals(table.double()).numpy()
    assert np.abs(found.singular_values - exact).max() < 2e-8 * exact[0]


def test_rows_of_two_sizes_and_orthogonal_columns_are_no_gaussian_table() -> None:
    table = long_matrix()
    table[::2] *= 3.0
    assert isinstance(recognise(table), Measured)
    assert isinstance(recognise(haar_matrix(20_000, 230, torch.Generator().manual_seed(5)).float()), Haar)
