"""Convolutions, and the padding in front of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from torch import Tensor

from freeness.network import Convolution
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.operations.trained_weights import bias_facts, check_trained, module_name
from freeness.torch.record.elementwise import Slot
from freeness.torch.record.layout import AxisPart, Dims, Typing, whole
from freeness.torch.record.recognition import recognise_kernel
from freeness.torch.record.steps import Calls
from freeness.torch.record.walk import Asked, Signal

KIND = Kind(
    "convolution",
    ("conv1d", "conv2d", "conv3d"),
    "spectra",
    "no groups or dilation, one stride; no padding, or half the kernel (zeros or circular)",
)
PADDING = Kind("padding", ("pad", "constant_pad_nd"), "spectra", "in front of a convolution by half its kernel")
Sides = Literal["circular", "zeros", "valid"]
_MODES: dict[str, Sides] = {"constant": "zeros", "circular": "circular"}


def pad(asked: Asked) -> Signal:
    """A padding, which waits for its convolution."""
    signal = asked.signal("self")
    asked.note()
    return replace(signal, pad=asked)


def read(asked: Asked) -> Signal:
    """A convolution of (samples, channels, *positions)."""
    walk, given = asked.walk, asked.arguments["input"]
    if not isinstance(given, Signal):
        raise Unread("of a tensor that does not come from the input")
    weight, bias = asked.parameter("weight"), asked.parameter("bias")
    assert weight is not None
    kernel = tuple(weight[1].shape[2:])
    waits, given = given.pad, replace(given, pad=None)
    padding = sides(kernel, asked.arguments, None if waits is None else waits.arguments)
    check_trained(asked, weight[1])
    if walk.batch is None or len(given.dims) != len(kernel) + 2:
        raise Unread("on an input without samples as the first axis")
    walk.typed(given, [1])
    given = walk.settled(given)
    check_image(given)
    groups, dilation = asked.arguments["groups"], asked.arguments["dilation"][0]
    theory, reason = KIND.theory, ""
    if groups > 1 or dilation > 1:
        theory = "none"
        reason = f"of {groups} groups, between which theory has no weights" if groups > 1 else f"of dilation {dilation}"
    asked.note(theory, reason)
    name = module_name(asked, weight)
    tensors = weight[1], None if bias is None else bias[1]
    calls = (asked.call(),) if waits is None else (waits.call(), asked.call(input=Slot(1)))
    return walk.weigh(
        asked,
        name,
        given,
        Calls(calls, *tensors),
        lambda: _record(name, tensors, padding, asked, walk.any_trained),
        behind_windows(given, asked.shape, len(weight[1])),
    )


def check_image(given: Signal) -> None:
    """Refuse what is not (samples, channels, *positions), every axis whole."""
    typing, layout = given.place.typing, given.layout
    whole_axes = layout[1] == whole("channels", typing.channels or 1)
    if not whole_axes or tuple(given.shape[2:]) != typing.positions:
        raise Unread("on channels or positions that stand on other axes")


def behind_windows(given: Signal, shape: tuple[int, ...], channels: int) -> tuple[Typing, Dims]:
    """How (samples, channels, *positions) of another shape lie."""
    positions, left, axes = shape[2:], 1, []
    for size in reversed(positions):
        axes.append((AxisPart("positions", size, left),) if size > 1 else ())
        left *= size
    return Typing(channels=channels, positions=positions), (given.layout[0], whole("channels", channels), *axes[::-1])


def _record(
    name: str, tensors: tuple[Tensor, Tensor | None], padding: Sides, asked: Asked, any_trained: bool
) -> Convolution:
    fan_out, fan_in, *kernel = tensors[0].shape
    groups = asked.arguments["groups"]
    return Convolution(
        fan_in * groups,
        fan_out,
        tuple(kernel),
        recognise_kernel(tensors[0]),
        padding,
        asked.arguments["stride"][0],
        *bias_facts(tensors[1], any_trained),
        name,
        groups,
        asked.arguments["dilation"][0],
    )


def sides(kernel: tuple[int, ...], bound: dict[str, Any], pad: dict[str, Any] | None) -> Sides:
    """The padding of a convolution as its record names it: zeros, circular or valid.

    Example:
        >>> sides((3, 3), {"padding": [1, 1], "stride": [2, 2], "dilation": [1, 1], "groups": 1}, None)
        'zeros'
    """
    for key in ("stride", "dilation"):
        if len(set(bound[key])) != 1:
            raise Unread(f"of unequal {key} {tuple(bound[key])}")
    half = [taps // 2 * bound["dilation"][0] for taps in kernel]
    odd = all(taps % 2 for taps in kernel)
    given = bound["padding"]
    if isinstance(given, str):
        padded = [0] * len(kernel) if given == "valid" else half
        odd = odd or given == "valid"
    else:
        padded = list(given) * (len(kernel) if len(given) == 1 else 1)
    mode: Sides | None = "zeros"
    if pad is not None:
        ends = list(pad["pad"])[::-1]
        mode = _MODES.get(str(pad.get("mode", "constant")))
        if (
            any(padded)
            or len(ends) != 2 * len(kernel)
            or ends[::2] != ends[1::2]
            or pad.get("value") not in (None, 0, 0.0)
        ):
            mode = None
        padded = [max(abs(left), abs(right)) for left, right in zip(ends[::2], ends[1::2], strict=True)]
    if not any(padded):
        return "valid"
    if mode and odd and padded == half:
        return mode
    raise Unread(f"with padding {tuple(padded)} of a kernel {kernel}, of which there is no record")


READERS = (
    (KIND, read),
    (PADDING, pad),
)
