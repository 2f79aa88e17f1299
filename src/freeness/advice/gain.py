"""What a design would give a network that is there already."""

from __future__ import annotations

import math
import shlex
from itertools import groupby

from freeness.advice.designs import design
from freeness.errors import FreenessError
from freeness.network import Activation, Network, activation_names
from freeness.numerics import LARGEST_EXPONENT

_ALIKE = 2.0  # factor between spreads, and between gradients, that nobody would retrain for


def gain_of_design(network: Network, growth: float, spread: float, measured: float | None = None) -> str | None:
    """In one sentence what the design of the same widths and activation has over this network; None where that is little.

    Args:
        network: a chain of weight layers and activations of one kind.
        growth: Σ ln χ of the network, the logarithm of how squared gradients change over its depth.
        spread: its σ_JJ², > 0.
        measured: by how much squared gradients change on a batch; None where it was not measured.

    Example:
        >>> from freeness.network import mlp
        >>> text = gain_of_design(mlp(20, 100, "tanh", "gaussian", sigma_w=0.8), -10.0, 21.0)
        >>> text[:75]
        'The design of this shape has haar weights with σ_w = 1.045 and σ_b = 0.0112'
    """
    functions = {layer.function.name: layer.function for layer in network.layers if isinstance(layer, Activation)}
    if len(functions) != 1:
        return None
    (function,) = functions.values()
    try:
        found = design(network.depth, network.widths, function)
    except FreenessError:  # no start is known for this shape
        return None
    if abs(growth) <= math.log(_ALIKE) and spread <= _ALIKE * found.isometry:
        return None
    first = "" if abs(found.layers[0].gain - 1) < 1e-3 else f" behind a first layer of gain {found.layers[0].gain:.2g}"
    change = f"{math.exp(min(growth, LARGEST_EXPONENT)) if measured is None else measured:.3g}"
    return (
        f"The design of this shape has {found.weights} weights with σ_w = {found.sigma_w:.4g} and σ_b = {found.sigma_b:.3g}"
        f"{first}. It keeps squared gradients, which here change by a factor of {change}. Its singular values spread by "
        f"σ_JJ² = {found.isometry:.3g}, here by {spread:.3g}."
    )


def way_to_design(network: Network, source: str = "") -> str:
    """What to run to get the design of :func:`gain_of_design`, as it stands: a command line, or Python on ``model``.

    Example:
        >>> from freeness.network import mlp
        >>> way_to_design(mlp(20, 100, "tanh"), "model.py:build")
        'freeness design --activation tanh --apply model.py:build --save start.pt'
        >>> way_to_design(mlp(3, [20, 50, 50, 10], "tanh")).rpartition("; ")[2]
        "initialize_(model, design(3, [20] + [50] * 2 + [10], 'tanh'))"
    """
    place, function = next((i, one.function) for i, one in enumerate(network.layers) if isinstance(one, Activation))
    known = function.name in activation_names()
    if source and known:
        given = "".join(f" --parameter {key}={value!r}" for key, value in function.parameters)
        return f"freeness design --activation {function.name}{given} --apply {shlex.quote(source)} --save start.pt"
    if not known:  # a function that only the model has
        return (
            "from freeness import design; from freeness.torch import initialize_, trace; "
            f"network = trace(model, inputs[:1]).network; "
            f"initialize_(model, design(network.depth, network.widths, network.layers[{place}].function))"
        )
    runs = [(width, len(list(same))) for width, same in groupby(network.widths)]
    widths = " + ".join(f"[{width}]" + (f" * {count}" if count > 1 else "") for width, count in runs)
    given = "".join(f", {key}={value!r}" for key, value in function.parameters)
    named = f"activation({function.name!r}{given})" if given else repr(function.name)
    names = "activation, design" if given else "design"
    return (
        f"from freeness import {names}; from freeness.torch import initialize_; "
        f"initialize_(model, design({network.depth}, {widths}, {named}))"
    )
