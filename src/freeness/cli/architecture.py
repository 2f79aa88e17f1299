"""Networks as several commands take them from their options."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.data import scaled
from freeness.errors import InputError
from freeness.network import Activation, ActivationFunction, Branch, Network, mlp, resnet


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

    ``sigma``: σ_w and σ_b; ``residual``: β.
    """
    if residual is None:
        widths = [sizes.inputs, *[sizes.hidden] * (depth - 1), sizes.outputs]
        return mlp(depth, widths, function, "gaussian", sigma_w=sigma[0], sigma_b=sigma[1])
    if depth < 3:
        raise InputError(f"expected a depth ≥ 3 with --residual, for first, last and hidden layers, got {depth}.")
    branch = Branch(function, sigma_w=sigma[0], sigma_b=sigma[1], scale=residual)
    stream = resnet(depth - 2, sizes.hidden, branch, inputs=sizes.inputs, outputs=sizes.outputs)
    return Network((*stream.nodes[:-1], Activation(function), stream.nodes[-1].operation))


def of_equal_norm(inputs: np.ndarray) -> np.ndarray:
    """Every input with ‖x‖² = N₀."""
    return scaled(inputs, "unit_norm") * np.sqrt(inputs.shape[1])
