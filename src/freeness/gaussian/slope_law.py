"""The law of D² = φ'(h)² over the neurons of a wide layer, h ~ N(0, q)."""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from freeness.errors import InputError
from freeness.gaussian.activations import ActivationFunction
from freeness.laws import Atoms, GaussianPushforward, Law, simplify


def derivative_law(function: ActivationFunction, q: float) -> Law:
    """Law of φ'(√q ξ)²: atoms for a piecewise-linear φ, a pushforward otherwise.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        q: pre-activation variance, > 0.

    Example:
        >>> from freeness.gaussian import activation
        >>> derivative_law(activation("relu"), 1.0)
        Projection(trace=0.5, height=1.0)
    """
    if not (np.isfinite(q) and q > 0):
        raise InputError(
            f"expected a pre-activation variance q > 0 before {function.name}, got {q}; the signal vanished or exploded, "
            "so change sigma_w, sigma_b or the input's norm."
        )
    if function.slopes is None:
        return GaussianPushforward(lambda h: function.derivative(h) ** 2, q, function.kinks)
    levels = ndtr(np.array([-np.inf, *function.kinks, np.inf]) / np.sqrt(q))
    return simplify(Atoms(np.square(function.slopes), np.diff(levels)))
