"""What the command line needs of a model to design it and to save it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction
from freeness.network import activation, activation_names
from freeness.torch.operations.refused import OTHER
from freeness.torch.record.elementwise import TorchFunction
from freeness.torch.record.steps import ElementwiseStep
from freeness.torch.record.tracing import Trace, trace
from freeness.torch.request.batch import Batch
from freeness.torch.request.labelled import load_labelled
from freeness.torch.request.packing import packed
from freeness.torch.request.user_data import batch_of
from freeness.torch.start.kernels import Convolution
from freeness.torch.start.swap import function_of

_OF_A_CHAIN = ("linear layer", "activation", "dropout", "flatten and reshape")
_PROBES = np.linspace(-8.0, 8.0, 193)  # where two activations are compared
_CLOSE = 1e-4  # two that differ by less are one; float32 leaves 1e-7


@dataclass(frozen=True)
class DesignTarget:
    """What a design must know of the model that it is written into.

    ``functions``: the activations that have a name, each once. ``unnamed``: whether there may be others, computed by code of the
    model's own. ``calls``: torch's names of the elementwise calls, where theory does not cover the model and they cannot be
    compared. ``beside``: kinds of operations that a chain of linear layers and activations has not, in their order; ``run``:
    False where no input was found, so that nothing is known of how the layers are joined. ``longest``: the widths along the way
    through the most weight matrices. ``firsts``: paths of the layers that no other one stands before.
    """

    functions: tuple[ActivationFunction, ...]
    unnamed: bool
    calls: tuple[str, ...]
    beside: tuple[str, ...]
    run: bool
    longest: tuple[int, ...] = ()
    firsts: tuple[str, ...] = ()

    @property
    def is_chain(self) -> bool:
        """Whether the theory of a chain is that of this model."""
        return self.run and not self.beside

    def activation(self) -> ActivationFunction:
        """The model's one activation."""
        if len(self.functions) == 1 and not self.unnamed:
            return self.functions[0]
        several = " and ".join(function.name for function in self.functions) or "none with a name"
        others = ", and functions of its own" if self.unnamed and self.functions else ""
        raise InputError(
            f"expected one activation that the model can be designed for, got {several}{others}; say --activation NAME."
        )

    def check(self, function: ActivationFunction) -> str:
        """A sentence where the model has other activations as well or they could not be read; "" where it has this one alone."""
        has = [found for found in self.functions if not _same(found, function)]
        if len(has) < len(self.functions) or function.name in self.calls:
            names = " and ".join(dict.fromkeys(found.name for found in has))
            return f"The model has {names} as well; the design is of {function.name} alone." if has else ""
        if self.unnamed or not self.functions:
            return f"The model's activations have no name here, so that {function.name} is taken on trust."
        names = ", ".join(dict.fromkeys(_described(found) for found in has))
        raise InputError(
            f"expected an --activation that the model contains ({names}), got {_described(function)}; leave it out to take the "
            "model's, or exchange its modules."
        )


def design_target(model: nn.Module, data: object = None) -> DesignTarget:
    """Read a model once, in eval mode, on an input that it takes; it stays as it is.

    Example:
        >>> found = design_target(nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 2)))
        >>> found.activation().name, found.is_chain
        ('tanh', True)
        >>> design_target(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2028, 2))).beside
        ('convolution',)
    """
    modules = _distinct([found for module in model.modules() if (found := function_of(module)) is not None])
    batch = None if data is None else batch_of(data, model)
    read = _read(model) if batch is None else _read_on(model, batch)
    if read is None:
        stock = all(type(module).__module__.startswith("torch.nn.") for module in model.modules())
        return DesignTarget(modules, not stock, (), (), False)
    calls = tuple(step.operation for step in read.operations if step.kind == "activation")
    usual = _OF_A_CHAIN if batch is None or batch.single else (*_OF_A_CHAIN, "selection")  # of one of several inputs
    beside = tuple(dict.fromkeys(_told(step.kind) for step in read.operations if step.kind not in usual))
    if not read.covered:
        own = any(type(module).__module__.split(".")[0] != "torch" for module in model.modules())
        return DesignTarget(modules, own and not modules, calls, beside, True, *_ways(model, read))
    steps = [step.compute for step in read.steps if isinstance(step.compute, ElementwiseStep)]
    table = tuple(activation(name) for name in sorted(activation_names(), key=lambda name: name not in calls))
    named = [_named(TorchFunction(step.function)(_PROBES), (*modules, *table)) for step in steps]
    functions = _distinct([function for function in named if function is not None])
    return DesignTarget(functions, None in named, (), beside, True, *_ways(model, read))


