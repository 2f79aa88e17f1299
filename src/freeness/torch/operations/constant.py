"""Tensors beside the signals: positional embeddings, class tokens, scales and shifts of channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from freeness.network import Constant, Data
from freeness.torch.operations.activation import SCALE
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.record.layout import Axis, AxisPart, Dims, Typing, holds, of_axis, size_of, whole
from freeness.torch.record.steps import GivenTensor
from freeness.torch.record.walk import Asked, Signal

_SURE = 6  # standard deviations beyond which numbers are not drawn
_PLACES = 512  # positions whose Gram matrix is kept
_SAME = 1e-5  # relative departures that single precision makes

KIND = Kind(SCALE, ("prelu",), "none", "a parameter or tensor of its own beside the signal")


def constant(asked: Asked, given: GivenTensor, beside: Signal, along: tuple[int, Axis] | None = None) -> Signal:
    """The step of a tensor that stands beside a signal, with the signal's layout.

    ``along``: an axis on which it has another size, and what stands there. What each sample brings itself is data of theirs.
    """
    reason, walk = f"with {given.what}", asked.walk
    value = given.value()
    lead = value.ndim - len(beside.dims)
    if lead > 0 and any(size != 1 for size in value.shape[:lead]):
        raise Unread(reason, SCALE)
    shape = (1,) * max(-lead, 0) + tuple(value.shape[max(lead, 0) :])
    channel = None
    if beside.place.typing.channels is None and sum(size > 1 for size in shape) == 1:
        channel = [axis for axis, size in enumerate(shape) if size > 1]
    layout = walk.typed(beside, channel)
    whole_value = value.reshape(shape)
    dims: list[tuple[AxisPart, ...]] = []
    for axis, (size, atoms) in enumerate(zip(shape, layout, strict=True)):
        samples = holds(atoms, "samples")
        if (
            samples
            and size > 1
            and not given.by_sample
            and not bool((whole_value == whole_value.narrow(axis, 0, 1)).all())
        ):
            raise Unread(f"{reason}, which differs from sample to sample", SCALE)
        if along is not None and along[0] == axis:
            dims.append(whole(along[1], size))
        elif samples or size in (1, size_of(atoms)):
            dims.append(atoms if samples and given.by_sample else () if size == 1 or samples else atoms)
        else:
            raise Unread(f"{reason} that spreads the signal", SCALE)
    axes = [axis for axis, atoms in enumerate(layout) if holds(atoms, "samples")]
    typing = _typing(beside, tuple(dims), reason, along)
    if given.by_sample:
        return _of_samples(asked, given, axes, shape, (typing, tuple(dims)))

    def compute() -> Tensor:
        found = given.value().reshape(shape)
        for axis in axes:
            found = found.narrow(axis, 0, 1)
        return found

    def record() -> Constant:
        entries = typing.canonical(compute().double(), tuple(dims))[0].reshape(typing.channels or 1, -1).cpu().numpy()
        sigma, (gram, means) = float(np.sqrt((entries**2).mean())), _given(entries)
        return Constant(typing.channels or 1, typing.positions, sigma, given.trained, name, gram, means)

    name = walk.view.path(given.name) if given.name else f"{asked.label}.constant"
    return walk.add(name, [], compute, record, typing, tuple(dims))


def _of_samples(
    asked: Asked, given: GivenTensor, axes: list[int], shape: tuple[int, ...], behind: tuple[Typing, Dims]
) -> Signal:
    """The step of what each sample brings itself."""
    (typing, dims), walk, name = behind, asked.walk, f"{asked.label}.data"
    if len(axes) != 1 or walk.batch is None or shape[axes[0]] != walk.batch:
        raise Unread(f"with {given.what}, which lies otherwise")

    def compute() -> Tensor:
        return given.value().reshape(*(-1 if axis in axes else size for axis, size in enumerate(shape)))

    def record() -> Data:
        return Data(typing.canonical(compute().double(), dims).cpu().numpy(), name=name)

    walk.by_sample = True
    return walk.add(name, [], compute, record, typing, dims)


def _given(entries: np.ndarray) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
    """The Gram matrix between positions and the means of (channels, positions) where they are not those of drawn entries.

    Of drawn ones correlations and means over n channels are 0 ± 1/√n.
    """
    channels, count = entries.shape
    if count > _PLACES:
        return (), ()
    gram, means = entries.T @ entries / channels, entries.mean(axis=0)
    sizes = np.sqrt(np.diagonal(gram))
    beyond = min(_SURE / channels**0.5, 1.0 - _SAME)
    uneven = np.ptp(sizes) > beyond * sizes.max()
    centred = (np.abs(means) <= beyond * sizes).all()
    if centred and not uneven and (np.abs(np.triu(gram, 1)) <= beyond * np.outer(sizes, sizes)).all():
        return (), ()
    return tuple(tuple(map(float, row)) for row in gram), () if centred else tuple(map(float, means))


def _typing(beside: Signal, dims: Dims, reason: str, along: tuple[int, Axis] | None) -> Typing:
    """Channels and positions of a tensor that has all or none of its neighbour's, but along an axis of its own."""
    whose = beside.place.typing
    channels, count = whose.channels or 1, whose.count
    if along is not None:
        size = size_of(dims[along[0]])
        whose = replace(whose, **({"channels": size} if along[1] == "channels" else {"positions": (size,)}))
        channels, count = whose.channels or 1, whose.count
    found, positions = of_axis(dims, "channels"), of_axis(dims, "positions")
    if found not in ((), whole("channels", channels)) or positions not in ((), whole("positions", count)):
        raise Unread(f"{reason} over a part of the channels or positions", SCALE)
    own = along is not None and along[1] == "positions"
    return Typing(channels=channels if found else 1, positions=whose.positions if positions or own else ())


READERS = ((KIND, None),)
