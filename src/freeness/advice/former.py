"""Functions of before, which go on working; ``freeness.advice`` says what to call instead."""

from __future__ import annotations

import numpy as np

from freeness.training import Loss, Optimizer, loss_of, optimizer_of


def hessian_scale(loss: Loss | str | np.ndarray, outputs: int) -> float:
    """The loss' curvature in so many outputs.

    Example:
        >>> hessian_scale("mse", 10)
        0.2
    """
    return loss_of(loss).curvature(outputs)


def stable_rate(sharpness: float, optimizer: Optimizer | str = "sgd") -> float:
    """The optimiser's bound.

    Example:
        >>> stable_rate(4.0)
        0.5
    """
    return optimizer_of(optimizer).bound(sharpness)
