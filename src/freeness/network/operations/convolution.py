"""A convolution over positions."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError, is_size
from freeness.network.along import along_front
from freeness.network.channelwise import TapSources, taps_of
from freeness.network.derivatives import Pattern, pattern
from freeness.network.ensembles import Ensemble, Gaussian, Haar
from freeness.network.moments import Pairs, Step, Stream, backward, forward
from freeness.network.operation import Weights, described
from freeness.network.operations.checks import check_spatial
from freeness.network.operations.weighted import weighted


@dataclass(frozen=True)
class Convolution(Weights):
    """h_p = Σ_τ W_τ x_{p+τ} + b over positions p, in one or more spatial dimensions.

    ``kernel`` holds the taps by dimension. Gaussian: W_τ,ij ~ N(0, σ_w²/(channels_in·taps)) in every tap. Haar:
    delta-orthogonal, σ_w·Q in the centre tap and 0 in the others (Xiao et al. 2018). ``padding``: ``circular`` and ``zeros``
    keep the number of positions at stride 1, ``valid`` pads nothing. ``groups``: of channels, each read by its own share of the
    outputs (depthwise: as many as channels; fan_in is channels_in/groups·taps); second moments are the same, but what is behind
    them is Gaussian only where a group has many channels. ``dilation``: distance of the taps.
    """

    channels_in: int
    channels_out: int
    kernel: tuple[int, ...]
    weights: Ensemble
    padding: Literal["circular", "zeros", "valid"] = "circular"
    stride: int = 1
    sigma_b: float = 0.0
    bias: bool = False
    name: str = ""
    groups: int = 1
    dilation: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.kernel, tuple) and self.kernel and all(map(is_size, (*self.kernel, self.stride)))):
            raise InputError(
                f"expected a tuple of taps and a stride, whole numbers ≥ 1, got {self.kernel!r} and {self.stride!r}."
            )
        if self.padding not in ("circular", "zeros", "valid"):
            raise InputError(f"expected padding circular, zeros or valid, got {self.padding!r}; choose one.")
        if self.padding != "valid" and any(taps % 2 == 0 for taps in self.kernel):
            raise InputError(f"expected odd numbers of taps with padding, got {self.kernel}; take padding valid.")
        if not all(map(is_size, (self.groups, self.dilation))):
            raise InputError(
                f"expected groups and dilation ≥ 1, got {self.groups!r} and {self.dilation!r}; correct them."
            )
        if self.channels_in % self.groups or self.channels_out % self.groups:
            raise InputError(
                f"expected channels that {self.groups} groups divide, got {self.channels_in} and {self.channels_out}."
            )

    @property
    def sizes(self) -> tuple[int, int]:
        return self.channels_in, self.channels_out

    @property
    def entries(self) -> int:
        return self.channels_in // self.groups * int(np.prod(self.kernel))


@forward.register
def _(layer: Convolution, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    if not stream.alike:
        every = _every_tap(layer)
        return weighted(
            layer,
            stream,
            lambda array, lead, groups: convolved(array, layer, lead, groups),
            lambda array, lead, groups: convolved(array, every, lead, groups),
        )
    if layer.padding != "circular":
        raise InputError(
            f"expected circular padding of {described(layer)}, got {layer.padding}, with which positions at the border differ; "
            "compute kernels on images instead."
        )
    return weighted(layer, stream)


def _every_tap(layer: Convolution) -> Convolution:
    """TapSources that start at 0 have gradients as well."""
    return replace(layer, weights=Gaussian(1.0))


@pattern.register
def _(layer: Convolution, shape: tuple[int, ...], flat: bool = False, trained: bool = False) -> Pattern:
    count = int(np.prod(shape))
    units = np.eye(count).reshape(count, *shape)
    each = list(windows(units, _every_tap(layer) if trained else layer, 1, 1))
    return Pattern(np.stack([window.reshape(count, -1).T for window in each]), each[0].shape[1:])


@taps_of.register
def _(layer: Convolution, shape: tuple[int, ...], trained: bool = False) -> TapSources:
    numbers = np.arange(1.0, 1.0 + np.prod(shape)).reshape(1, *shape)
    each = list(windows(numbers, _every_tap(layer) if trained else layer, 1, 1))
    return TapSources(np.stack([window.ravel() for window in each]).astype(int) - 1, each[0].shape[1:])


def convolved(array: np.ndarray, layer: Convolution, lead: int, groups: int) -> np.ndarray:
    """Mean over the taps τ of the entries at (p + τ, p' + τ).

    ``lead``: axes before the spatial ones; ``groups``: 1 for pairs at the same position, 2 for all pairs.

    Example:
        >>> from freeness.network import Convolution, Gaussian
        >>> layer = Convolution(1, 1, (3,), Gaussian(1.0), "zeros")
        >>> convolved(np.array([[3.0, 3.0, 6.0]]), layer, 1, 1).tolist()
        [[2.0, 4.0, 3.0]]
    """
    total: np.ndarray | float = 0.0
    count = 0
    for window in windows(array, layer, lead, groups):
        total, count = total + window, count + 1
    return np.asarray(total / count)


def windows(
    array: Float[np.ndarray, "*positions"], layer: Convolution, lead: int, groups: int
) -> Iterator[Float[np.ndarray, "*windows"]]:
    """The entries at (p + τ, p' + τ) for each tap τ that counts, as :func:`convolved` averages them.

    Args:
        array: values by position (``groups`` = 1), or by pairs of positions (2).
        layer: the convolution; of delta-orthogonal weights only the centre tap counts.
        lead: axes before the spatial ones.
        groups: how often the spatial axes occur.

    Example:
        >>> from freeness.network import Convolution, Gaussian
        >>> layer = Convolution(1, 1, (3,), Gaussian(1.0), "zeros")
        >>> [window.tolist() for window in windows(np.array([[3.0, 6.0]]), layer, 1, 1)]
        [[[0.0, 3.0]], [[3.0, 6.0]], [[6.0, 0.0]]]
    """
    check_spatial((array.ndim - lead) // groups, len(layer.kernel), layer)
    reach = [(taps - 1) * layer.dilation + 1 for taps in layer.kernel]
    half = [0 if layer.padding == "valid" else length // 2 for length in reach]
    widths = [(0, 0)] * lead + [(h, h) for h in half] * groups
    padded = np.pad(array, widths, mode="wrap" if layer.padding == "circular" else "constant")
    sizes = [
        (padded.shape[lead + axis] - length) // layer.stride + 1 if padded.shape[lead + axis] >= length else 0
        for axis, length in enumerate(reach)
    ]
    if min(sizes) < 1:
        raise InputError(
            f"expected at least {tuple(reach)} positions before {described(layer)}, got {array.shape[lead : lead + len(reach)]}; "
            "take larger images or padding."
        )
    centre = tuple(taps // 2 for taps in layer.kernel)
    every = [centre] if isinstance(layer.weights, Haar) else list(product(*map(range, layer.kernel)))
    for tap in every:
        starts = [t * layer.dilation for t in tap]
        spatial = [slice(t, t + (n - 1) * layer.stride + 1, layer.stride) for t, n in zip(starts, sizes, strict=True)]
        yield padded[(slice(None),) * lead + tuple(spatial) * groups]


@along_front.register
def _(layer: Convolution, number: int, streams: tuple[Stream, ...], behind: Stream, along: np.ndarray) -> np.ndarray:
    """W_τᵀ meets W_τ of as many windows as see a position."""
    into, out = layer.sizes
    alone = streams[0]._replace(second=streams[0].variance, across=False)
    (back,) = backward(layer, (alone,), alone, along)
    return back * (out / into)
