"""Elementwise calls, which become an activation where something else reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.record.elementwise import PointwiseCall, Slot
from freeness.torch.record.graph_view import node_target
from freeness.torch.record.steps import GivenTensor
from freeness.torch.record.walk import Asked, Signal

ACTIVATION = Kind("activation", (), "spectra", "any function of one number without parameters that are trained")
SCALE = "trained scale or shift"


def activation(asked: Asked) -> Signal:
    """One more elementwise call of one signal.

    Raises:
        Unread: several signals, or a tensor beside them.
    """
    signals = asked.signals
    if any(signal.pad is not None for signal in signals):
        raise Unread("padding that no convolution follows")
    if not of_one_place(signals):
        raise Unread("" if asked.kind.theory == "none" else "of several signals")
    first = signals[0]
    if asked.shape != first.shape:
        raise Unread("it spreads a signal over other axes")
    call = PointwiseCall(
        node_target(asked.node),
        tuple(_argument(asked.walk.given(argument)) for argument in asked.node.args),
        {key: _argument(asked.walk.given(argument)) for key, argument in asked.node.kwargs.items()},
    )
    first.place.calls.append(call)
    first.place.names.append(asked.label)
    asked.note("spectra", kind=ACTIVATION.name)
    return replace(first, slot=len(first.place.calls))


def of_one_place(signals: list[Signal]) -> bool:
    """Whether signals differ by elementwise calls alone."""
    return len({id(signal.place) for signal in signals}) == 1 and len({signal.layout for signal in signals}) == 1


def number_in(value: Any) -> float | None:
    """A number, or that in a tensor of one that is not trained; None of anything else."""
    if isinstance(value, GivenTensor):
        found = None if value.trained or value.by_sample else value.value()
        return found.item() if found is not None and found.numel() == 1 else None
    return value if isinstance(value, int | float) else None


def _argument(value: Any) -> Any:
    """A slot, or the number in a tensor of one."""
    if isinstance(value, Signal):
        return Slot(value.slot)
    if not isinstance(value, GivenTensor):
        return value
    number = number_in(value)
    if number is None:
        raise Unread(f"with {value.what}", SCALE)
    return number


READERS = ((ACTIVATION, None),)
