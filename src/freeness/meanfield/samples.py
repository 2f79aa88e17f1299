"""Inputs as theory sees them: their second moments, each by itself and in pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.network import Data, Dense, Network, Pairs, Stream, check_tokens, described
from freeness.numerics import HUGE


class SampleMoments:
    """Inputs of a network, checked.

    Inputs are (n, N₀), (n, channels, *positions), or tokens (n, positions) before an embedding; None where a network reads data
    beside the input alone. ``across``: all pairs of positions are wanted, and not only where an operation asks for them.

    Raises:
        InputError: another shape, numbers that are not finite, or an input that is 0.

    Example:
        >>> from freeness.network import mlp
        >>> SampleMoments(np.eye(2), mlp(2, 2)).stream().second.tolist()
        [0.5, 0.5]
    """

    def __init__(self, inputs: ArrayLike | None, network: Network, across: bool = False) -> None:
        self.data = _checked(inputs, network)
        for one in network.data:
            if len(one.values) != self.count:
                raise InputError(
                    f"expected data of {self.count} samples, got {len(one.values)}; take those of this very batch."
                )
        axes = max((len(one.positions) for one in (self.data, *network.data)), default=0)
        self.across = axes > 0 and (across or any(operation.across for operation in network.walk()))
        self._beside = network.data

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self.data.values)

    @property
    def points(self) -> np.ndarray:
        """All inputs as (n, channels, *positions), tokens as vectors."""
        return self.data.entries

    @property
    def spatial(self) -> tuple[int, ...]:
        """The shape of the positions."""
        return self.data.positions

    @property
    def positions(self) -> int:
        """How many there are, of the input or of what stands beside it."""
        return max(int(np.prod(one.positions, dtype=int)) for one in (self.data, *self._beside))

    def stream(self, *, standard: bool = False) -> Stream:
        """Each by itself; ``standard``: for kernels in the standard parametrisation."""
        across = self.across and bool(self.spatial)
        return Stream(
            self.data.own_products(across=across),
            np.ones((self.count, *self.spatial)),
            self._means,
            False,
            across=self.across,
            features=self.data.channels,
            standard=standard,
        )

    def _means(self) -> np.ndarray:
        if self.data.tokens:
            return (1.0 - np.isin(self.data.values, self.data.silent)) / self.data.tokens
        return self.data.values.mean(axis=1)

    def pairs(self, rows: slice) -> Pairs:
        """Those of some rows with all from there on."""
        value = self.data.products(rows, across=self.across and bool(self.spatial))
        return Pairs(value, np.zeros(value.shape), rows)


def _checked(inputs: ArrayLike | None, network: Network) -> Data:
    """(n, N₀), (n, channels, *positions) or tokens; a 1 for each sample where all that is read is data beside the input."""
    if inputs is None and network.data:
        return Data(np.ones((len(network.data[0].values), 1)))
    points = np.asarray(inputs)
    first = next(iter(network.weights), None)
    if first is None:
        raise InputError("expected a network with a weight layer, got none; it has no kernel.")
    table = network.table
    if table is not None:
        check_tokens(points, table.count)
        return _heard(Data(points, table.count, table.silent))
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
    return _heard(Data(points))


def _heard(data: Data) -> Data:
    """Inputs that are not 0."""
    own = data.own_products(across=False)
    if not (own.reshape(len(own), -1).max(axis=1) > 0).all():
        raise InputError("expected inputs that are not 0, got one that is; its signal has no direction.")
    return data
