"""The largest stable learning rate, and where to start.

Gradient descent on the linearised loss contracts iff η < 2/λ_max(GGN) (theory.md §7). The GGN of a loss averaged over the
batch has the dual (1/B)·Σ over samples of H^{1/2} Θ H^{1/2} with H the Hessian of the loss in the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from freeness.advice.analysis import LearningRate, Phase
from freeness.errors import InputError
from freeness.spectra.records import Prediction

Loss = Literal["half_squared_error", "half_mean_squared_error", "mse", "cross_entropy"]
Optimizer = Literal["sgd", "momentum", "nesterov", "adam"]

_MOMENTUM = 0.9  # β of momentum and nesterov, β₁ of adam
_STABILITY: dict[str, tuple[float, str]] = {
    "sgd": (2.0, "2/λ"),
    "momentum": (2 * (1 + _MOMENTUM), "2(1+β)/λ with β = 0.9"),
    "nesterov": ((2 + 2 * _MOMENTUM) / (1 + 2 * _MOMENTUM), "(2+2β)/((1+2β)λ) with β = 0.9"),
    "adam": ((2 + 2 * _MOMENTUM) / (1 - _MOMENTUM), "(2+2β₁)/((1-β₁)λ) with β₁ = 0.9 and the preconditioner frozen"),
}
_START = {
    "sgd": (0.35, "within 5 % of the best rate of a grid in 10 of 14 trials with SGD and momentum"),
    "momentum": (0.35, "within 5 % of the best rate of a grid in 10 of 14 trials with SGD and momentum"),
    "nesterov": (0.35, "taken over from SGD and momentum; not tried by itself"),
    "adam": (
        0.5,
        "within 5 % of the best rate in both networks tried; Adam's stability limit is far too high as a choice",
    ),
}


_CAUTION = {
    "ordered": "Repair the initialisation first: the signal vanishes at the start, the curvature grows many times over as "
    "training restores it, and the rate below is then far too high.",
    "chaotic": "Repair the initialisation first: gradients explode with depth, and the curvature below is that of a start which "
    "training leaves at once.",
}


@dataclass(frozen=True)
class Curvature:
    """A measured sharpness: λ_max of the (preconditioned) batch GGN, its error, and the batch size."""

    value: float
    error: float
    batch: int


def hessian_scale(loss: Loss, outputs: int) -> float:
    """Largest eigenvalue of the loss' Hessian in the outputs: GGN dual ≤ this × Θ (cross-entropy: at uniform softmax).

    Args:
        loss: averaged over the batch, see design.md.
        outputs: C.

    Example:
        >>> hessian_scale("mse", 10)
        0.2
    """
    scales = {
        "half_squared_error": 1.0,
        "half_mean_squared_error": 1.0 / outputs,
        "mse": 2.0 / outputs,
        "cross_entropy": 1.0 / outputs,
    }
    if loss not in scales:
        raise InputError(f"expected a loss among {', '.join(scales)}, got {loss!r}; choose one.")
    return scales[loss]


def stable_rate(sharpness: float, optimizer: Optimizer = "sgd") -> float:
    """The rate at which the optimiser stops contracting on a quadratic of largest curvature ``sharpness``.

    Example:
        >>> stable_rate(4.0), round(stable_rate(4.0, "momentum"), 12)
        (0.5, 0.95)

    Source: theory.md §7; Cohen et al. (2021, 2022) for momentum and the preconditioned case.
    """
    if optimizer not in _STABILITY:
        raise InputError(f"expected an optimizer among {', '.join(_STABILITY)}, got {optimizer!r}; choose one.")
    if not 0 < sharpness < float("inf"):
        raise InputError(
            f"expected a sharpness > 0, got {sharpness}: the outputs do not depend on the parameters here, so no rate "
            "follows; repair the initialisation or the input."
        )
    return _STABILITY[optimizer][0] / sharpness


def learning_rate(
    curvature: Curvature,
    loss: Loss,
    optimizer: Optimizer,
    outputs: int,
    fisher: Prediction | None = None,
    phase: Phase | None = None,
) -> LearningRate:
    """Bound, start and reason from the measured batch curvature, with the theory's one-sample bound beside it.

    Args:
        curvature: λ_max of the batch GGN (preconditioned for adam).
        loss: the loss it was measured with.
        optimizer: who descends.
        outputs: C.
        fisher: predicted one-sample dual; its largest eigenvalue × :func:`hessian_scale` is theory's sharpness.
        phase: of the network; outside criticality the curvature of the start misleads, and the reason says so.

    Example:
        >>> learning_rate(Curvature(4.0, 0.0, 1), "half_squared_error", "sgd", 10).recommended
        0.175
    """
    bound = stable_rate(curvature.value, optimizer)
    fraction, evidence = _START[optimizer]
    recommended = fraction * 2.0 / curvature.value
    theory = None
    if fisher is not None and optimizer != "adam":
        top = fisher.edge.value if outputs > 1 else fisher.law.mean  # one output shows the mean of the spectrum
        theory = stable_rate(top * hessian_scale(loss, outputs), optimizer)
    matrix = "preconditioned GGN" if optimizer == "adam" else "GGN"
    reason = (
        f"λ = {curvature.value:.4g} is the largest eigenvalue of the {matrix} of {loss} over a batch of {curvature.batch}; "
        f"the linearised training contracts below {_STABILITY[optimizer][1]} = {bound:.3g}. "
        f"Start at {fraction} × 2/λ = {recommended:.3g} ({evidence})."
    )
    if phase in _CAUTION:
        reason = f"{_CAUTION[phase]} {reason}"
    if theory is not None and curvature.batch > 1:
        reason += (
            f" One sample alone would allow {theory:.3g} by theory; the gradients of a batch point in different directions, "
            "so its curvature differs."
        )
    return LearningRate(
        bound, recommended, reason, curvature.value, curvature.error, theory, loss, optimizer, curvature.batch
    )
