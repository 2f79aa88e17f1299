"""What a design would give a network that is there already."""

from __future__ import annotations

import math

from freeness.advice.design import design
from freeness.errors import FreenessError
from freeness.network import Activation, Network

_ALIKE = 2.0  # factor between spreads, and between gradients, that nobody would retrain for
_MOST = 700.0  # of an exponent


def gain_of_design(network: Network, growth: float, spread: float) -> str | None:
    """In one sentence what the design of the same widths and activation has over this network; None where that is little.

    Args:
        network: a chain of weight layers and activations of one kind.
        growth: Σ ln χ of the network, the logarithm of how squared gradients change over its depth.
        spread: its σ_JJ².

    Example:
        >>> from freeness.network import mlp
        >>> text = gain_of_design(mlp(20, 100, "tanh", "gaussian", sigma_w=0.8), -10.0, 21.0)
        >>> text[:72]
        'The design of this shape, haar weights with σ_w = 1.045 and σ_b = 0.0112'
    """
    functions = {layer.function.name: layer.function for layer in network.layers if isinstance(layer, Activation)}
    if len(functions) != 1:
        return None
    ((name, function),) = functions.items()
    try:
        found = design(network.depth, network.widths, function)
    except FreenessError:  # no start is known for this shape
        return None
    if abs(growth) <= math.log(_ALIKE) and spread <= _ALIKE * found.isometry:
        return None
    first = "" if abs(found.layers[0].gain - 1) < 1e-3 else f" behind a first layer of gain {found.layers[0].gain:.2g}"
    change = f"{math.exp(min(growth, _MOST)):.3g}"
    return (
        f"The design of this shape, {found.weights} weights with σ_w = {found.sigma_w:.4g} and σ_b = {found.sigma_b:.3g}{first}, "
        f"keeps squared gradients (here they change by a factor {change}) and has the spread σ_JJ² = {found.isometry:.3g} (here "
        f"{spread:.3g}): initialize_(model, design({network.depth}, widths, {name!r}))."
    )