def _told(kind: str) -> str:
    return "operations of other kinds" if kind == OTHER.name else kind


def _ways(model: nn.Module, read: Trace) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Widths along the way through the most Linear or convolutional layers, and the paths of those that come first."""
    layers = {n: one for n, one in model.named_modules() if isinstance(one, nn.Linear | Convolution)}
    places = {layer.weight.data_ptr(): name for name, layer in layers.items()}
    ways: dict[str, tuple[int, ...]] = {}
    firsts: dict[str, None] = {}
    for step in read.steps:
        way = max((ways.get(one.name, ()) for one in step.reads), key=len, default=())
        path = places.get(step.place[0])
        if path is not None:
            fan_in, fan_out = _channels(layers[path])
            firsts |= {} if way else {path: None}
            way = (*(way or (fan_in,)), fan_out)
        ways[step.name] = way
    return max(ways.values(), key=len, default=()), tuple(firsts)


def _read(model: nn.Module) -> Trace | None:
    """None where no input was found."""
    for data in ("gaussian", "fashion-mnist"):
        try:
            inputs = load_labelled(data, model).inputs[:1]
            return trace(model, _like(model, inputs))
        except InputError:
            continue
    return None


def _read_on(model: nn.Module, batch: Batch) -> Trace:
    one, rows = packed(model, batch.part(0, 1))
    return trace(one, rows)


def _like(model: nn.Module, inputs: Tensor) -> Tensor:
    first = next(model.parameters())
    return inputs.to(first.device, first.dtype if inputs.is_floating_point() else inputs.dtype)


def _named(values: np.ndarray, known: tuple[ActivationFunction, ...]) -> ActivationFunction | None:
    """The first that has these values at the probes."""
    return next((one for one in known if _near(one.function(_PROBES), values)), None)


def _distinct(functions: list[ActivationFunction]) -> tuple[ActivationFunction, ...]:
    kept: list[ActivationFunction] = []
    for function in functions:
        if not any(_same(known, function) for known in kept):
            kept.append(function)
    return tuple(kept)


def _same(one: ActivationFunction, other: ActivationFunction) -> bool:
    return _near(one.function(_PROBES), other.function(_PROBES))


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.max(np.abs(one - other)) < _CLOSE)


def _described(function: ActivationFunction) -> str:
    kinks = f" with kinks at {', '.join(f'{kink:g}' for kink in function.kinks)}" if len(function.kinks) > 1 else ""
    return function.name + kinks


def chain_widths(model: nn.Module) -> tuple[int, ...]:
    """N_0, …, N_L of a model whose weight layers follow one another: features of Linear, channels of convolutions.

    Where a flattening multiplies channels by positions, the Linear layer behind it counts with the channels alone.

    Example:
        >>> chain_widths(nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 2)))
        (8, 5, 2)
        >>> chain_widths(nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 2)))
        (1, 3, 2)
    """
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, (nn.Linear, Convolution))]
    if not layers:
        raise InputError("expected a model with Linear or convolutional layers, got none; there is nothing to design.")
    widths: list[int] = []
    for name, layer in layers:
        fan_in, fan_out = _channels(layer)
        if widths and fan_in != widths[-1] and (fan_in % widths[-1] or not isinstance(layer, nn.Linear)):
            raise InputError(
                f"expected a model that a recipe is for, or weight layers in a row, got {fan_in} inputs of "
                f"{name!r} behind {widths[-1]} outputs; keep its start, or give --depth and --width."
            )
        widths = widths or [fan_in]
        widths.append(fan_out)
    return tuple(widths)


def _channels(layer: nn.Linear | Convolution) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def state_bytes(model: nn.Module) -> bytes:
    """The model's state_dict as the content of a ``.pt`` file, to be read by ``torch.load(..., weights_only=True)``.

    Example:
        >>> state = torch.load(io.BytesIO(state_bytes(nn.Linear(2, 1))), weights_only=True)
        >>> sorted(state)
        ['bias', 'weight']
    """
    stream = io.BytesIO()
    torch.save(model.state_dict(), stream)
    return stream.getvalue()
