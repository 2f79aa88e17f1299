"""What normalisation makes of signals whose lengths depart from those of wide layers, in a network of its widths.

Of n channels the Gram matrix Q̂ between positions departs from its mean Q as a Wishart matrix does, but for a part G that is
known, as behind a norm: Cov(Q̂_ab, Q̂_cd) = (1/n)(Q_ac Q_bd + Q_ad Q_bc - G_ac G_bd - G_ad G_bc). What the last weights read
departs as well, by a relative variance v of its mean squares. That adds v·B_ab B_cd of what they write, B = Q - G. To first order

    E Q̂_ik/(s_i s_k) = [Q_ik·(1 + 3/8·(V_ii + V_kk) + V_ik/4) - (F_ik + F_ki)/2]/(σ_i σ_k),

σ² the mean of s², V_ik the relative covariance of s_i² and s_k², F_ik the covariance of s_i²/σ_i² and Q̂_ik. Of Gaussian vectors
this is Hotelling's ρ(1 - (1 - ρ²)/2n). What comes back grows by 1 + 3/8·(V_ii + V_kk) + V_ik/4. It loses its parts along the
signal and, in layer norms, along the mean. Of what weights return 1/n is along each. What another norm has let through has lost
them already, but for 1 - c² along a signal whose cosine with that norm's is c.

Left out: that Q̂ departs by what earlier norms have let through, and that Γ and lengths depend on one another.

Source: Hotelling (1953) for one correlation; the delta method; derived for this project; tested by drawn networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from freeness.network import (
    TINY,
    Length,
    Node,
    Operation,
    Pairs,
    Step,
    Stream,
    alone,
    beyond_behind,
    known_behind,
    own_sizes,
    sides,
    spread,
    widened,
)

_ROUNDING = 1e-12
Ends = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # of arrays by sample and position


def ends_lengths(operation: Operation) -> bool:
    """Whether an operation gives the signal at every position one length."""
    return operation.fixed is not None and operation.fixed.everywhere


def length_behind(node: Node, before: Sequence[tuple[Stream, Length]], found: Stream) -> Length:
    """Of what an operation makes, by its rules.

    Args:
        node: the operation.
        before: the signals that it reads.
        found: behind it.
    """
    operation = node.operation
    streams, lengths = zip(*before, strict=True)
    if ends_lengths(operation):
        return Length.given(found)
    if operation.sums is not None:
        return _summed(operation.sums, streams, lengths, found)
    known = known_behind(operation, lengths[0].known, found.second.shape)
    beyond = np.zeros(found.variance.shape) + beyond_behind(operation, streams, lengths, found)
    return Length(np.zeros(found.second.shape) if known is None else known, beyond)


class Norm(NamedTuple):
    """A norm of a network of its widths: record, signal in front of it with its length, and signal behind it in wide layers.

    ``grown``: by how much more squared distances between positions are in the mean (:mod:`freeness.meanfield.gram_noises`).
    """

    layer: Operation
    stream: Stream
    length: Length
    found: Stream
    grown: float = 0.0

    def common(self, counted: np.ndarray | None = None) -> float:
        """Relative covariance of the squared lengths at two different positions, in the mean.

        Args:
            counted: 1 at every position of a sample that counts; None where all do.
        """
        count = self.found.variance[0].size
        if not self.stream.across or count < 2:
            return 0.0
        ends: Ends = lambda array: alone(array, self.stream.groups)  # noqa: E731
        one, other = ends(own_sizes(self.layer, self.stream)[1])
        found = self._shared(self.found.second, self.length.known / (one * other), ends).reshape(-1, count, count)
        some = np.ones((len(found), count)) if counted is None else counted
        pairs = some[:, :, None] * some[:, None] * (1 - np.eye(count))
        return float((found * pairs).sum() / max(pairs.sum(), 1.0))

    def behind(self) -> Stream:
        """The signal behind it."""
        groups = self.stream.groups
        return self.found._replace(
            second=self._cosines(self.found.second, self.length.known, lambda array: alone(array, groups))
        )

    def step(self, wide: Step) -> Step:
        """What it does to pairs.

        Args:
            wide: the step of wide layers.
        """

        def step(pairs: Pairs) -> Pairs:
            found = wide(pairs)
            value = self._cosines(found.value, _known(pairs), self._sides(pairs))
            return found._replace(value=value, known=value)

        return step

    def returned(self, gradient: np.ndarray, free: np.ndarray, pairs: Pairs | None = None) -> np.ndarray:
        """Γ in front of it over that of wide layers, of each sample or of all pairs.

        Args:
            gradient: Γ behind, of each sample.
            free: what of it is free to lie along the mean, and along the signal; (2, n, *positions).
            pairs: in front of it.
        """
        if not self.stream.features:
            return np.ones(1)
        fixed = self.layer.fixed
        along, own = free[1] + (free[0] if fixed is not None and fixed.mean else 0.0), _own(self.stream, gradient)
        reached = own > _ROUNDING * own.max()  # nothing comes back to what no query sees
        kept = np.sqrt(np.maximum(1 - reached * along / np.where(reached, own, 1.0) / self.stream.features, 0.0))
        if pairs is None:
            ends: Ends = lambda array: alone(array, self.stream.groups)  # noqa: E731
            whole, known = self.found.second, self.length.known
        else:
            ends, known = self._sides(pairs), _known(pairs)
            one, other = ends(own_sizes(self.layer, self.stream)[1])
            whole = pairs.value / (one * other)
        left, right = ends(kept)
        return self._moved(whole, known, ends)[0] * left * right

    def _sides(self, pairs: Pairs) -> Ends:
        return lambda array: sides(array, pairs.rows, self.stream.groups)

    def _cosines(self, whole: np.ndarray, known: np.ndarray, ends: Ends) -> np.ndarray:
        if not self.stream.features:
            return whole
        grown, mixed = self._moved(whole, known, ends)
        found: np.ndarray = whole * grown - mixed
        one, other = ends(self.found.variance)
        return found + self.grown * (found - (one + other) / 2)

    def _moved(self, whole: np.ndarray, known: np.ndarray, ends: Ends) -> tuple[np.ndarray, np.ndarray]:
        """1 + 3/8·(V_ii + V_kk) + V_ik/4, and (F_ik + F_ki)/2 over σ_i σ_k."""
        size = own_sizes(self.layer, self.stream)[1]
        one, other = ends(size)
        known, noise = known / (one * other), 2 / (self.stream.features or 1)
        rest = whole - known
        own = _own(self.stream, self.length.known) / size**2
        (a, b), (g, h), (v, w) = (ends(each) for each in (self.found.variance, own, self.length.beyond))
        left, right = (noise * (x**2 - y**2) + z * (x - y) ** 2 for x, y, z in ((a, g, v), (b, h, w)))
        both = self._shared(whole, known, ends)
        mixed, turned = (noise * (x * whole - y * known) + z * (x - y) * rest for x, y, z in ((a, g, v), (b, h, w)))
        return 1 + 3 / 8 * (left + right) + both / 4, (mixed + turned) / 2

    def _shared(self, whole: np.ndarray, known: np.ndarray, ends: Ends) -> np.ndarray:
        """V_ik, of cosines in front of the norm."""
        v, w = ends(self.length.beyond)
        return 2 / (self.stream.features or np.inf) * (whole**2 - known**2) + (v + w) / 2 * (whole - known) ** 2


def followed(operation: Operation, step: Step) -> Step:
    """A step for pairs that says which part of them is known, too, in networks of their widths."""

    def known(*pairs: Pairs) -> Pairs:
        found = step(*pairs)
        if operation.sums is None:
            part = known_behind(operation, pairs[0].known, found.value.shape)
            return found if part is None else found._replace(known=part)
        axes, ways = found.value.ndim - 2, zip(np.square(operation.sums), pairs, strict=True)
        added = sum(scale * widened(_known(one), 2, axes) for scale, one in ways)
        return found._replace(known=np.broadcast_to(added, found.value.shape))

    return known


def freed(
    node: Node, number: int, streams: Sequence[Stream], found: Stream, part: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """What of Γ is free to lie along mean and signal in front of an operation: all that weights return, nothing behind a norm.

    Args:
        node: the operation.
        number: of the signal that is asked for.
        streams: that it reads.
        found: behind it.
        part: Γ in front of it, of that signal.
        free: the same behind, (2, n, *positions).
    """
    stream, operation = streams[number], node.operation
    own = _own(stream, part)
    if ends_lengths(operation):
        return np.zeros((2, *own.shape))
    if operation.sums is not None and free.shape[1:] == own.shape:
        scale = operation.sums[number] ** 2
        cosine = scale * stream.variance / np.maximum(found.variance, TINY)
        return np.stack([scale * free[0], scale * cosine * free[1] + (1 - cosine) * own])
    return np.stack([own, own])


def _summed(scales: tuple[float, ...], streams: Sequence[Stream], lengths: Sequence[Length], found: Stream) -> Length:
    """Known parts add up, and so do relative variances by the squares of their shares."""
    axes, known, beyond = found.variance.ndim - 1, np.zeros(found.second.shape), np.zeros(found.variance.shape)
    for scale, one, length in zip(np.square(scales), spread(tuple(streams)), lengths, strict=True):
        given = widened(length.known, 1, axes * found.groups)
        known = known + scale * given
        beyond = beyond + widened(length.beyond, 1, axes) * (scale * (one.variance - _own(one, given))) ** 2
    rest = found.variance - _own(found, known)
    none = rest <= _ROUNDING * found.variance
    return Length(known, np.where(none, 0.0, beyond / np.where(none, 1.0, rest) ** 2))


def _known(pairs: Pairs) -> np.ndarray:
    return np.zeros(pairs.value.shape) if pairs.known is None else pairs.known


def _own(stream: Stream, second: np.ndarray) -> np.ndarray:
    """The entries of equal positions."""
    return stream._replace(second=second).variance
