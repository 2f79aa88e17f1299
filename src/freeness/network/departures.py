"""What an operation makes of relative departures, in one network of its widths, and what it adds: the rules that files register.

A mean square over n neurons departs from that of wide layers by a variance that falls as 1/n. :func:`departing` says what an
operation passes on of the departures in front, and the variance of its own noise, forward and back. :func:`turned` says by what
mean squares in front multiply what comes back, :func:`gram_noise` what differs between positions. Without a rule an
operation passes on what it reads by shares, and adds nothing. :mod:`freeness.meanfield.scatters` walks by them.

Source: expansions in 1/n of Hanin, Nica (2020) and of Roberts, Yaida, Hanin (2022), of which this follows the size of a batch's
kernel in place of all its entries; derived for this project; tested by drawn networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.network.ensembles import Haar, Measured
from freeness.network.moments import Pairs, Stream
from freeness.network.operation import Operation, Weights

GAUSSIAN = 2.0  # Var(h²)/(E h²)²
_ROUNDING = 1e-12  # of squares, relative to the largest
TINY = np.finfo(float).tiny
Square = Float[np.ndarray, "_ _"]


@dataclass(frozen=True, eq=False)
class Around:
    """What theory of wide layers knows around a node, of a batch.

    In front, of every signal that it reads: ``streams``, ``pairs`` of samples, ``values`` Q and ``gammas`` Γ between all entries
    of the batch, ``excess`` Var(x²)/(E x²)² of one entry. Behind: ``stream``, ``value``, ``gamma``, and ``gradient``, Γ of all
    pairs of samples. ``centred``: a norm in front takes the mean over neurons. ``last``: nothing stands behind.
    """

    streams: tuple[Stream, ...]
    pairs: tuple[Pairs, ...]
    values: tuple[Square, ...]
    gammas: tuple[Square, ...]
    excess: tuple[float, ...]
    stream: Stream
    value: Square
    gamma: Square
    gradient: np.ndarray
    centred: bool
    last: bool

    def both(self, added: Callable[[Square | None], float]) -> tuple[float, float]:
        """Of mean squares, and of tr ΓQ: a function of Γ, which is 1 where it is None."""
        return added(None), added(self.gamma)

    def shares(self, scales: tuple[float, ...] | None = None) -> Float[np.ndarray, " signals"]:
        """What each signal has of the sum of squares behind, of sums by their ``scales``; else by its channels."""
        sizes = [float(one.variance.sum()) * (1 if scales else one.features or 1) for one in self.streams]
        found = np.square(scales or (1.0,) * len(sizes)) * sizes
        return found / max(float(found.sum()), TINY)

    def averaged(self, number: int) -> float:
        """Averages over positions turn mean squares of one signal into those of sums."""
        return (participation(self.value) / participation(self.values[number])) ** 0.5


class Departing(NamedTuple):
    """What one node does to relative departures.

    ``gains``: of the mean square behind, for that of each signal that it reads. ``added``: the relative variances that it adds to
    mean squares, and to tr ΓQ. ``returned``: those that it adds to what comes back to each signal. ``excess``: Var(x²)/(E x²)²
    of one entry behind. ``weighed``: the gains of tr ΓQ, where they are others. ``own``: the relative variance of the squared
    gradient of its own weights beyond.
    """

    gains: tuple[float, ...]
    added: tuple[float, float]
    returned: tuple[float, ...]
    excess: float = GAUSSIAN
    weighed: tuple[float, ...] | None = None
    own: float = 0.0


@singledispatch
def departing(operation: Operation, around: Around) -> Departing:
    """What an operation does to the departures of a batch's mean squares. Register a function here for a new operation.

    Without a rule they pass by shares, and none behind what fixes the size.

    Args:
        operation: the record, whose type chooses the rule.
        around: the node.
    """
    count = len(around.streams)
    gains = tuple(around.shares(operation.sums).tolist()) if count > 1 else (float(operation.fixed is None),) * count
    own = 0.0 if operation.fixed is None else of_scales(around)
    return Departing(gains, (0.0, 0.0), (0.0,) * count, around.excess[0] if count else GAUSSIAN, None, own)


def of_scales(around: Around) -> float:
    """Of squared gradients of a norm's scales: t = Σ_p g_p x_p has E t⁴/(E t²)² - 1 = 2 + 6·tr (ΓQ)²/(tr ΓQ)² (Isserlis)."""
    return (2 + 6 * participation(around.value, around.gamma)) / (around.stream.features or np.inf)


@singledispatch
def turned(operation: Operation, size: Callable[[int], float], count: int) -> tuple[tuple[float, ...], ...]:
    """By which powers of the mean squares in front what comes back to each signal grows. Register a new operation here.

    Args:
        operation: the record, whose type chooses the rule.
        size: mean square of a signal that it reads, by its number.
        count: of these signals.
    """
    return ((0.0 if operation.fixed is None else -1.0,) * count,) * count


