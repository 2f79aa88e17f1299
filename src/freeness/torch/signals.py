"""Forward signals of one real network on one real sample."""

from __future__ import annotations

import torch
from torch import Tensor

from freeness.errors import InputError
from freeness.laws import Empirical
from freeness.meanfield.signals import ActivationSignal, DenseSignal, Signals
from freeness.torch.elementwise import derivative
from freeness.torch.steps import DenseStep
from freeness.torch.trace import Chain, Trace


def realised_signals(trace: Trace, x: Tensor) -> Signals:
    """What each layer of the traced network sees when it is given ``x``: one forward pass in float64.

    At a weight layer ‖x‖² of its input and q = mean h² of its output; at an activation q = mean h² and the empirical
    law of D² = φ'(h)² over the neurons, φ' by automatic differentiation of the model's own function.

    Args:
        trace: the traced model.
        x: one sample of shape ``trace.input_shape`` or (N_0,), or a batch of one.

    Returns:
        Signals aligned with ``trace.network.layers``, source "realised".

    Raises:
        InputError: x has the wrong shape, is zero or not finite, or a layer's output is not finite.

    Example:
        >>> from freeness.torch import trace
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
        >>> realised_signals(trace(model, torch.ones(3)), torch.ones(3)).layers[0].squared_norm
        3.0
    """
    values = layer_values(trace, x)
    signals: list[DenseSignal | ActivationSignal] = []
    for step, given, returned in zip(trace.steps, values, values[1:], strict=False):
        if isinstance(step, DenseStep):
            signals.append(DenseSignal(given.numel(), float(given @ given), float(returned.square().mean())))
        else:
            slopes = derivative(step.function, given).square()
            signals.append(ActivationSignal(float(given.square().mean()), Empirical(slopes.cpu().numpy())))
    return Signals(tuple(signals), "realised")


def layer_values(trace: Chain, x: Tensor) -> list[Tensor]:
    """The input of every step and, last, the output: vectors in float64.

    Raises:
        InputError: as :func:`realised_signals`.
    """
    values = [trace.sample(x)]
    with torch.no_grad():
        for step in trace.steps:
            values.append(step(values[-1]))
            if not bool(torch.isfinite(values[-1]).all()):
                raise InputError(
                    f"expected finite signals, got NaN or infinity after {step.name!r}; scale the weights or the input "
                    f"down."
                )
    return values
