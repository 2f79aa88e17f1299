"""A convolution of the input as a matrix on the patches that it reads: pairs of the input's positions need not be held."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.network import INPUT, Convolution, Gaussian, Network, PositionWise, windows


class Patches(NamedTuple):
    """``network`` reads the patches ``points``, (n, channels·taps, *positions), in place of ``images``; ``layer`` read those."""

    network: Network
    points: np.ndarray
    layer: Convolution
    images: np.ndarray


def in_patches(network: Network, points: Float[np.ndarray, "samples channels *positions"]) -> Patches | None:
    """The same signals with the first convolution as a matrix; None where another operation reads the input.

    Example:
        >>> layer = Convolution(1, 4, (3,), Gaussian(1.0), "zeros", 2)
        >>> found = in_patches(Network((layer,)), np.arange(1.0, 5.0).reshape(1, 1, 4))
        >>> found.points[0].tolist()
        [[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]
    """
    readers = network.readers(INPUT)
    layer = readers[0].operation if len(readers) == 1 and points.ndim > 2 else None
    if not isinstance(layer, Convolution) or layer.groups > 1 or not isinstance(layer.weights, Gaussian):
        return None
    seen = np.concatenate(list(windows(points, layer, 2, 1)), axis=1)
    matrix = PositionWise(seen.shape[1], layer.channels_out, layer.weights, layer.sigma_b, layer.bias, layer.name)
    nodes = (replace(node, operation=matrix) if node is readers[0] else node for node in network.nodes)
    return Patches(Network(nodes), seen, layer, points)