@singledispatch
def gram_noise(operation: Operation, streams: tuple[Stream, ...], behind: Stream) -> float:
    """1/n of the Wishart matrix that an operation makes of what differs between positions. Register a new operation here.

    Signals that meet count by their shares; two independent parts add 2·s·s'/n.

    Args:
        operation: the record, whose type chooses the rule.
        streams: in front of it.
        behind: behind it.
    """
    count, channels = len(streams), behind.features
    if count < 2 or not channels:
        return 1 / channels if channels and not count else 0.0
    scales = operation.sums or (1.0,) * count
    parts = np.array([scale**2 * apart(one) for scale, one in zip(scales, streams, strict=True)])
    shares = np.maximum(parts, 0.0) / max(float(parts.sum()), TINY)
    return sum(2 * one * other for one, other in combinations(shares.tolist(), 2)) / channels


def spaced(square: Float[np.ndarray, "*samples _ _"], by: float) -> Float[np.ndarray, "*samples _ _"]:
    """Gram matrices of as long signals, whose squared distances are ``by`` times as large."""
    own = np.diagonal(square, axis1=-2, axis2=-1)
    middle = (own[..., :, None] + own[..., None, :]) / 2
    found: np.ndarray = middle + by * (square - middle)
    return found


def apart(stream: Stream) -> float:
    """Mean square of what differs between positions."""
    if not stream.across:
        return 0.0
    count = stream.variance[0].size
    square = stream.second.reshape(len(stream.second), count, count)
    return float((np.trace(square, axis1=1, axis2=2) - square.sum(axis=(1, 2)) / count).mean() / count)


@singledispatch
def known_by_weights(
    operation: Operation, grams: tuple[np.ndarray, ...], parts: tuple[np.ndarray, ...]
) -> Mapping[int, Float[np.ndarray, "*pairs"]]:
    """What gradients of the weights that write a signal know beyond its Γ, by the signal's number. Register a new operation here.

    Args:
        operation: the record, whose type chooses the rule.
        grams: second moments of the signals that it reads, of samples or of all pairs.
        parts: Γ that comes back to each, of the same shapes.
    """
    return {}


@departing.register
def _(operation: Weights, around: Around) -> Departing:
    """Neurons are independent Gaussian fields over the entries of a batch: (2/n)·tr (ΓQ)²/(tr ΓQ)², forward as back."""
    known = 1 / operation.sizes[1] if around.last else 0.0
    back = participation(around.values[0], around.gammas[0]) - known
    return Departing(
        (1.0,),
        around.both(lambda gamma: GAUSSIAN * participation(around.value, gamma) * lost(operation)),
        (GAUSSIAN * back * lost(operation, back=True),),
    )


@gram_noise.register
def _(operation: Weights, streams: tuple[Stream, ...], behind: Stream) -> float:
    """A Wishart matrix of as many degrees as channels."""
    return lost(operation)


def lost(operation: Weights, *, back: bool = False) -> float:
    """The relative variance of ‖Wx‖² over draws of the singular vectors, or of ‖Wᵀg‖², halved, of one position.

    1/N' for Gaussian W that writes N' channels. Other singular values s of a matrix of N columns have (E s⁴/(E s²)² - 1)·N'/N
    times that, E over N values; of rotations 1 - N'/N, and none where they expand.

    Args:
        operation: W.
        back: of Wᵀ.
    """
    into, out = operation.sizes
    some, others = (out, operation.entries) if back else (operation.entries, out)
    free = 1.0
    if isinstance(operation.weights, Measured):
        squares = operation.weights.singular_values**2
        free = (some * float((squares**2).sum()) / max(float(squares.sum()) ** 2, TINY) - 1) * others / some
    elif isinstance(operation.weights, Haar):
        free = 1 - others / some
    return max(free, 0.0) / (into if back else out)


def participation(value: Square, gamma: Square | None = None) -> float:
    """tr (ΓQ)²/(tr ΓQ)², Γ = 1 where it is not given: one over how many entries fluctuate by themselves.

    Example:
        >>> participation(np.eye(4)), participation(np.ones((4, 4)))
        (0.25, 1.0)
    """
    moved = value if gamma is None or not gamma.any() else gamma @ value
    return float((moved * moved.T).sum() / max(float(np.trace(moved)) ** 2, TINY))


def row_shares(value: Square, gamma: Square | None) -> Float[np.ndarray, " entries"]:
    """What each entry has of tr ΓQ."""
    found = np.diagonal(value) if gamma is None or not gamma.any() else (gamma * value).sum(axis=1)
    return found / max(float(found.sum()), TINY)


def cosines(value: Square) -> Square:
    """Between all entries; of such as are 0 but for rounding, 0."""
    square = np.diagonal(value)
    size = np.sqrt(np.maximum(square, max(_ROUNDING * float(square.max()), TINY)))
    return value / np.multiply.outer(size, size)
