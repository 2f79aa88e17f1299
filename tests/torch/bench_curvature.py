"""λ_max of a 64-sample GGN beside curvlinops with eigsh, to the same tolerance (issue 7). Run by `make bench`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from scipy.sparse.linalg import eigsh
from torch import Tensor, nn

from freeness.torch import CurvatureOptions, batch_sharpness
from tests.torch.zoo import resnet


def tanh_network() -> tuple[nn.Module, Tensor]:
    layers = [layer for _ in range(9) for layer in (nn.Linear(256, 256), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(256, 10)), torch.randn(64, 256)


def convolutional() -> tuple[nn.Module, Tensor]:
    return resnet((16, 32, 64, 128)).eval(), torch.randn(64, 3, 16, 16)


def by_curvlinops(model: nn.Module, inputs: Tensor, targets: Tensor) -> tuple[float, float]:
    """λ_max and seconds."""
    curvlinops: Any = pytest.importorskip("curvlinops", reason="curvlinops is a peer: pip install freeness[peers]")
    start = time.perf_counter()
    parameters = list(model.parameters())
    data = [(inputs, targets)]
    operator = curvlinops.GGNLinearOperator(model, nn.CrossEntropyLoss(), parameters, data, check_deterministic=False)
    matrix = operator.to_scipy(np.float32)
    first = torch.randn(matrix.shape[0], generator=torch.Generator().manual_seed(0)).numpy()
    solve: Any = eigsh
    value = float(solve(matrix, k=1, which="LA", v0=first, tol=1e-4, return_eigenvectors=False)[0])
    return value, time.perf_counter() - start


@pytest.mark.parametrize("make", [tanh_network, convolutional], ids=["tanh 10x256", "ResNet-18-like"])
def test_sharpness_of_64_samples(benchmark: BenchmarkFixture, make: Any) -> None:
    torch.manual_seed(0)
    model, inputs = make()
    targets = torch.arange(64) % 10
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        given = (model, inputs, targets, "cross_entropy", CurvatureOptions(training=False))  # as curvlinops finds it
        found = benchmark.pedantic(batch_sharpness, given, rounds=3)
        others = [by_curvlinops(model, inputs, targets) for _ in range(3)]
    finally:
        torch.set_num_threads(threads)
    value, seconds = others[0][0], sorted(seconds for _, seconds in others)[1]
    benchmark.extra_info |= {"curvlinops_seconds": seconds, "error": abs(found.value / value - 1)}
    assert found.value == pytest.approx(value, rel=1e-4)


def test_sharpness_of_64_samples_in_training_mode(benchmark: BenchmarkFixture) -> None:
    """Where a batch normalises itself its samples are coupled, and every product goes through its statistics."""
    torch.manual_seed(0)
    model, inputs = convolutional()
    given = (model, inputs, torch.arange(64) % 10, "cross_entropy", CurvatureOptions(training=True))
    found = benchmark.pedantic(batch_sharpness, given, rounds=3)
    assert found.residual < 1e-3 * found.value
