"""Max pooling.

The largest of Gaussian entries, or of a function of such, has no closed second moments. They are means over draws of the field in
front, joint over positions and samples, and what comes back goes to the entries that were the largest in some of these draws. A
network of C channels at hand has C such draws.

Source: derived for this project, tested by drawn networks.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Int
from scipy import sparse

from freeness.errors import InputError, is_size
from freeness.gaussian import standardised
from freeness.network.along import along_front, beyond
from freeness.network.channelwise import ChannelPass, passed
from freeness.network.departures import TINY
from freeness.network.derivatives import GivenMap, Pass, given
from freeness.network.moments import Chosen, Pairs, Step, Stream, backward, backward_pairs, forward
from freeness.network.operation import Operation, described
from freeness.network.operations.checks import check_windows

_DRAWS = 2048  # of the field, for what goes forward
_CHOICES = 64  # of them, for what comes back
_KEPT = 2**21  # entries of the field in all draws that say what a gradient along the signal adds
_SEED = 20_26
_LIFTED = 1e-9  # of the mean variance
_MOST = 8192  # entries of a batch that are drawn together


@dataclass(frozen=True)
class MaxPooling(Operation):
    """The largest entry of each channel in windows of ``size`` positions at a distance ``stride``; ``padding`` at each side."""

    size: tuple[int, ...] | None = None
    stride: int | None = None
    padding: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        check_windows(self.size, self.stride)
        if not (self.padding == 0 or is_size(self.padding)):
            raise InputError(f"expected a padding ≥ 0, got {self.padding!r}; it is a number of positions.")

    @property
    def across(self) -> bool:
        return True

    @property
    def couples(self) -> bool:
        return True

    def windows(self, shape: tuple[int, ...]) -> tuple[Int[np.ndarray, "windows entries"], tuple[int, ...]]:
        """Of each window the positions in rows, -1 for padding, (windows, entries); and the shape of the windows.

        Raises:
            InputError: other dimensions, or windows that are too large.
        """
        count = int(np.prod(shape))
        if self.size is None:
            return np.arange(count)[None], ()
        if len(shape) != len(self.size) or any(n + 2 * self.padding < k for n, k in zip(shape, self.size, strict=True)):
            raise InputError(
                f"expected positions of the {len(self.size)} dimensions of windows {self.size} and no fewer before "
                f"{described(self)}, got {shape}; take other windows."
            )
        places = np.pad(np.arange(count).reshape(shape), self.padding, constant_values=-1)
        seen = np.lib.stride_tricks.sliding_window_view(places, self.size)
        for axis, step in enumerate(self.size):
            seen = seen[(slice(None),) * axis + (slice(None, None, self.stride or step),)]
        behind = seen.shape[: len(shape)]
        return seen.reshape(int(np.prod(behind)), -1), behind


class _Largest(NamedTuple):
    """Of every draw, sample and window the ``value``, and what was ``chosen`` in some draws."""

    value: np.ndarray
    chosen: Chosen


def _largest(layer: MaxPooling, stream: Stream, gram: np.ndarray) -> _Largest:
    """From draws of the field, whose entries have the Gram matrices ``gram``, (k, N, N) of k independent parts."""
    if stream.latent is None and not stream.gaussian:
        raise InputError(
            f"expected Gaussian signals before {described(layer)}, or an activation of such, got others; put weights or a "
            "normalisation between."
        )
    parts, count = gram.shape[:2]
    if count > _MOST:
        raise InputError(
            f"expected at most {_MOST} entries of samples and positions before {described(layer)} in a batch, got {count}; give "
            "fewer or smaller inputs."
        )
    mean = np.zeros((parts, count)) if stream.latent is None else stream.latent.mean.reshape(parts, count)
    covariance = gram - mean[:, :, None] * mean[:, None]
    size = np.trace(covariance, axis1=1, axis2=2) / count
    root = np.linalg.cholesky(covariance + _LIFTED * size[:, None, None] * np.eye(count))
    noise = np.random.default_rng(_SEED).standard_normal((parts, _DRAWS, count))
    field = mean[:, None] + noise @ np.swapaxes(root, 1, 2)
    samples, shape = len(stream.second), stream.variance.shape[1:]
    field = np.swapaxes(field, 0, 1).reshape(_DRAWS, samples, -1)
    bent = field if stream.latent is None else stream.latent.function.function(field)
    seen, _ = layer.windows(shape)
    entries = np.where(seen < 0, -np.inf, bent[:, :, seen])
    kept = int(np.clip(_KEPT // (parts * count), _CHOICES, _DRAWS))
    place = seen[np.arange(len(seen)), entries[:kept].argmax(axis=-1)]
    first = np.take_along_axis(field[:kept], place, axis=2)
    slope = np.ones(first.shape) if stream.latent is None else stream.latent.function.derivative(first)
    value = entries.max(axis=-1)
    return _Largest(value, Chosen(place, slope, value[:kept], first))


@forward.register
def _(layer: MaxPooling, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    if stream.alike or not stream.across:
        raise InputError(
            f"expected images before {described(layer)}, got signals without positions; compute gradients on images instead."
        )
    shape, samples = stream.variance.shape[1:], len(stream.second)
    count = int(np.prod(shape))
    if whole is None:
        gram = (stream.second if stream.latent is None else stream.latent.second).reshape(samples, count, count)
    else:
        known = (whole.latent or whole).value
        gram = known.reshape(samples, samples, count, count).transpose(0, 2, 1, 3).reshape(1, samples * count, -1)
    found = _largest(layer, stream, gram)
    behind = layer.windows(shape)[1]
    ends = (samples, *behind, *behind)
    values = found.value
    second = (np.moveaxis(values, 0, -1) @ np.moveaxis(values, 0, 1) / _DRAWS).reshape(ends)
    flat = stream.growth.reshape(samples, count)
    few = found.chosen.place[:_CHOICES]
    growth = np.mean([flat[np.arange(samples)[:, None], place] for place in few], axis=0)

    def step(pairs: Pairs) -> Pairs:
        if whole is None or len(pairs.value) < samples:
            raise InputError(
                f"expected samples by themselves before {described(layer)}, got pairs of them; largest entries have no kernel "
                "between samples in this theory: take freeness.meanfield.gradients."
            )
        flat = values.reshape(_DRAWS, -1)
        square = (flat.T @ flat / _DRAWS).reshape(samples, -1, samples, values.shape[2]).transpose(0, 2, 1, 3)
        theta = (pairs.latent or pairs).theta.reshape(samples, samples, count, count)
        theta = theta.transpose(0, 2, 1, 3).reshape(samples * count, -1)
        starts = count * np.arange(samples)[:, None]
        places = (few + starts).reshape(len(few), -1)
        slopes = found.chosen.slope[:_CHOICES].reshape(places.shape)
        slope = np.mean(
            [theta[np.ix_(place, place)] * np.outer(one, one) for place, one in zip(places, slopes, strict=True)],
            axis=0,
        )
        slope = slope.reshape(samples, -1, samples, values.shape[2]).transpose(0, 2, 1, 3)
        return Pairs(square.reshape(samples, *ends), slope.reshape(samples, *ends), pairs.rows)

    after = stream.renewed(
        second, growth.reshape(samples, *behind), lambda: values.mean(axis=0).reshape(samples, *behind), False
    )
    law = standardised((values - values.mean(axis=0)) / np.maximum(values.std(axis=0), _LIFTED))
    smooth = stream.gaussian or stream.smooth  # the largest of entries with a density have one
    return after._replace(across=bool(behind), points=lambda: law, smooth=smooth, chosen=found.chosen), step


@backward.register
def _(layer: MaxPooling, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Γ ← E SᵀΓS with the choices S of the draws."""
    (stream,) = streams
    assert behind.chosen is not None
    samples, count, chosen = len(gradient), stream.variance[0].size, behind.chosen
    square = gradient.reshape(samples, chosen.place.shape[2], -1)
    each = (chosen._replace(place=chosen.place[:, own], slope=chosen.slope[:, own]) for own in range(samples))
    found = [_chosen_from(own, one, count) for own, one in zip(each, square, strict=True)]
    return (np.stack(found).reshape(stream.second.shape),)


