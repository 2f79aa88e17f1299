"""Forward signals of one real network on one real sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from freeness.errors import InputError
from freeness.laws import Empirical
from freeness.meanfield import ActivationSignal, DenseSignal, NeuronSignals, Signals
from freeness.network import INPUT, Constant, Normalisation, Weights
from freeness.torch.record.elementwise import derivative
from freeness.torch.record.steps import DenseStep, DropoutStep, Passed, Step, run_steps
from freeness.torch.record.tracing import Chain, Trace


def realised_signals(trace: Trace, x: Tensor) -> Signals:
    """What each layer of the traced network sees when it is given ``x``: one forward pass in float64.

    At a weight layer ‖x‖² of its input and q = mean h² of its output; at an activation q = mean h² and the empirical
    law of D² = φ'(h)² over the neurons, φ' by automatic differentiation of the model's own function.

    Args:
        trace: from :func:`~freeness.torch.trace`.
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
    values = layer_values(trace.chain, x)
    signals: list[DenseSignal | ActivationSignal] = []
    outputs: list[np.ndarray] = []
    for step, given, returned in zip(trace.chain.steps, values, values[1:], strict=False):
        if isinstance(step, DenseStep):
            signals.append(DenseSignal(given.numel(), float(given @ given), float(returned.square().mean())))
            outputs.append(returned.cpu().numpy())
        else:
            slopes = derivative(step.function, given).square()
            signals.append(ActivationSignal(float(given.square().mean()), Empirical(slopes.cpu().numpy())))
    return Signals(tuple(signals), "realised", NeuronSignals(values[0].cpu().numpy(), tuple(outputs)))


def realised_neurons(trace: Trace, x: Tensor) -> NeuronSignals:
    """The input and the outputs of every weight layer of a covered model at one sample, neuron by neuron, in float64.

    Args:
        trace: a traced model that has a network: a chain, a residual or a convolutional network.
        x: one sample, as in :func:`realised_signals`.

    Returns:
        What :func:`freeness.predict_jacobian` and :func:`freeness.predict_fisher` take as ``realised``.

    Raises:
        InputError: no network, a wrong shape, or signals that are not finite.

    Example:
        >>> from freeness.torch import trace
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))
        >>> [h.shape for h in realised_neurons(trace(model, torch.ones(1, 3)), torch.ones(3)).preactivations]
        [(4,), (2,)]
    """
    return neurons_of(trace, trace.input(x))


def neurons_of(trace: Trace, value: Tensor) -> NeuronSignals:
    """The same of several samples, with what operations without weights have of their own; masks of dropout are drawn.

    Raises:
        InputError: signals that are not finite.
    """
    inputs = _inputs(trace, value)
    operations = {node.name: node.operation for node in trace.network.nodes}
    layers: list[np.ndarray] = []
    own: dict[str, np.ndarray] = {}
    drawing = torch.Generator().manual_seed(0)
    masks: dict[str, Tensor] = {}

    def dropped(step: Step) -> Step:
        compute = step.compute
        if not isinstance(compute, DropoutStep):
            return step

        def masked(x: Tensor) -> Tensor:
            masks[step.name] = compute.mask(x, drawing)
            return x * masks[step.name]

        return replace(step, compute=masked)

    for passed in _passed(trace, value, tuple(map(dropped, trace.steps))):
        operation = operations[passed.step.name]
        if passed.step.name in masks:
            own[passed.step.name] = passed.step.canonical(masks[passed.step.name]).cpu().numpy()
        if passed.step.weight is not None:
            layers.append(_array(passed.step.canonical(passed.value)))
        elif isinstance(operation, Constant):
            own[passed.step.name] = passed.step.canonical(passed.value)[0].cpu().numpy()
        elif isinstance(operation, Normalisation) and operation.kind == "batch":
            own[passed.step.name] = _statistics(passed)
    return NeuronSignals(inputs, tuple(layers), own)


def _inputs(trace: Trace, value: Tensor) -> np.ndarray:
    """Of the network: (n, positions) of tokens; a 1 for each sample where all that is read is data beside the input."""
    first = next((read for step in trace.steps for read in step.reads if read.name == INPUT), None)
    if first is None:
        return np.ones((len(value), 1))
    tokens = not value.is_floating_point()
    start = first.canonical(first({INPUT: value if tokens else value.double()}))
    return start[:, 0].cpu().numpy() if tokens else _array(start)


def _statistics(passed: Passed) -> np.ndarray:
    """Mean and deviation (2, channels) of a batch normalisation in eval mode: it maps m to 0 and m + s to 1."""
    (given,), size = passed.given, passed.step.typing.channels or 1
    low, high = (
        passed.step.canonical(passed.step.compute(torch.full_like(given, each)))[0].reshape(size, -1)[:, 0]
        for each in (0.0, 1.0)
    )
    deviation = 1 / (high - low)
    return torch.stack([-low * deviation, deviation]).cpu().numpy()


def _passed(trace: Trace, value: Tensor, steps: Sequence[Step] | None = None) -> Iterator[Passed]:
    """The steps at some samples, in float64; ``steps``: in the place of those of the trace."""
    with torch.no_grad():
        for passed in run_steps(
            trace.steps if steps is None else steps, value.to(trace.weights[0].device), torch.float64
        ):
            if passed.step.weight is not None:
                _check_finite(passed.value, passed.step.name)
            yield passed


@dataclass(frozen=True, eq=False)
class WeightSignal:
    """What a weight layer of the record is given and returns, (1, channels, *positions) in float64."""

    layer: Weights
    given: Tensor
    returned: Tensor


def weight_signals(trace: Trace, x: Tensor) -> list[WeightSignal]:
    """Inputs and outputs of every weight layer at one sample, in the order of the network's."""
    layers = iter(trace.network.weights)
    found = []
    for passed in _passed(trace, trace.input(x)):
        if passed.step.weight is not None:
            given = passed.step.reads[0].canonical(passed.given[0])
            found.append(WeightSignal(next(layers), given, passed.step.canonical(passed.value)))
    return found


def _check_finite(value: Tensor, name: str) -> None:
    if not bool(value.isfinite().all()):
        raise InputError(
            f"expected finite signals, got NaN or infinity after {name!r}; scale the weights or the input down."
        )


def _array(value: Tensor) -> np.ndarray:
    """(N,) of one vector, (samples, channels, *positions) otherwise."""
    return (value[0] if value.ndim == 2 and len(value) == 1 else value).cpu().numpy()


def layer_values(trace: Chain, x: Tensor) -> list[Tensor]:
    """The input of every step and, last, the output: vectors in float64."""
    values = [trace.sample(x)]
    with torch.no_grad():
        for step in trace.steps:
            values.append(step(values[-1]))
            _check_finite(values[-1], step.name)
    return values
