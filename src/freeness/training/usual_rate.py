"""Where to start when nothing is known but λ: a part of 2/λ."""

from __future__ import annotations

from freeness.training.objective import Objective
from freeness.training.optimizer import Optimizer
from freeness.training.rate import Rate

_DESCENT, _ADAPTIVE = 0.35, 0.5  # of 2/λ
_TRIED = "within 5 % of the best rate of a grid in 10 of 14 trials with SGD and momentum"
_EVIDENCE = {
    "sgd": _TRIED,
    "momentum": _TRIED,
    "nesterov": "taken over from SGD and momentum; not tried by itself",
    "adam": "within 5 % of the best rate in both networks tried; Adam's stability limit is far too high as a choice",
    "adamw": "taken over from adam; not tried by itself",
}


def rate_of_sharpness(sharpness: float, loss: Objective, optimizer: Optimizer, batch: int) -> Rate:
    """0.35 of 2/λ for gradient descent, 0.5 of it where λ is preconditioned.

    Args:
        sharpness: λ, of a batch.
        loss: that is trained with.
        optimizer: a name or an :class:`~freeness.training.Optimizer`, with its momentum and weight decay.
        batch: samples a step.

    Raises:
        InputError: a sharpness that is not positive.

    Example:
        >>> from freeness.training import loss_of, optimizer_of
        >>> rate = rate_of_sharpness(4.0, loss_of("mse"), optimizer_of("sgd"), 8)
        >>> rate.recommended, rate.bound, rate.reason
        (0.175, 0.5, 'That is 0.35 × 2/λ; λ is the largest curvature of the loss.')
    """
    share = _ADAPTIVE if optimizer.preconditioned else _DESCENT
    bound, recommended, formula = optimizer.bound(sharpness), share * 2.0 / sharpness, f"{share:g} × 2/λ"
    return Rate(
        recommended=recommended,
        bound=bound,
        sharpness=sharpness,
        reason=f"That is {formula}; λ is the largest curvature of the loss.",
        loss=loss.name,
        optimizer=optimizer.name,
        batch=batch,
        evidence=_EVIDENCE.get(optimizer.name, "not tried by itself"),
        formula=formula,
    )
