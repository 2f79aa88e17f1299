"""Weights between channels that are drawn and followed one by one over a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float

from freeness.meanfield.channel_noises import by_channel, spread_of
from freeness.network import Weights, taps_of, variance_gain

_MATCHED = 512  # entries of a field whose second moments are met exactly
_LIFTED = 1e-7  # of the mean entry on a Gram matrix's diagonal: the rounding of single precision
_TINY = np.finfo(np.float32).tiny ** 2  # of one that vanishes


def field_of(
    gram: Float[np.ndarray, "entries entries"], channels: int, rng: np.random.Generator
) -> Float[np.ndarray, "channels entries"]:
    """Channels of a Gaussian field whose products add up to ``gram``: exactly, where they are as many as entries.

    ``gram``: its covariance, times channels.

    Example:
        >>> gram = np.array([[2.0, 1.0], [1.0, 2.0]])
        >>> found = field_of(gram, 5, np.random.default_rng(0))
        >>> (found.T @ found).round(5).tolist()
        [[2.0, 1.0], [1.0, 2.0]]
    """
    return mixed(_root(gram.astype(float)), channels, rng)


def mixed(
    rows: Float[np.ndarray, "rows entries"], channels: int, rng: np.random.Generator
) -> Float[np.ndarray, "channels entries"]:
    """Channels of a Gaussian field whose products add up to those of ``rows``: exactly, where they are as many.

    The products of ``rows`` are its covariance, times channels.

    Example:
        >>> rows = np.array([[2.0, 1.0, 0.0]])
        >>> found = mixed(rows, 5, np.random.default_rng(0))
        >>> (found.T @ found).round(5).tolist()
        [[4.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    noise = rng.standard_normal((channels, len(rows)), dtype=np.float32)
    if channels >= len(rows):  # noise·R⁻¹ with RᵀR = noiseᵀ·noise has orthonormal columns, and the law of rotations
        exact = noise.astype(float)
        rows = scipy.linalg.solve_triangular(np.linalg.cholesky(exact.T @ exact), rows, lower=True, trans=1)
    else:
        rows = rows / channels**0.5
    return np.asarray(noise @ rows.astype(np.float32))


def _root(gram: np.ndarray) -> np.ndarray:
    """R with RᵀR about the Gram matrix: by Cholesky, ten times as fast, unless rounding left it too far from positive."""
    with suppress(np.linalg.LinAlgError):
        lifted = max(_LIFTED * float(np.trace(gram)) / len(gram), _TINY)
        return np.linalg.cholesky(gram + lifted * np.eye(len(gram))).T
    values, vectors = np.linalg.eigh(gram)
    return (vectors * np.sqrt(np.maximum(values, 0.0))).T


class TrainedChannels(NamedTuple):
    """Σ (∂ℓ/∂w)² over the entries of ``weights``, and over those of ``biases``.

    ``spreads``: relative variances of the first over channels in front, and behind, beyond those of their mean squares.
    """

    weights: float
    biases: float
    spreads: tuple[float, float]


@dataclass(eq=False)
class ChannelWeights:
    """Weights in one run, behind positions of the shape ``front``.

    Where they sum over all channels, those for what comes back are drawn anew: forward and backward signals are independent in
    wide layers. In groups of channels they are the same.
    """

    layer: Weights
    front: tuple[int, ...]
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.taps = taps_of(self.layer, self.front)
        self.count = int(np.prod(self.front))
        self.gain = variance_gain(self.layer.weights, *self.layer.sizes) / len(self.taps.source)  # of each tap
        self.groups = self.layer.groups
        self.kept: np.ndarray | None = None

    def ahead(self, x: Float[np.ndarray, "front samples *positions"], channels: int) -> np.ndarray:
        """So many channels behind."""
        flat, samples = x.reshape(*x.shape[:2], -1), x.shape[1]
        behind = self.taps.source.shape[1]
        if self._matched(samples, channels):
            gram = np.zeros((samples, behind, samples, behind))
            known = np.pad(_gram(flat), ((0, 0), (0, 1), (0, 0), (0, 1)))
            for source in self.taps.source:
                gram += known[:, source][:, :, :, source]
            scale = self.gain * channels / len(x)
            found = field_of(scale * gram.reshape(samples * behind, -1), channels, self.rng)
        else:
            copies = self.groups * channels // self.layer.sizes[1] if self.groups > 1 else 1
            inner = len(x) // copies
            self.kept = self._drawn((copies, channels // copies, inner), inner)
            found = np.zeros((copies, channels // copies, samples * behind), dtype=np.float32)
            for one, seen in zip(self.kept, self._windows(flat), strict=True):
                found += one @ seen.reshape(copies, inner, -1)
        found = found.reshape(channels, samples, *self.taps.shape)
        if self.layer.sigma_b:
            shape = (channels, *(1 for _ in found.shape[1:]))
            found = found + self.layer.sigma_b * self.rng.standard_normal(shape, dtype=np.float32)
        return found

    def back(self, gradient: Float[np.ndarray, "behind samples *positions"], channels: int) -> np.ndarray:
        """So many channels in front."""
        samples = gradient.shape[1]
        flat, shape = gradient.reshape(*gradient.shape[:2], -1), (channels, samples, *self.front)
        if self._matched(samples, channels):
            known = _gram(flat)
            gram = np.zeros((samples, self.count + 1, samples, self.count + 1))
            for source in self.taps.source:
                gram[np.ix_(range(samples), source, range(samples), source)] += known
            gram = gram[:, :-1, :, :-1].reshape(samples * self.count, -1)
            return field_of(self.gain * gram, channels, self.rng).reshape(shape)
        weights = self.kept if self.groups > 1 else self._drawn((1, len(gradient), channels), channels)
        assert weights is not None
        grouped = flat.reshape(weights.shape[1], weights.shape[2], -1)
        parts = ((one.swapaxes(1, 2) @ grouped).reshape(channels, samples, -1) for one in weights)
        return self._scattered(parts, (channels, samples)).reshape(shape)

    def reached(self, gradient: Float[np.ndarray, "behind samples *positions"]) -> float:
        """Σ g² in front, in the mean over weights."""
        square = np.square(gradient, dtype=float).reshape(*gradient.shape[:2], -1).sum(axis=(0, 1))
        return self.gain * float(sum(square[source >= 0].sum() for source in self.taps.source))

    def trained(self, x: np.ndarray, gradient: np.ndarray) -> TrainedChannels:
        """Of the loss gradient of the weights, and of a bias that is trained."""
        every = taps_of(self.layer, self.front, True).source
        flat, slopes = x.reshape(*x.shape[:2], -1), gradient.reshape(len(gradient), -1)
        products = slopes.T @ slopes if self.groups == 1 and slopes.shape[1] < len(x) else None
        apart = 1 if self.groups == 1 else self.groups * len(gradient) // self.layer.sizes[1]
        ahead, back = np.zeros(len(x)), np.zeros(len(gradient))
        for seen in self._windows(flat, every):
            inputs = seen.reshape(len(x), -1)
            if products is None:
                each = slopes.reshape(apart, -1, slopes.shape[1]), inputs.reshape(apart, -1, slopes.shape[1])
                squares = np.square(each[0] @ each[1].swapaxes(1, 2), dtype=float)
                ahead, back = ahead + squares.sum(axis=1).ravel(), back + squares.sum(axis=2).ravel()
            else:
                ahead = ahead + ((inputs @ products) * inputs).sum(axis=1, dtype=float)
                back = back + ((slopes @ (inputs.T @ inputs)) * slopes).sum(axis=1, dtype=float)
        shared = float(np.square(slopes.sum(axis=1), dtype=float).sum())
        total = self.layer.entries * apart / (len(every) * len(x)) * float(ahead.sum())
        spreads = spread_of(ahead) - spread_of(by_channel(x)), spread_of(back) - spread_of(by_channel(gradient))
        return TrainedChannels(total, float(self.layer.bias) * shared, spreads)

    def _matched(self, samples: int, channels: int) -> bool:
        entries = samples * max(self.count, self.taps.source.shape[1])
        return self.groups == 1 and entries <= min(_MATCHED, channels)

    def _drawn(self, shape: tuple[int, ...], summed: int) -> np.ndarray:
        """(taps, groups, channels behind, channels in front)."""
        scale = np.float32((self.gain / summed) ** 0.5)
        return scale * self.rng.standard_normal((len(self.taps.source), *shape), dtype=np.float32)

    def _windows(self, flat: np.ndarray, sources: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """What the positions behind read at every tap, on the last axis."""
        every = self.taps.source if sources is None else sources
        if len(every) == 1 and np.array_equal(every[0], np.arange(self.count)):
            yield flat
            return
        padded = _with_zero(flat)
        for source in every:
            yield np.take(padded, source, axis=2)

    def _scattered(self, parts: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """What comes back from every tap, at the positions that it read, each of them once."""
        found = np.zeros((*shape, self.count), dtype=np.float32)
        for source, part in zip(self.taps.source, parts, strict=True):
            reader = np.full(self.count + 1, -1)  # sums by reading take a seventh of the time of sums by writing
            reader[source] = np.arange(len(source))
            found += np.take(_with_zero(part), reader[:-1], axis=2)
        return found


def _with_zero(flat: np.ndarray) -> np.ndarray:
    """With a 0 behind the positions, which -1 reads."""
    padded = np.empty((*flat.shape[:2], flat.shape[2] + 1), dtype=flat.dtype)
    padded[:, :, :-1], padded[:, :, -1] = flat, 0
    return padded


def _gram(flat: np.ndarray) -> np.ndarray:
    """Products over channels, (n, P, n, P)."""
    square = flat.reshape(len(flat), -1).astype(float)
    return (square.T @ square).reshape(*flat.shape[1:], *flat.shape[1:])
