"""Activations of a multiple of their argument, as sine networks have."""

from __future__ import annotations

import numpy as np

from freeness.gaussian.activations import ActivationFunction


def stretched(function: ActivationFunction, factor: float) -> ActivationFunction | None:
    """x ↦ φ(factor·x) of an activation with closed Gaussian means, which it has then too; None of others.

    E φ(au)φ(av) is that of φ at variances and covariance times a², and E φ'φ' a² times that of φ'.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        factor: a, not 0.

    Source: Sitzmann et al., NeurIPS 2020 (a sine of 30 times its argument).

    Example:
        >>> from freeness.gaussian import activation, covariance
        >>> found = covariance(stretched(activation("sin"), 30.0), 1 / 900, 1 / 900, 1.0)
        >>> expected = covariance(activation("sin"), 1.0, 1.0, 1.0)
        >>> [round(float(value), 12) for value in (found.value / expected.value, found.slope / expected.slope)]
        [1.0, 900.0]
    """
    closed, square = function.covariance, factor**2
    if closed is None or factor == 0 or function.kinks:
        return None

    def means(q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, slope = closed(square * q1, square * q2, square * q12)
        return value, square * slope

    tails = function.tails
    return ActivationFunction(
        f"{function.name}({factor:g}·x)",
        lambda x: function.function(factor * x),
        lambda x: factor * function.derivative(factor * x),
        parameters=function.parameters,
        covariance=means,
        tails=None if tails is None else (factor * tails[factor < 0], factor * tails[factor > 0]),
    )
