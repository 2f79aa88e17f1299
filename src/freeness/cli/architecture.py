"""Networks and inputs as several commands take them from their options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from freeness.data import load_fashion_mnist
from freeness.errors import InputError
from freeness.network import Activation, ActivationFunction, Branch, Network, mlp, resnet

_HUGE = 1e100


@dataclass(frozen=True)
class Sizes:
    """Entries of an input, of hidden layers and outputs."""

    inputs: int
    hidden: int
    outputs: int = 1


def wide_network(
    sizes: Sizes, function: ActivationFunction, depth: int, sigma: tuple[float, float], residual: float | None
) -> Network:
    """A Gaussian network: a chain, or with hidden layers x + β·W φ(x).

    Args:
        sizes: of its layers.
        function: φ.
        depth: weight matrices.
        sigma: σ_w and σ_b.
        residual: β.
    """
    if residual is None:
        widths = [sizes.inputs, *[sizes.hidden] * (depth - 1), sizes.outputs]
        return mlp(depth, widths, function, "gaussian", sigma_w=sigma[0], sigma_b=sigma[1])
    if depth < 3:
        raise InputError(f"expected a depth ≥ 3 with --residual, for first, last and hidden layers, got {depth}.")
    branch = Branch(function, sigma_w=sigma[0], sigma_b=sigma[1], scale=residual)
    stream = resnet(depth - 2, sizes.hidden, branch, inputs=sizes.inputs, outputs=sizes.outputs)
    return Network((*stream.layers[:-1], Activation(function), stream.layers[-1]))


def rows_of(data: str, count: int) -> tuple[np.ndarray, str]:
    """(n, N₀) and where they come from.

    Args:
        data: fashion-mnist, or a file .npy.
        count: the first so many.
    """
    if data == "fashion-mnist":
        images = load_fashion_mnist("train")
        return images.flattened()[:count].astype(float), images.source
    path = Path(data)
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(
            f"expected fashion-mnist or a file of inputs, got {data!r} ({error.strerror or error}); check the path."
        ) from error
    except (ValueError, EOFError) as error:
        raise InputError(f"expected a .npy array in {data!r}, got something else; write it by numpy.save.") from error
    if not isinstance(array, np.ndarray) or array.ndim < 2 or array.size == 0 or array.dtype.kind not in "fiu":
        found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "several arrays"
        raise InputError(f"expected one array of real inputs (n, …) in {data!r}, got {found}; save one.")
    rows = array.reshape(len(array), -1)[:count].astype(float)
    if not (np.abs(rows) < _HUGE).all():
        raise InputError(
            f"expected finite numbers below {_HUGE:g} in {data!r}, got NaN, infinity or larger; clean them."
        )
    return rows, str(path)


def scaled(inputs: np.ndarray) -> np.ndarray:
    """Every input with ‖x‖² = N₀.

    Args:
        inputs: (n, N₀).
    """
    norms = np.linalg.norm(inputs, axis=1, keepdims=True)
    return inputs * np.sqrt(inputs.shape[1]) / np.where(norms > 0, norms, 1.0)
