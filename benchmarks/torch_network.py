"""The network of section B as a torch model, and how freeness does its jobs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import network
from benchmarks.network import Array
from freeness.torch import CurvatureOptions, batch_sharpness, curvature_spectrum, dual_gram, trace

torch.set_num_threads(1)


def model() -> nn.Sequential:
    """Fresh, in float32 and in eval mode."""
    layers: list[nn.Module] = []
    for weight, bias in network.weights():
        linear = nn.Linear(network.WIDTH, network.WIDTH)
        linear.weight.data, linear.bias.data = torch.from_numpy(weight.copy()), torch.from_numpy(bias.copy())
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1]).eval()


def batch() -> tuple[Tensor, Tensor]:
    """One sample and its target, (1, 256) both."""
    return torch.from_numpy(network.sample())[None], torch.from_numpy(network.target())[None]


def ours_all(dtype: torch.dtype | None = None) -> Callable[[], Array]:
    """All eigenvalues of J_θJ_θᵀ, in float64 unless a precision is given; the model is traced at the first call."""
    known, x = model(), batch()[0]
    traced = []

    def job() -> Array:
        if not traced:
            traced.append(trace(known, x))
        return np.linalg.eigvalsh(dual_gram(traced[0], x, dtype=dtype).numpy())

    return job


def ours_new() -> Array:
    """The same of a model that was not seen before: it is traced each time."""
    x = batch()[0]
    return np.linalg.eigvalsh(dual_gram(trace(model(), x), x).numpy())


def ours_top(matrix: str = "ggn", tolerance: float | None = None) -> Callable[[], float]:
    """λ_max of a curvature matrix of ½‖f - y‖², to a residual over λ."""
    known, (x, y) = model(), batch()
    how = CurvatureOptions(matrix=matrix, training=False, tolerance=tolerance)
    return lambda: batch_sharpness(known, x, y, "half_squared_error", how).value


def ours_mean() -> Callable[[], float]:
    """The mean of the estimated spectral density of the GGN."""
    known, (x, y) = model(), batch()
    return lambda: curvature_spectrum(known, x, y, "half_squared_error").mean


def hessian_top() -> float:
    """λ_max of the Hessian of ½‖f - y‖² in float64, by power iteration on products that torch.func makes."""
    known, (x, y) = model().double(), batch()
    parameters = {name: value.detach() for name, value in known.named_parameters()}

    def loss(values: dict[str, Tensor]) -> Tensor:
        return 0.5 * (torch.func.functional_call(known, values, (x.double(),)) - y.double()).square().sum()

    generator = torch.Generator().manual_seed(0)
    vector = {k: torch.randn(v.shape, generator=generator, dtype=torch.float64).to(v) for k, v in parameters.items()}
    value, before = 0.0, -1.0
    while abs(value - before) > 1e-12 * abs(value):
        norm = sum(float(v.square().sum()) for v in vector.values()) ** 0.5
        vector = {k: v / norm for k, v in vector.items()}
        found = torch.func.jvp(torch.func.grad(loss), (parameters,), (vector,))[1]
        before, value = value, sum(float((vector[k] * found[k]).sum()) for k in vector)
        vector = found
    return value
