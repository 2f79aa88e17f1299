"""What an operation does to second moments in the limit of wide layers: the rules that each operation's file registers.

Forward: :func:`forward` where an operation reads one signal, :func:`joined` where it reads several. Both take the statistics of
each sample by itself (`Stream`) and return those behind the operation, together with what it does to pairs of samples (`Pairs`):
their second moments Σ = E x_i(a) x_i(b) over neurons, and the tangent kernel Θ in the parametrisation of Jacot et al. (NTK) or in
the standard one, in which the entries of W themselves are trained and a layer of fan-in N adds N·Σ.

Backward: :func:`backward` takes Γ = Σ_i g_i(p) g_i(p') over neurons, g the gradient behind the operation, back in front of it,
:func:`backward_pairs` that of all pairs of samples. :func:`trained` says how large the gradients of an operation's own parameters
are.

Sources: Lee et al. (2018) and Jacot, Gabriel, Hongler (2018) for chains; Yang, Schoenholz (2017) for sums (residual branches) and
gradients; Garriga-Alonso et al. (2019) for convolutions; Yang et al. (2019) for batch normalisation; Schoenholz et al. (2017) for
dropout.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction
from freeness.network.operation import INPUT, described


class Pairs(NamedTuple):
    """Between the samples ``rows`` = a:b and a: of n, as the rest follows by symmetry: ``value`` Σ and ``theta`` Θ.

    Shape (b - a, n - a, *positions[, *positions]). ``latent``: what was in front of an activation, behind it. ``known``: Σ of the
    part whose lengths do not depart in a network of its widths, where that is followed.
    """

    value: Float[np.ndarray, "*pairs"]
    theta: Float[np.ndarray, "*pairs"]
    rows: slice
    latent: Pairs | None = None
    known: np.ndarray | None = None


Step = Callable[..., Pairs]  # of one Pairs for each signal that an operation reads


def unchanged(pairs: Pairs) -> Pairs:
    """The step of an operation that leaves pairs as they are."""
    return pairs


class DrawnSource(NamedTuple):
    """Outputs ``start``:``stop`` (all: None) of the weights ``name``, or of the input, that a signal is made of, one by one."""

    name: str
    start: int = 0
    stop: int | None = None

    def meets(self, other: DrawnSource) -> bool:
        """Whether some outputs are the same."""
        ends = [one.stop for one in (self, other) if one.stop is not None]
        return self.name == other.name and (not ends or max(self.start, other.start) < min(ends))

    def part(self, start: int, stop: int) -> DrawnSource:
        """The outputs ``start``:``stop`` of these."""
        return DrawnSource(self.name, self.start + start, self.start + stop)


class Latent(NamedTuple):
    """Gaussian entries of these ``mean`` and ``second`` moments, of which a signal is a ``function``."""

    function: ActivationFunction
    mean: np.ndarray
    second: np.ndarray


class Chosen(NamedTuple):
    """Of some draws of a field the ``place`` of every window's largest entry, (draws, n, windows), and φ' there, ``slope``.

    ``value``: φ there, ``field``: what φ is of. ``through``: what comes back is asked for in front of φ, whose derivative
    depends on the choice.
    """

    place: np.ndarray
    slope: np.ndarray
    value: np.ndarray
    field: np.ndarray
    through: bool = False


class Departed(NamedTuple):
    """E Q̂_ab Q̂_cd = ``alike``·Q_ab Q_cd + ``exchanged``·(Q_ac Q_bd + Q_ad Q_bc), of what differs between positions.

    ``scatter``: variance of the logarithm of (tr Q̂)².
    """

    alike: float = 1.0
    exchanged: float = 0.0
    scatter: float = 0.0


_STATISTICS = 7  # fields of a stream that every operation makes anew


class Stream(NamedTuple):
    """Each sample by itself: ``second`` = E x_i², (n, *positions), or between all pairs of positions where ``across``.

    ``growth``: mean squared singular value of the Jacobian from the input, (n, *positions). ``mean`` = E x_i as a function, as
    few layers ask for it; None for 0. ``gaussian``: x_i is centred Gaussian. ``points``: else its law at one place,
    standardised, by points of equal mass, as a function likewise; None where it is not known. ``smooth``: this has a Gaussian
    part. ``latent``: what it is a function of. ``chosen``: of these the largest, in some draws. ``whole``: all pairs of the
    batch, where they are there. ``alike``: the two samples stand for a batch of such and for all positions, as in trajectories.
    ``features``: channels, or entries of a vector; None: not known. ``uneven``: entries of an image or of several signals, with
    variances of their own. ``fluctuation``: the largest so far of a neuron's batch variance, relative. ``scatter``: the largest
    standard error so far of a mean over draws, relative. ``standard``: Θ is that of the standard parametrisation. ``sources``:
    of whose outputs x_i is made neuron by neuron; signals without a common source are independent. ``common``: of keys, by how
    much their Gram matrix departs together with that of the values, in a network of its widths.
    """

    second: Float[np.ndarray, " samples *positions"]
    growth: Float[np.ndarray, " samples *_"]
    mean: Callable[[], Float[np.ndarray, " samples *positions"]] | None
    gaussian: bool
    points: Callable[[], Float[np.ndarray, " points"]] | None = None
    smooth: bool = False
    latent: Latent | None = None
    across: bool = False
    alike: bool = False
    features: int | None = None
    uneven: bool = False
    fluctuation: float = 0.0
    scatter: float = 0.0
    chosen: Chosen | None = None
    whole: Pairs | None = None
    standard: bool = False
    common: Departed = Departed()
    sources: frozenset[DrawnSource] = frozenset((DrawnSource(INPUT),))

    @property
    def variance(self) -> Float[np.ndarray, " samples *positions"]:
        """E x_i² by sample and position."""
        return same_position(self.second, 1) if self.across else self.second

    def renewed(
        self,
        second: Float[np.ndarray, " samples *positions"],
        growth: Float[np.ndarray, " samples *_"],
        mean: Callable[[], Float[np.ndarray, " samples *positions"]] | None,
        gaussian: bool,
        points: Callable[[], Float[np.ndarray, " points"]] | None = None,
        latent: Latent | None = None,
    ) -> Stream:
        """The same samples with other statistics: the fields that are named so, and not smooth."""
        return Stream(
            second, growth, mean, gaussian, points, False, latent, *self[_STATISTICS:]
        )  # as _replace, at once

    def drawn_at(self, name: str) -> Stream:
        """The same statistics, made by weights of that name neuron by neuron."""
        return Stream(*self[:-1], frozenset((DrawnSource(name),)))

    @property
    def groups(self) -> int:
        """How often the spatial axes occur in second moments."""
        return 2 if self.across else 1


@singledispatch
def forward(layer: object, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """The stream behind an operation of one signal, and its step for pairs. Register a function here for a new operation.

    Args:
        layer: the record, whose type chooses the rule.
        stream: in front of it.
        whole: all pairs of the batch, for layers that need them.

    Raises:
        InputError: the operation is not covered, or not at this place.
    """
    raise InputError(
        f"expected layers that Gaussian theory covers, got {described(layer)}; register freeness.meanfield.forward for it."
    )


@singledispatch
def joined(operation: object, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """The stream behind an operation of several signals, and its step for as many pairs. Register a new one here.

    Args:
        operation: the record, whose type chooses the rule.
        streams: in front of it, in order; the input where it reads none, for the samples alone.

    Raises:
        InputError: the operation is not covered, or not for these signals.
    """
    raise InputError(
        f"expected operations that Gaussian theory covers, got {described(operation)}; register freeness.meanfield.joined for it."
    )


@singledispatch
def backward(
    operation: object, streams: tuple[Stream, ...], behind: Stream, gradient: Float[np.ndarray, " samples *positions"]
) -> tuple[Float[np.ndarray, " samples *_"], ...]:
    """Γ = Σ_i g_i² in front of an operation, for each signal that it reads. Register a function here for a new operation.

    Args:
        operation: the record, whose type chooses the rule.
        streams: in front of it, in order.
        behind: the stream behind it.
        gradient: Γ behind it, for each sample at its positions, or between all pairs of them where the streams are ``across``.

    Raises:
        InputError: the operation is not covered.
    """
    raise InputError(
        f"expected operations whose gradients Gaussian theory covers, got {described(operation)}; register "
        "freeness.meanfield.backward for it."
    )


def each_pair(streams: tuple[Stream, ...], pairs: tuple[Pairs, ...]) -> tuple[Stream, ...]:
    """Signals of which every pair of samples stands for one."""
    both = zip(streams, pairs, strict=True)
    return tuple(one._replace(second=pair.value.reshape(-1, *pair.value.shape[2:])) for one, pair in both)


class Trained(NamedTuple):
    """Σ over entries of (∂ℓ/∂w)² for each sample: of the ``weights``, and of the ``biases``."""

    weights: Float[np.ndarray, " samples"]
    biases: Float[np.ndarray, " samples"]


@singledispatch
def trained(
    operation: object, streams: tuple[Stream, ...], gradient: Float[np.ndarray, " samples *positions"]
) -> Trained | None:
    """Squared gradients of an operation's own parameters; None without any. Register a function here for a new operation.

    Args:
        operation: the record, whose type chooses the rule.
        streams: in front of it, in order.
        gradient: Γ behind it.
    """
    return None


@singledispatch
def backward_pairs(
    operation: object,
    given: tuple[Pairs, ...],
    streams: tuple[Stream, ...],
    behind: Stream,
    step: Step,
    gradient: Float[np.ndarray, "samples samples *positions"],
) -> tuple[Float[np.ndarray, "samples samples *_"], ...]:
    """Γ(a, b) = Σ_i g_i(a) g_i(b) of all pairs of samples in front of an operation, for each signal that it reads.

    What mixes positions only does to each pair what :func:`backward` does to a sample; what treats each pair by itself registers
    a function of its own.

    Args:
        operation: the record, whose type chooses the rule.
        given: Σ of all pairs in front of it, in order.
        streams: each sample there.
        behind: the stream behind it.
        step: its step for pairs.
        gradient: Γ behind it, (n, n, *positions[, *positions]).

    Raises:
        InputError: the operation is not covered.
    """
    flat = each_pair(streams, given)
    parts = backward(operation, flat, behind, gradient.reshape(-1, *gradient.shape[2:]))
    return tuple(part.reshape(pairs.value.shape) for part, pairs in zip(parts, given, strict=False))


def as_kernels(
    operation: object,
    given: tuple[Pairs, ...],
    streams: tuple[Stream, ...],
    behind: Stream,
    step: Step,
    gradient: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """:func:`backward_pairs` of what treats each pair by itself and has a symmetric map: Γ goes back as Θ goes forward."""
    (pairs,) = given
    return (step(Pairs(pairs.value, gradient, pairs.rows)).theta,)


def same_position(array: Float[np.ndarray, "*twice"], lead: int) -> Float[np.ndarray, "*once"]:
    """The entries at p = p' of an array with twice the same spatial axes, behind ``lead`` axes for samples.

    Example:
        >>> same_position(np.arange(8.0).reshape(2, 2, 2), 1).tolist()
        [[0.0, 3.0], [4.0, 7.0]]
    """
    shape = array.shape[lead : (array.ndim + lead) // 2]
    count = int(np.prod(shape))
    square = array.reshape(*array.shape[:lead], count, count)
    return np.diagonal(square, axis1=-2, axis2=-1).reshape(*array.shape[:lead], *shape)


def sides(
    q: Float[np.ndarray, "*positions"], rows: slice, groups: int
) -> tuple[Float[np.ndarray, "*_"], Float[np.ndarray, "*_"]]:
    """Values of u and of v by sample and position, shaped to broadcast over the axes of :class:`Pairs`."""
    spatial = q.shape[1:]
    ones = (1,) * len(spatial)
    if groups == 1:
        return q[rows][:, None], q[None, rows.start :]
    return q[rows].reshape(-1, 1, *spatial, *ones), q[rows.start :].reshape(1, -1, *ones, *spatial)


def alone(values: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """The same for each sample with itself: (n, *positions[, *positions])."""
    if groups == 1:
        return values, values
    spatial = values.shape[1:]
    ones = (1,) * len(spatial)
    return values.reshape(-1, *spatial, *ones), values.reshape(-1, *ones, *spatial)


def check_alike(
    operation: object, streams: tuple[Stream, ...], *, positions: bool = True, features: bool = True
) -> None:
    """The same positions and the same features."""
    first = streams[0]
    for other in streams[1:]:
        pairs = zip(other.second.shape, first.second.shape, strict=False)
        fits = other.second.ndim == first.second.ndim and all(a == b or 1 in (a, b) for a, b in pairs)
        if positions and not fits:
            raise InputError(
                f"expected signals with the same positions into {described(operation)}, got {first.variance.shape[1:]} and "
                f"{other.variance.shape[1:]}; correct padding and stride."
            )
        if features and None not in (first.features, other.features) and first.features != other.features:
            raise InputError(
                f"expected signals with the same features into {described(operation)}, got {first.features} and "
                f"{other.features}; correct the sizes."
            )


def spread(streams: tuple[Stream, ...]) -> tuple[Stream, ...]:
    """Signals that meet; one without positions (a tensor beside the signal) is the same at all of the others'."""
    axes, groups = max(one.variance.ndim for one in streams) - 1, streams[0].groups

    def wide(one: Stream) -> Stream:
        mean = one.mean
        return one._replace(
            second=widened(one.second, 1, axes * groups),
            growth=widened(one.growth, 1, axes),
            mean=None if mean is None else lambda: widened(mean(), 1, axes),
        )

    return tuple(one if one.variance.ndim == axes + 1 else wide(one) for one in streams)


