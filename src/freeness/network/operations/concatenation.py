"""Signals side by side."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np

from freeness.errors import InputError
from freeness.network.channelwise import ChannelPass, passed
from freeness.network.derivatives import GivenMap, Pass, given, over_samples
from freeness.network.moments import (
    Pairs,
    Step,
    Stream,
    backward,
    check_alike,
    check_independent,
    joined,
    sides,
    together,
)
from freeness.network.operation import Operation, described


@dataclass(frozen=True)
class Concatenation(Operation):
    """Signals behind one another, along ``channels`` (DenseNet, U-Net) or along ``positions`` (a class token)."""

    along: Literal["channels", "positions"] = "channels"
    name: str = ""
    arity: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        if self.along not in ("channels", "positions"):
            raise InputError(f"expected a concatenation along channels or positions, got {self.along!r}; choose one.")


@joined.register
def _(operation: Concatenation, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    if operation.along == "channels":
        return _channels(operation, streams)
    return _positions(operation, streams)


def _channels(operation: Concatenation, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """Means over neurons are means over the signals by their channels: Σ = Σ_k share_k Σ_k, and so for Θ."""
    check_alike(operation, streams, features=False)
    shares = _shares(operation, streams)

    def mixed(arrays: list[np.ndarray]) -> np.ndarray:
        return np.asarray(sum(share * array for share, array in zip(shares, arrays, strict=True)))

    def step(*pairs: Pairs) -> Pairs:
        return Pairs(mixed([one.value for one in pairs]), mixed([one.theta for one in pairs]), pairs[0].rows)

    def mean() -> np.ndarray:
        return mixed([np.zeros(one.variance.shape) if one.mean is None else one.mean() for one in streams])

    after = together(streams)._replace(
        second=mixed([one.second for one in streams]),
        growth=mixed([one.growth for one in streams]),
        mean=None if all(one.mean is None for one in streams) else mean,
        gaussian=False,
        latent=None,
        features=sum(one.features or 0 for one in streams),
        uneven=True,
    )
    return after, step


def _shares(operation: Concatenation, streams: tuple[Stream, ...]) -> list[float]:
    """Of all channels that are of each signal."""
    counts = [one.features for one in streams if one.features is not None]
    if len(counts) < len(streams):
        raise InputError(
            f"expected signals of known channels into {described(operation)}, got an input of unknown size; put weights between."
        )
    return [count / sum(counts) for count in counts]


def _positions(operation: Concatenation, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """Blocks of positions; between different signals, which are independent, stand products of their means, and no Θ."""
    check_alike(operation, streams, positions=False)
    across = streams[0].across
    if any(one.variance.ndim != 2 for one in streams):
        raise InputError(
            f"expected signals with one axis of positions into {described(operation)}, got shapes "
            f"{', '.join(str(one.variance.shape[1:]) for one in streams)}; reshape them before it."
        )
    if across:
        check_independent(operation, streams)
    means = [None if one.mean is None else one.mean() for one in streams]

    def blocks(arrays: list[np.ndarray], left: list[np.ndarray | None], right: list[np.ndarray | None]) -> np.ndarray:
        if not across:
            return np.concatenate(arrays, axis=-1)
        lead = arrays[0].shape[:-2]
        sizes = [array.shape[-1] for array in arrays]
        rows = [
            [array if k == m else _between(left[k], right[m], (*lead, sizes[k], sizes[m])) for m in range(len(arrays))]
            for k, array in enumerate(arrays)
        ]
        return np.block(rows)

    nothing: list[np.ndarray | None] = [None] * len(streams)

    def step(*pairs: Pairs) -> Pairs:
        ends = [(None, None) if m is None else sides(m, pairs[0].rows, 2) for m in means]
        value = blocks([one.value for one in pairs], [end[0] for end in ends], [end[1] for end in ends])
        return Pairs(value, blocks([one.theta for one in pairs], nothing, nothing), pairs[0].rows)

    left = [None if mean is None else mean[:, :, None] for mean in means]
    right = [None if mean is None else mean[:, None, :] for mean in means]
    after = together(streams)._replace(
        second=blocks([one.second for one in streams], left, right),
        growth=np.concatenate([one.growth for one in streams], axis=1),
        mean=None if all(mean is None for mean in means) else lambda: _side_by_side(means, streams),
    )
    return after, step


def _between(left: np.ndarray | None, right: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape) if left is None or right is None else np.broadcast_to(left * right, shape)


def _side_by_side(means: list[np.ndarray | None], streams: tuple[Stream, ...]) -> np.ndarray:
    parts = [np.zeros(one.variance.shape) if mean is None else mean for mean, one in zip(means, streams, strict=True)]
    return np.concatenate(parts, axis=1)


@backward.register
def _(
    operation: Concatenation, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Of channels, which have weights alike behind them, each signal gets its share; of positions its own block."""
    if operation.along == "channels":
        return tuple(share * gradient for share in _shares(operation, streams))
    ends = np.cumsum([0, *(one.variance.shape[1] for one in streams)])
    parts = [slice(first, last) for first, last in pairwise(ends)]
    return tuple(gradient[:, part, part] if streams[0].across else gradient[:, part] for part in parts)


@given.register
def _(operation: Concatenation, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    if operation.along == "channels":
        raise InputError(
            f"expected signals that are joined along positions, got joined channels in {described(operation)}; measure its "
            "spectrum instead."
        )
    if any(x.ndim != 3 for x in values):
        raise InputError(
            f"expected signals with one axis of positions into {described(operation)}, got others; reshape them before it."
        )
    counts = [x.shape[2] for x in values]
    places = np.split(np.eye(sum(counts)), np.cumsum(counts)[:-1], axis=1)
    return GivenMap(
        np.concatenate(values, axis=2), tuple(over_samples(place[None], values[0].shape[1]) for place in places)
    )


@passed.register
def _(operation: Concatenation, values: tuple[np.ndarray, ...], at: Pass) -> ChannelPass:
    axis = 0 if operation.along == "channels" else 2
    ends = np.cumsum([x.shape[axis] for x in values])[:-1]

    def back(gradient: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.split(gradient, ends, axis=axis))

    return ChannelPass(np.concatenate(values, axis=axis), back)
