"""What of a model, its loss and its data no network had on which the rule of the learning rate was judged, in words."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, nn

from freeness.torch.measured.sums import parts_differ, signals_of
from freeness.torch.model.modes import is_coupled
from freeness.torch.model.outputs import run
from freeness.torch.model.state import trained_parameters
from freeness.torch.model.taps import Taps
from freeness.training import CrossEntropy, Objective, SquaredError

TRIED = 3_000_000  # parameters up to which λ is measured on many samples, and the rule is trusted
MULTIPLIED = "signals that are multiplied by one another"
_PRODUCTS, _BY_ROWS = ("MulBackward", "DivBackward"), ("BmmBackward", "MmBackward")
_GATES = ("GluBackward", "TrilinearBackward")


def untried(model: nn.Module, loss: Objective, data: tuple[Tensor, Tensor, int], mode: bool | None) -> str:
    """In words; "" where there is nothing. ``data``: inputs, targets, and the places of a sample."""
    inputs, targets, places = data
    told = _of_loss(loss, targets, places) or _of_layers(model, mode)
    if not told and not inputs.is_floating_point():  # a table takes them
        return "embeddings"
    return told or _of_signals(model, inputs) or _repeats(model, inputs)


def at_places(loss: Objective, targets: Tensor) -> bool:
    """Whether a sample has several classes."""
    return isinstance(loss, CrossEntropy) and targets.ndim > 1 and not targets.is_floating_point()


def _of_loss(loss: Objective, targets: Tensor, places: int) -> str:
    if not isinstance(loss, SquaredError | CrossEntropy):
        return f"the loss {loss.name}"
    if at_places(loss, targets):
        return "classes at several places of a sample"
    return "numbers at several places of a sample" if places > 1 else ""


def _of_layers(model: nn.Module, mode: bool | None) -> str:
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        return "recurrent layers"
    if is_coupled(model, mode):
        return "batch normalisation in training mode"
    parameters = sum(parameter.numel() for parameter in trained_parameters(model).values())
    return f"more than {TRIED:,} parameters" if parameters > TRIED else ""


def _of_signals(model: nn.Module, inputs: Tensor) -> str:
    """Sines, and products of signals from different weights; those of attention were tried."""
    signals = signals_of(model, inputs)
    names = {node.name() for node in signals}
    if any(name.startswith(("SinBackward", "CosBackward")) for name in names):
        return "sines"
    if any(name.startswith(_GATES) for name in names):
        return MULTIPLIED
    attends = any(name.startswith(("SoftmaxBackward", "SafeSoftmaxBackward")) for name in names)
    kinds = _PRODUCTS if attends else _PRODUCTS + _BY_ROWS
    products = (node for node in signals if node.name().startswith(kinds))
    return MULTIPLIED if any(parts_differ(node, signals) for node in products) else ""


def _repeats(model: nn.Module, inputs: Tensor) -> str:
    """Weights that a forward pass uses several times, or derivatives that it takes, in words; "" where there are none."""
    names = {id(parameter): name for name, parameter in trained_parameters(model).items() if parameter.ndim > 1}
    with Taps(names) as taps, torch.enable_grad():
        run(model, inputs[:2])
    if taps.backward:
        return "derivatives in the forward pass"
    uses = Counter(tap.name for tap in taps.taps)
    return "weights that are used at several places" if any(count > 1 for count in uses.values()) else ""
