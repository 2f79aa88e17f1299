"""Spectra of Jacobians and of Θ that are too large to be formed, estimated with standard errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from freeness.errors import InputError, brief
from freeness.torch.loss.adapted import Selected
from freeness.torch.measured.any_model import embedded
from freeness.torch.measured.lanczos import LanczosOptions, SpectralEstimate, spectral_estimate
from freeness.torch.measured.products import JacobianProducts, Products, input_products, light_products
from freeness.torch.model.function import Function
from freeness.torch.model.pace import beat
from freeness.torch.record.tracing import Trace


def estimate_jacobian(
    trace: Trace,
    x: Tensor,
    options: LanczosOptions | None = None,
    *,
    training: bool = False,
    dtype: torch.dtype | None = None,
) -> SpectralEstimate:
    """The law of JJᵀ (C × C) at one sample, from products with random vectors; J itself is never formed.

    For outputs and inputs so large that :func:`freeness.torch.measure_jacobian` does not fit. Of tokens it is that of their
    embedding. Where the inputs are fewer than the outputs, the products are with JᵀJ, and the zeros are counted.

    Args:
        trace: from :func:`~freeness.torch.trace`.
        x: one sample of shape ``trace.input_shape``, or a batch of one.
        options: probes, steps and generator.
        training: measure in training mode.
        dtype: precision of the products; the model's own when left out.

    Raises:
        InputError: as :func:`freeness.torch.measure_jacobian`, or an operation whose backward pass has no derivative.

    Example:
        >>> from freeness.torch import trace
        >>> model = torch.nn.Linear(6, 4)
        >>> found = estimate_jacobian(trace(model, torch.ones(6)), torch.ones(6))
        >>> abs(found.top / float(torch.linalg.matrix_norm(model.weight.detach(), 2)) ** 2 - 1) < 1e-4
        True
    """
    function = replace(trace.function, training=training, dtype=dtype)
    with function.ready(trace.input(x)) as (ready, sample):
        return _estimate(lambda: _in_inputs(ready, sample), options)


def estimate_fisher(
    trace: Trace,
    x: Tensor,
    options: LanczosOptions | None = None,
    *,
    training: bool = False,
    dtype: torch.dtype | None = None,
) -> SpectralEstimate:
    """The law of Θ = J_θJ_θᵀ (C × C) at one sample, from products with random vectors.

    For so many outputs that :func:`freeness.torch.measure_fisher` does not fit. Arguments are those of
    :func:`estimate_jacobian`.

    Raises:
        InputError: as :func:`freeness.torch.measure_fisher`, or an operation whose backward pass has no derivative.

    Example:
        >>> from freeness.torch import trace
        >>> found = estimate_fisher(trace(torch.nn.Linear(3, 2), torch.ones(3)), torch.ones(3))
        >>> round(found.mean, 5), found.mean_error < 1e-5
        (4.0, True)
    """
    function = replace(trace.function, training=training, dtype=dtype)
    with function.ready(trace.input(x)) as (ready, sample):
        return _estimate(lambda: light_products(Selected(ready.model, ready.output), sample), options)


def _in_inputs(function: Function, x: Tensor) -> Products:
    if x.is_floating_point():
        return input_products(function, x)
    outputs, taps = embedded(function, x)
    return JacobianProducts(outputs, [tap.edge for tap in taps], [tap.use.shape for tap in taps])


def _estimate(made: Callable[[], Products], options: LanczosOptions | None) -> SpectralEstimate:
    try:
        products = made()
    except (RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"expected operations whose backward pass has a derivative, got one without ({brief(error)}); "
            "measure the whole matrix instead."
        ) from error

    outputs = products.outputs
    count = outputs.numel()
    short = products.size < count

    def product(vector: np.ndarray) -> np.ndarray:
        direction = torch.from_numpy(vector).to(outputs.device, outputs.dtype)
        if short:
            found = products.pull(products.push(direction))
        else:
            found = products.push(products.pull(direction.reshape(outputs.shape))).reshape(-1)
        beat()
        return found.detach().cpu().double().numpy()

    return spectral_estimate(product, min(count, products.size), options, positive=True).padded(count)