@backward_pairs.register
def _(
    layer: MaxPooling,
    given: tuple[Pairs, ...],
    streams: tuple[Stream, ...],
    behind: Stream,
    step: Step,
    gradient: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """The same of all samples together."""
    (stream,) = streams
    assert behind.chosen is not None
    samples, places = len(gradient), behind.chosen.place.shape[2]
    square = gradient.reshape(samples, samples, places, places).transpose(0, 2, 1, 3).reshape(samples * places, -1)
    return (_between(_chosen_from(_of_batch(behind.chosen, stream), square, stream.variance.size), stream),)


@along_front.register
def _(layer: MaxPooling, number: int, streams: tuple[Stream, ...], behind: Stream, along: np.ndarray) -> np.ndarray:
    """E φ'φh of what is chosen, in front of φ; φ'h is φ where φ is homogeneous."""
    chosen = behind.chosen
    if chosen is not None and chosen.through:
        squares = (chosen.value**2).sum(axis=(0, 2))
        turned = (chosen.value * chosen.slope * chosen.field).sum(axis=(0, 2)) / np.maximum(squares, TINY)
        along = along * turned.reshape(-1, *(1 for _ in along.shape[1:]))
    return along_front.dispatch(Operation)(layer, number, streams, behind, along)


@beyond.register
def _(layer: MaxPooling, along: np.ndarray, given: Pairs, stream: Stream, behind: Stream) -> np.ndarray | float:
    """E SᵀggᵀS - E SᵀE(ggᵀ)S of g = αm, the largest entries m: what is chosen is large, and φ' there what it is for these."""
    if not along.any():
        return 0.0
    assert behind.chosen is not None
    chosen, count = _of_batch(behind.chosen, stream), stream.variance.size
    draws = len(chosen.value)
    back = along.ravel() * chosen.value
    slopes = chosen.slope if chosen.through else 1.0
    entries = chosen.place + count * np.arange(draws)[:, None]
    together = np.bincount(entries.ravel(), (slopes * back).ravel(), draws * count).reshape(draws, count)
    apart = together.T @ together / draws - _chosen_from(chosen, back.T @ back / draws, count)
    return (stream.features or 0) * _between(apart, stream)


def _of_batch(chosen: Chosen, stream: Stream) -> Chosen:
    """All samples' windows and positions in one row."""
    draws, samples, _ = chosen.place.shape
    starts = stream.variance[0].size * np.arange(samples)[:, None]
    place, *rest = (one.reshape(draws, -1) for one in (chosen.place + starts, *chosen[1:4]))
    return Chosen(place, *rest, through=chosen.through)


def _chosen_from(chosen: Chosen, square: np.ndarray, count: int) -> np.ndarray:
    """E SᵀΓS over the draws."""
    found = np.zeros((count, count))
    for choice in _choices(chosen, count):
        found += choice.T @ (choice.T @ square.T).T
    return found / _CHOICES


def _between(square: np.ndarray, stream: Stream) -> np.ndarray:
    """Of all samples' positions (N, N), as of pairs of samples."""
    samples, *shape = stream.variance.shape
    count = stream.variance[0].size
    return (
        square.reshape(samples, count, samples, count).transpose(0, 2, 1, 3).reshape(samples, samples, *shape, *shape)
    )


@given.register
def _(layer: MaxPooling, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    """The choice of every window, channel by channel."""
    (x,) = values
    seen, behind = layer.windows(x.shape[2:])
    flat = x.reshape(*x.shape[:2], -1)
    entries = np.where(seen < 0, -np.inf, flat[:, :, seen])  # (C, n, windows, entries)
    place = seen[np.arange(len(seen)), entries.argmax(axis=-1)]
    samples, count, windows = x.shape[1], flat.shape[2], len(seen)
    choice = np.zeros((len(x), samples, windows, samples, count))
    channel, sample, window = np.ogrid[: len(x), :samples, :windows]
    choice[channel, sample, window, sample, place] = 1.0
    value = entries.max(axis=-1).reshape(*x.shape[:2], *behind)
    return GivenMap(value, (choice.reshape(len(x), samples * windows, samples * count),))


@passed.register
def _(layer: MaxPooling, values: tuple[np.ndarray, ...], at: Pass) -> ChannelPass:
    """What comes back goes to the largest entry of every window."""
    (x,) = values
    seen, behind = layer.windows(x.shape[2:])
    flat = x.reshape(*x.shape[:2], -1)
    padded = np.concatenate([flat, np.full_like(flat[:, :, :1], -np.inf)], axis=2)
    largest, place = np.take(padded, seen[:, 0], axis=2), np.broadcast_to(seen[:, 0], (*flat.shape[:2], len(seen)))
    for entry in seen.T[1:]:
        value = np.take(padded, entry, axis=2)
        place = np.where(value > largest, entry, place)
        largest = np.maximum(largest, value)
    starts = flat.shape[2] * np.arange(len(x) * x.shape[1]).reshape(len(x), -1, 1)

    def back(gradient: np.ndarray) -> tuple[np.ndarray, ...]:
        found = np.bincount((place + starts).ravel(), gradient.ravel(), flat.size)
        return (found.reshape(x.shape).astype(gradient.dtype),)

    return ChannelPass(largest.reshape(*x.shape[:2], *behind), back)


def _choices(chosen: Chosen, count: int) -> Iterator[sparse.csr_array]:
    """Choices of some draws as matrices, (windows, positions), of ones or of the derivatives there."""
    windows = chosen.place.shape[1]
    for place, slope in zip(chosen.place[:_CHOICES], chosen.slope[:_CHOICES], strict=True):
        entries = slope if chosen.through else np.ones(windows)
        yield sparse.csr_array((entries, (np.arange(windows), place)), shape=(windows, count))
