"""Read a model by one forward pass with hooks, where torch.export cannot (control flow on values)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor

from freeness.errors import InputError
from freeness.network import INPUT, Activation, Dense
from freeness.torch.operations.trained_weights import bias_facts
from freeness.torch.record.elementwise import activation_function
from freeness.torch.record.graph_view import export
from freeness.torch.record.layout import Typing, whole
from freeness.torch.record.reading import read_graph
from freeness.torch.record.recognition import recognise
from freeness.torch.record.steps import DenseStep, ElementwiseStep, Read, Reshaped, Step

_Compute = DenseStep | ElementwiseStep


@dataclass(frozen=True, eq=False)
class _Call:
    """One call of a module without children."""

    name: str
    module: nn.Module
    given: Tensor
    returned: Tensor


def hooked_steps(model: nn.Module, example: Tensor) -> tuple[Step, ...]:
    """The steps of a chain that ``model`` is on ``example``, from the modules without children in the order in which they run.

    Calls between modules (``torch.tanh(x)`` in a forward) leave no hook; they are noticed because a module then does
    not receive what the one before it returned, and refused.

    Raises:
        InputError: an operation between two modules, or a module that is neither Linear nor elementwise.
    """
    calls = _record(model, example)
    found: list[_Compute] = []
    before = example
    place = "the input"
    for call in calls:
        _check_handed_on(before, call.given, f"{place} and module {call.name!r}")
        found += _steps_of(call)
        before, place = call.returned, f"module {call.name!r}"
    any_trained = any(parameter.requires_grad for parameter in model.parameters())
    return _chained(_merged(found), example, any_trained)


def _merged(found: list[_Compute]) -> list[_Compute]:
    """Elementwise neighbours become one: their D are functions of the same h, not independent."""
    merged: list[_Compute] = []
    for compute in found:
        last = merged[-1] if merged else None
        if isinstance(compute, ElementwiseStep) and isinstance(last, ElementwiseStep):
            merged[-1] = ElementwiseStep(last.name, last.function.then(compute.function))
        else:
            merged.append(compute)
    return merged


def _chained(found: list[_Compute], example: Tensor, any_trained: bool) -> tuple[Step, ...]:
    """One behind another, on vectors."""
    batched = example.ndim > 1
    features = example.numel() // (len(example) if batched else 1)
    samples = (whole("samples", len(example)),) if batched else ()
    typing, dims = Typing(channels=features), (*samples, whole("channels", features))
    read = Read(INPUT, typing, dims, (Reshaped((-1, features) if batched else (features,)),))
    steps: list[Step] = []
    for number, compute in enumerate(found):
        features = len(compute.weight) if isinstance(compute, DenseStep) else features
        taken = {step.name for step in steps} | {"", INPUT}
        name = compute.name if compute.name not in taken else f"{compute.name}.{number}"
        record = partial(_layer, compute, any_trained)
        typing, dims = Typing(channels=features), (*samples, whole("channels", features))
        steps.append(Step(name, (read,), compute, record, typing, dims))
        read = Read(name, typing, dims)
    return tuple(steps)


def _layer(compute: _Compute, any_trained: bool) -> Dense | Activation:
    if isinstance(compute, ElementwiseStep):
        return Activation(activation_function(compute.function), compute.name)
    fan_out, fan_in = compute.weight.shape
    return Dense(fan_in, fan_out, recognise(compute.weight), *bias_facts(compute.bias, any_trained), compute.name)


def _record(model: nn.Module, example: Tensor) -> list[_Call]:
    calls: list[_Call] = []
    given: dict[str, Tensor] = {}

    def before(name: str) -> object:
        def hook(module: nn.Module, arguments: tuple[object, ...]) -> None:
            if len(arguments) == 1 and isinstance(arguments[0], Tensor):
                if is_functorch_wrapped_tensor(arguments[0]):
                    raise InputError(
                        f"expected modules that receive what the one before returned, got torch.func around module {name!r}; "
                        "what theory says of derivatives is not known here."
                    )
                given[name] = arguments[0].detach().clone()

        return hook

    def after(name: str) -> object:
        def hook(module: nn.Module, arguments: tuple[object, ...], returned: object) -> None:
            if name not in given or not isinstance(returned, Tensor):
                raise InputError(
                    f"expected modules that map one tensor to one tensor, got module {name!r} "
                    f"({type(module).__name__}); replace it."
                )
            calls.append(_Call(name, module, given.pop(name), returned.detach().clone()))

        return hook

    leaves = [(name, module) for name, module in model.named_modules() if not any(True for _ in module.children())]
    with ExitStack() as hooks, torch.no_grad():
        for name, module in leaves:
            hooks.enter_context(module.register_forward_pre_hook(before(name)))  # type: ignore[arg-type]
            hooks.enter_context(module.register_forward_hook(after(name)))  # type: ignore[arg-type]
        model(example)
    return calls


def _check_handed_on(before: Tensor, given: Tensor, place: str) -> None:
    if before.numel() != given.numel() or not torch.equal(before.reshape(-1), given.reshape(-1)):
        raise InputError(
            f"expected modules that receive what the one before returned, got an operation between {place} in a model "
            "that torch.export cannot read; write the operation as a module."
        )


def _steps_of(call: _Call) -> list[_Compute]:
    if isinstance(call.module, nn.Linear) and type(call.module.weight) is nn.Parameter:
        if call.given.ndim > 2:
            raise InputError(
                f"expected Linear on a batch of vectors, got shape {tuple(call.given.shape)} in module {call.name!r}; "
                f"flatten it first."
            )
        return [DenseStep(call.name, call.module.weight, call.module.bias)]
    view = export(call.module, call.given, call.name)
    reading = None if view is None else read_graph(view, call.given)
    if reading is not None and not any(operation.theory == "none" for operation in reading.operations):
        found = [step.compute for step in reading.steps]
        plain = [one for one in found if isinstance(one, DenseStep | ElementwiseStep)]
        if len(plain) == len(found):
            return plain
    raise InputError(
        f"expected Linear layers and elementwise activations only, got module {call.name!r} ({type(call.module).__name__}) "
        "in a model that torch.export cannot read; replace it."
    )
