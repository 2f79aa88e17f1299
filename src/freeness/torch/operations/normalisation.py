"""Layer, RMS, group and batch normalisation; a scale or shift other than 1 and 0 is a step of its own."""

from __future__ import annotations

import operator
from dataclasses import replace
from functools import partial

import torch

from freeness.network import Normalisation, Product, Sum
from freeness.torch.operations.constant import constant
from freeness.torch.operations.convolution import check_image
from freeness.torch.operations.kind import Kind, Theory, Unread
from freeness.torch.operations.sum import Weighted
from freeness.torch.record.elementwise import Slot
from freeness.torch.record.layout import holds
from freeness.torch.record.steps import Call, Calls, GivenTensor
from freeness.torch.record.walk import Asked, Signal

LAYER = Kind(
    "layer normalisation",
    ("layer_norm",),
    "spectra",
    "over the channels or a whole sample, scale 1 and shift 0, which Θ does not count",
)
RMS = Kind(
    "RMS normalisation",
    ("rms_norm",),
    "spectra",
    "over the channels or a whole sample, scale 1, which Θ does not count",
)
GROUP = Kind(
    "group normalisation", ("group_norm",), "spectra", "of one group, scale 1 and shift 0, which Θ does not count"
)
BATCH = Kind(
    "batch normalisation",
    ("batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm", "native_batch_norm"),
    "kernels",
    "scale 1 and shift 0; spectra of a record with its batch only, for in eval mode it is a fixed map of each channel",
)
INSTANCE = Kind(
    "instance normalisation", ("instance_norm",), "none", "theory normalises over the channels, not each by itself"
)
_EPSILON = 2.0**-23  # torch's of RMSNorm, in float32


def over_axes(asked: Asked) -> Signal:
    """Layer and RMS normalisation over the last axes."""
    walk, given = asked.walk, asked.signal("input")
    axes = len(asked.arguments["normalized_shape"])
    free = [axis for axis, atoms in enumerate(given.dims) if not holds(atoms, "samples")]
    normalised = list(range(len(given.dims) - axes, len(given.dims)))
    everything = normalised == free
    walk.typed(given, [free[0]] if everything else normalised)
    given = walk.settled(given)
    typing = given.place.typing
    shown = [axis for axis, atoms in enumerate(given.layout) if holds(atoms, "channels")]
    if not everything and (len(normalised) > 1 or shown not in (normalised, [])):
        raise Unread(f"over {tuple(asked.arguments['normalized_shape'])} of a sample of shape {asked.shape[1:]}")
    kind = "layer" if asked.name == "layer_norm" else "rms"
    epsilon = asked.arguments.get("eps")
    record = Normalisation(kind, _EPSILON if epsilon is None else float(epsilon), everything and bool(typing.positions))
    return _normalised(asked, given, record, None)


def written(asked: Asked, given: Signal, epsilon: float) -> Signal:
    """An RMS normalisation over the last axis that is written out, of which ``asked`` is the last call."""
    walk, last = asked.walk, len(given.dims) - 1
    walk.typed(given, [last])
    given = walk.settled(given)
    if [axis for axis, atoms in enumerate(given.layout) if holds(atoms, "channels")] != [last]:
        raise Unread("over a part of the channels")
    asked.note(RMS.theory, kind=RMS.name)
    name = asked.path or asked.label
    call = Call(torch.ops.aten.rms_norm.default, (Slot(0), [given.shape[last]], None, epsilon))
    record = Normalisation("rms", epsilon, name=name)
    return walk.add(name, [given], Calls((call,)), lambda: record, given.place.typing, given.layout)


def over_channels(asked: Asked) -> Signal:
    """Group and batch normalisation of (samples, channels, *positions)."""
    walk, given = asked.walk, asked.signal("input")
    walk.typed(given, [1])
    given = walk.settled(given)
    if walk.batch is None:
        raise Unread("on an input without samples as the first axis")
    check_image(given)
    epsilon = float(asked.arguments["eps"])
    if asked.name == "group_norm":
        groups = asked.arguments["num_groups"]
        record = Normalisation("layer", epsilon, len(given.dims) > 2, groups=groups)
        return _normalised(asked, given, record, 1, f"of {groups} groups of channels" if groups > 1 else "")
    if asked.arguments.get("training") or asked.arguments.get("running_mean") is None:
        raise Unread("with statistics of this batch")
    return _normalised(asked, given, Normalisation("batch", epsilon), 1)


def instance(asked: Asked) -> Signal:
    """Of each channel by itself: no record."""
    raise Unread("it normalises each channel by itself")


def _normalised(asked: Asked, given: Signal, record: Normalisation, axis: int | None, reason: str = "") -> Signal:
    walk, name = asked.walk, asked.path or asked.label
    tensors = {key: asked.constant(key) for key in ("weight", "bias") if key in asked.arguments}
    neutral = {"weight": 1.0, "bias": 0.0}
    moved = [
        key for key, each in tensors.items() if each is not None and not bool((each.value() == neutral[key]).all())
    ]
    theory: Theory = "none" if reason else asked.kind.theory
    if moved:
        theory, reason = "none", reason or "with a scale and shift that differ from 1 and 0"
    elif theory == "kernels":
        reason = asked.kind.limits
    elif not reason and any(each is not None and each.trained for each in tensors.values()):
        reason = "its trained scale and shift are not counted in the theory of Θ"
    asked.note(theory, reason)
    plain = Calls((asked.call(**dict.fromkeys(moved)),))
    found = walk.add(name, [given], plain, lambda: replace(record, name=name), given.place.typing, given.layout)
    for key in moved:
        tensor = tensors[key]
        assert tensor is not None
        beside = constant(asked, _along(tensor, found, axis), found)
        if key == "weight":
            scaled = f"{name}.scaled"
            found = walk.add(
                scaled, [found, beside], operator.mul, partial(Product, scaled), given.place.typing, found.dims
            )
        else:
            shifted = f"{name}.shifted"
            added = partial(Sum, (1.0, 1.0), shifted)
            found = walk.add(shifted, [found, beside], _plus, added, given.place.typing, found.dims)
    return found


_plus = Weighted((1.0, 1.0))


def _along(tensor: GivenTensor, signal: Signal, axis: int | None) -> GivenTensor:
    """A scale or shift of the axis with the channels; of the last axes as it is."""
    if axis is None:
        return tensor
    shape = (-1, *(1 for _ in signal.dims[axis + 1 :]))
    return replace(tensor, value=lambda: tensor.value().reshape(shape))


READERS = (
    (LAYER, over_axes),
    (RMS, over_axes),
    (GROUP, over_channels),
    (BATCH, over_channels),
    (INSTANCE, instance),
)