def widened(array: np.ndarray, lead: int, axes: int) -> np.ndarray:
    """An array of samples with as many axes of positions, of length 1 where it has none."""
    return array if array.ndim == lead + axes else array.reshape(*array.shape, *(1,) * axes)


def gathered(gradient: np.ndarray, stream: Stream) -> np.ndarray:
    """What comes back to a signal that was the same at all positions: the sum over them."""
    target = widened(stream.second, 1, gradient.ndim - 1)
    once = tuple(axis for axis in range(1, gradient.ndim) if target.shape[axis] == 1)
    return gradient.sum(axis=once, keepdims=True).reshape(stream.second.shape) if once else gradient


def check_independent(operation: object, streams: tuple[Stream, ...]) -> None:
    """No two of them are made of the outputs of the same weights, neuron by neuron."""
    for one, other in combinations(streams, 2):
        for shared in sorted(one.sources, key=str):
            if any(shared.meets(each) for each in other.sources):
                made = "the input" if shared.name == INPUT else f"the outputs of {shared.name!r}"
                raise InputError(
                    f"expected independent signals into {described(operation)}, got two that are both made of {made} neuron by "
                    "neuron; put weights between."
                )


def together(streams: tuple[Stream, ...]) -> Stream:
    """What is kept of several signals that meet: the first one's settings, what holds of all, and every source."""
    return streams[0]._replace(
        gaussian=all(one.gaussian for one in streams),
        points=None,
        smooth=False,
        whole=None,
        latent=None,
        features=next((one.features for one in streams if one.features is not None), None),
        uneven=any(one.uneven for one in streams),
        fluctuation=max(one.fluctuation for one in streams),
        scatter=max(one.scatter for one in streams),
        sources=frozenset().union(*(one.sources for one in streams)),
    )
