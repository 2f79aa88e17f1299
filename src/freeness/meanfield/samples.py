"""Inputs as theory sees them: their second moments, each by itself and in pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.network import Dense, Embedding, Network, Pairs, Stream, described
from freeness.numerics import HUGE


class SampleMoments:
    """Inputs of a network, checked.

    Inputs are (n, N₀), (n, channels, *positions), or tokens (n, positions) before an embedding; ``across``: all pairs of
    positions are wanted, and not only where an operation asks for them.

    Raises:
        InputError: another shape, numbers that are not finite, or an input that is 0.

    Example:
        >>> from freeness.network import mlp
        >>> SampleMoments(np.eye(2), mlp(2, 2)).stream().second.tolist()
        [0.5, 0.5]
    """

    def __init__(self, inputs: ArrayLike, network: Network, across: bool = False) -> None:
        self.points = _checked(inputs, network)
        self.across = self.points.ndim > 2 and (across or any(operation.across for operation in network.walk()))

    @property
    def spatial(self) -> tuple[int, ...]:
        """The shape of the positions."""
        return self.points.shape[2:]

    @property
    def positions(self) -> int:
        """How many there are."""
        return int(np.prod(self.spatial, dtype=int))

    @property
    def _flat(self) -> np.ndarray:
        return self.points.reshape(*self.points.shape[:2], -1)

    def stream(self, *, standard: bool = False) -> Stream:
        """Each by itself; ``standard``: for kernels in the standard parametrisation."""
        second = _own_products(self._flat, self.spatial, self.across)
        ones = np.ones((len(self.points), *self.spatial))
        features = self.points.shape[1]
        return Stream(
            second,
            ones,
            lambda: self.points.mean(axis=1),
            False,
            across=self.across,
            features=features,
            standard=standard,
        )

    def pairs(self, rows: slice) -> Pairs:
        """Those of some rows with all from there on."""
        return _products(self._flat, rows, self.spatial, self.across)


def _products(flat: np.ndarray, rows: slice, spatial: tuple[int, ...], across: bool) -> Pairs:
    """x(a)·x(b)/channels at the same position or between all."""
    channels, others = flat.shape[1], flat[rows.start :]
    if across:
        value = np.einsum("acp,bcq->abpq", flat[rows], others, optimize=True)
        value = value.reshape(*value.shape[:2], *spatial, *spatial)
    elif spatial:
        value = np.einsum("acp,bcp->abp", flat[rows], others, optimize=True)
        value = value.reshape(*value.shape[:2], *spatial)
    else:
        value = flat[rows, :, 0] @ others[:, :, 0].T
    return Pairs(value / channels, np.zeros(value.shape), rows)


def _own_products(flat: np.ndarray, spatial: tuple[int, ...], across: bool) -> np.ndarray:
    if across:
        return (flat.transpose(0, 2, 1) @ flat / flat.shape[1]).reshape(len(flat), *spatial, *spatial)
    return (flat**2).mean(axis=1).reshape(len(flat), *spatial)


def _checked(inputs: ArrayLike, network: Network) -> np.ndarray:
    """(n, N₀) or (n, channels, *positions)."""
    points = np.asarray(inputs)
    first = next(iter(network.weights), None)
    if first is None:
        raise InputError("expected a network with a weight layer, got none; it has no kernel.")
    if isinstance(first, Embedding):
        points = first.one_hot(points)
    if points.ndim < 2 or points.size == 0 or points.dtype.kind not in "fiu":
        raise InputError(
            f"expected inputs of shape (n, N₀) or (n, channels, *positions), got {points.dtype} of shape {points.shape}; flatten "
            "or reshape them."
        )
    points = points.astype(float)
    if not (np.abs(points) < HUGE).all():
        raise InputError("expected finite inputs below 1e100, got NaN, infinity or larger ones; clean them.")
    if isinstance(first, Dense) != (points.ndim == 2):
        shape = "(n, N₀)" if isinstance(first, Dense) else "(n, channels, *positions)"
        raise InputError(
            f"expected inputs of shape {shape} before {described(first)}, got {points.shape}; reshape them."
        )
    if not (np.abs(points).reshape(len(points), -1).max(axis=1) > 0).all():
        raise InputError("expected inputs that are not 0, got one that is; its signal has no direction.")
    return points
