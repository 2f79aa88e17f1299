"""Peers.md B: the dual Gram matrix of a 10×256 tanh network with biases, beside jacrev over all parameters."""

from __future__ import annotations

import time

import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from freeness.torch import Trace, dual_gram, trace
from tests.torch.models import parameter_jacobian


def tanh_network() -> tuple[nn.Sequential, Trace, Tensor]:
    generator = torch.Generator().manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(10):
        linear = nn.utils.skip_init(nn.Linear, 256, 256, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.randn(256, 256, generator=generator, dtype=torch.float64) / 16)
            linear.bias.copy_(0.1 * torch.randn(256, generator=generator, dtype=torch.float64))
        layers += [linear, nn.Tanh()]
    model = nn.Sequential(*layers[:-1])
    sample = torch.randn(256, generator=generator, dtype=torch.float64)
    return model, trace(model, sample), sample


def test_benchmark_dual_gram(benchmark: BenchmarkFixture) -> None:
    model, traced, sample = tanh_network()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        gram = benchmark(dual_gram, traced, sample)
        start = time.perf_counter()
        jacobian = parameter_jacobian(model, sample)
        expected = jacobian @ jacobian.T
        seconds = time.perf_counter() - start
    finally:
        torch.set_num_threads(threads)
    error = float((gram - expected).abs().max() / expected.abs().max())
    assert error <= 1e-10 and sum(parameter.numel() for parameter in model.parameters()) == 657_920
    benchmark.extra_info["error"] = error
    benchmark.extra_info["jacrev_seconds"] = seconds
    if benchmark.stats is not None:  # None under --benchmark-disable
        benchmark.extra_info["ratio_to_jacrev"] = seconds / benchmark.stats["median"]
