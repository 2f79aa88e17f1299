"""What weight sharing does to second moments between positions: windows of a convolution and of a pooling layer.

An array has ``lead`` axes for samples, then the spatial axes once (pairs at the same position) or twice (all pairs).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from freeness.errors import InputError
from freeness.network import Convolution, Haar, Pooling, described


def convolved(array: np.ndarray, layer: Convolution, lead: int, groups: int) -> np.ndarray:
    """Mean over the taps τ of the entries at (p + τ, p' + τ).

    Args:
        array: second moments.
        layer: the convolution; of delta-orthogonal weights only the centre tap counts.
        lead: axes before the spatial ones.
        groups: 1 for pairs at the same position, 2 for all pairs.

    Example:
        >>> from freeness.network import Gaussian
        >>> layer = Convolution(1, 1, (3,), Gaussian(1.0), "zeros")
        >>> convolved(np.array([[3.0, 3.0, 6.0]]), layer, 1, 1).tolist()
        [[2.0, 4.0, 3.0]]
    """
    total: np.ndarray | float = 0.0
    count = 0
    for window in windows(array, layer, lead, groups):
        total, count = total + window, count + 1
    return np.asarray(total / count)


def windows(array: np.ndarray, layer: Convolution, lead: int, groups: int) -> Iterator[np.ndarray]:
    """The entries at (p + τ, p' + τ) for each tap τ that counts, as :func:`convolved` averages them.

    Args:
        array: values by position (``groups`` = 1), or by pairs of positions (2).
        layer: the convolution; of delta-orthogonal weights only the centre tap counts.
        lead: axes before the spatial ones.
        groups: how often the spatial axes occur.

    Example:
        >>> from freeness.network import Gaussian
        >>> layer = Convolution(1, 1, (3,), Gaussian(1.0), "zeros")
        >>> [window.tolist() for window in windows(np.array([[3.0, 6.0]]), layer, 1, 1)]
        [[[0.0, 3.0]], [[3.0, 6.0]], [[6.0, 0.0]]]
    """
    dimensions = len(layer.kernel)
    if array.ndim != lead + groups * dimensions:
        found = (array.ndim - lead) // groups
        raise InputError(
            f"expected signals with {dimensions} spatial dimensions before {described(layer)}, got {found}; give inputs of shape "
            "(n, channels, *positions)."
        )
    half = [0 if layer.padding == "valid" else taps // 2 for taps in layer.kernel]
    widths = [(0, 0)] * lead + [(h, h) for h in half] * groups
    padded = np.pad(array, widths, mode="wrap" if layer.padding == "circular" else "constant")
    sizes = [
        (padded.shape[lead + axis] - taps) // layer.stride + 1 if padded.shape[lead + axis] >= taps else 0
        for axis, taps in enumerate(layer.kernel)
    ]
    if min(sizes) < 1:
        raise InputError(
            f"expected at least {layer.kernel} positions before {described(layer)}, got {array.shape[lead : lead + dimensions]}; "
            "take larger images or padding."
        )
    centre = tuple(taps // 2 for taps in layer.kernel)
    every = [centre] if isinstance(layer.weights, Haar) else list(product(*map(range, layer.kernel)))
    for tap in every:
        spatial = [slice(t, t + (n - 1) * layer.stride + 1, layer.stride) for t, n in zip(tap, sizes, strict=True)]
        yield padded[(slice(None),) * lead + tuple(spatial) * groups]


def pooled(array: np.ndarray, layer: Pooling, lead: int, groups: int) -> np.ndarray:
    """Mean over the windows of each group of spatial axes.

    Args:
        array: second moments of all pairs of positions (``groups`` = 2), or values by position (1).
        layer: the pooling.
        lead: axes before the spatial ones.
        groups: how often the spatial axes occur.

    Example:
        >>> pooled(np.arange(4.0)[None], Pooling((2,), 2), 1, 1).tolist()
        [[0.5, 2.5]]
    """
    if layer.size is None:
        return array.mean(axis=tuple(range(lead, array.ndim)))
    dimensions = len(layer.size)
    if array.ndim != lead + groups * dimensions:
        raise InputError(
            f"expected signals with {dimensions} spatial dimensions before {described(layer)}, got "
            f"{(array.ndim - lead) // groups}; give inputs of shape (n, channels, *positions)."
        )
    for axis in range(lead, array.ndim):
        size = layer.size[(axis - lead) % dimensions]
        if array.shape[axis] < size:
            raise InputError(
                f"expected at least {size} positions before {described(layer)}, got {array.shape[axis]}; take a smaller window."
            )
        windows = np.lib.stride_tricks.sliding_window_view(array, size, axis=axis).mean(axis=-1)
        array = windows[(slice(None),) * axis + (slice(None, None, layer.stride or size),)]
    return array


def same_position(array: np.ndarray, lead: int) -> np.ndarray:
    """The entries at p = p' of an array with twice the same spatial axes.

    Example:
        >>> same_position(np.arange(8.0).reshape(2, 2, 2), 1).tolist()
        [[0.0, 3.0], [4.0, 7.0]]
    """
    shape = array.shape[lead : (array.ndim + lead) // 2]
    count = int(np.prod(shape))
    square = array.reshape(*array.shape[:lead], count, count)
    return np.diagonal(square, axis1=-2, axis2=-1).reshape(*array.shape[:lead], *shape)
