"""The largest stable learning rate, and where to start.

Gradient descent on the linearised loss contracts iff η < 2/λ_max(GGN) (theory.md §7). The GGN of a loss averaged over the
batch has the dual (1/B)·Σ over samples of H^{1/2} Θ H^{1/2} with H the Hessian of the loss in the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from freeness.advice.analysis import LearningRate, Phase
from freeness.errors import InputError, is_real
from freeness.spectra.records import Prediction

Loss = Literal["half_squared_error", "half_mean_squared_error", "mse", "cross_entropy"]
Optimizer = Literal["sgd", "momentum", "nesterov", "adam"]  # those whose curvature freeness.torch measures
KnownOptimizer = Literal["sgd", "momentum", "nesterov", "adam", "adamw"]  # those whose stability is known
PRECONDITIONED = ("adam", "adamw")  # their sharpness is that of the preconditioned GGN

_MOMENTUM = 0.9  # β of momentum and nesterov, β₁ of adam
_FORMULAS = {
    "sgd": "2/λ",
    "momentum": "2(1+β)/λ with β = {beta:g}",
    "nesterov": "(2+2β)/((1+2β)λ) with β = {beta:g}",
    "adam": "(2+2β₁)/((1-β₁)λ) with β₁ = {beta:g} and the preconditioner frozen",
    "adamw": "(2+2β₁)/((1-β₁)λ) with β₁ = {beta:g} and the preconditioner frozen",
}
_SYMMETRIC = 1e-8  # relative asymmetry, and negative part, of a Hessian that are rounding


@dataclass(frozen=True)
class Descent:
    """An optimiser with its numbers, whose stability on a quadratic is known in closed form.

    Args:
        optimizer: "sgd", "momentum", "nesterov", "adam" or "adamw", as torch runs them without dampening.
        momentum: β, or β₁ of adam; not used by sgd.
        weight_decay: as torch means it: added to the gradient by the first three, taken off the weights by adamw.

    Raises:
        InputError: another optimiser, β outside [0, 1), a negative decay, or adam with a decay.

    Example:
        >>> round(Descent("momentum").bound(4.0), 12), Descent(weight_decay=1.0).bound(4.0)
        (0.95, 0.4)
    """

    optimizer: KnownOptimizer = "sgd"
    momentum: float = _MOMENTUM
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, str) or self.optimizer not in _FORMULAS:
            raise InputError(
                f"expected an optimizer among {', '.join(_FORMULAS)}, got {self.optimizer!r}, whose stability is not covered; "
                "choose one, or search the rate by trial."
            )
        if not (is_real(self.momentum) and 0 <= self.momentum < 1):
            raise InputError(f"expected a momentum in [0, 1), got {self.momentum!r}; 0.9 is usual.")
        if not (is_real(self.weight_decay) and self.weight_decay >= 0):
            raise InputError(f"expected a weight decay ≥ 0, got {self.weight_decay!r}; 0 is none.")
        if self.optimizer == "adam" and self.weight_decay > 0:
            raise InputError(
                f"expected no weight decay with adam, got {self.weight_decay:g}, which passes the preconditioner there; take "
                "adamw, whose decay does not."
            )

    def bound(self, sharpness: float) -> float:
        """The rate at which it stops contracting on a quadratic of largest curvature ``sharpness``.

        Derived from the root -1 of the update's characteristic polynomial; decay w adds to λ, and for adamw 2/η = w +
        λ(1-β₁)/(1+β₁).

        Args:
            sharpness: λ; of the preconditioned matrix for adam and adamw.

        Raises:
            InputError: it is not positive.
        """
        if not 0 < sharpness < float("inf"):
            raise InputError(
                f"expected a sharpness > 0, got {sharpness}: the outputs do not depend on the parameters here, so no rate "
                "follows; repair the initialisation or the input."
            )
        beta, decay = float(self.momentum), float(self.weight_decay)
        if self.optimizer in PRECONDITIONED:
            return 2 / (decay + sharpness * (1 - beta) / (1 + beta))
        factor = {"sgd": 2.0, "momentum": 2 * (1 + beta), "nesterov": (2 + 2 * beta) / (1 + 2 * beta)}[self.optimizer]
        return factor / (sharpness + decay)

    @property
    def formula(self) -> str:
        """The bound as a formula."""
        text = _FORMULAS[self.optimizer].format(beta=self.momentum)
        decay = "" if self.weight_decay == 0 else f" and weight decay {self.weight_decay:g}"
        return text + decay


_START = {
    "sgd": (0.35, "within 5 % of the best rate of a grid in 10 of 14 trials with SGD and momentum"),
    "momentum": (0.35, "within 5 % of the best rate of a grid in 10 of 14 trials with SGD and momentum"),
    "nesterov": (0.35, "taken over from SGD and momentum; not tried by itself"),
    "adam": (
        0.5,
        "within 5 % of the best rate in both networks tried; Adam's stability limit is far too high as a choice",
    ),
    "adamw": (0.5, "taken over from adam; not tried by itself"),
}

_FAR = 3.0  # times the bound

_CAUTION = {
    "ordered": "Repair the initialisation first: the signal vanishes at the start, the curvature grows many times over as "
    "training restores it, and rates in proportion to 1/λ are then far too high.",
    "chaotic": "Repair the initialisation first: gradients explode with depth, and the curvature below is that of a start which "
    "training leaves at once.",
}


@dataclass(frozen=True)
class StartRate:
    """The rate to start from, below which rates a tenth and a third of such networks broke, the formula, and its evidence.

    ``early`` and ``limit`` are None where the limit would be below the rate.
    """

    recommended: float
    early: float | None
    limit: float | None
    formula: str
    evidence: str


@dataclass(frozen=True)
class Curvature:
    """A measured sharpness: λ_max of the (preconditioned) batch GGN, its error, the batch size, and the start if measured.

    ``predicted``: by the kernel of the same inputs, :func:`~freeness.advice.batch_learning_rate`.
    """

    value: float
    error: float
    batch: int
    start: StartRate | None = None
    predicted: float | None = None


def hessian_scale(loss: Loss | np.ndarray, outputs: int) -> float:
    """Largest eigenvalue of the loss' Hessian in the outputs: GGN dual ≤ this × Θ (cross-entropy: at uniform softmax).

    Args:
        loss: averaged over the batch, see design.md; or, for any other loss, its Hessian in the outputs of one sample, C×C.
        outputs: C.

    Raises:
        InputError: an unknown loss, or a Hessian that is not C×C, symmetric and positive semi-definite.

    Example:
        >>> hessian_scale("mse", 10), hessian_scale(np.diag([1.0, 3.0]), 2)
        (0.2, 3.0)
    """
    if not isinstance(loss, str):
        return _largest_of_hessian(loss, outputs)
    scales = {
        "half_squared_error": 1.0,
        "half_mean_squared_error": 1.0 / outputs,
        "mse": 2.0 / outputs,
        "cross_entropy": 1.0 / outputs,
    }
    if loss not in scales:
        raise InputError(
            f"expected a loss among {', '.join(scales)}, got {loss!r}; choose one, or give the {outputs}×{outputs} Hessian "
            "of yours in the outputs."
        )
    return scales[loss]


def _largest_of_hessian(hessian: np.ndarray, outputs: int) -> float:
    try:
        matrix = np.asarray(hessian, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (outputs, outputs) or not np.isfinite(matrix).all():
        raise InputError(
            f"expected the {outputs}×{outputs} Hessian of the loss in the outputs, got shape {matrix.shape}; average it over "
            "the samples."
        )
    size = float(np.abs(matrix).max())
    if np.abs(matrix - matrix.T).max() > _SYMMETRIC * size:
        raise InputError(
            "expected a symmetric Hessian of the loss, got one that is not; a second derivative always is."
        )
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    if values[0] < -_SYMMETRIC * size:
        raise InputError(
            f"expected a positive semi-definite Hessian of the loss, got the eigenvalue {values[0]:.3g}; the bound 2/λ holds for "
            "losses that are convex in the outputs, so take the positive part of this one."
        )
    if values[-1] <= 0:
        raise InputError("expected a Hessian of the loss other than 0, got 0; nothing is learnt from such a loss.")
    return float(values[-1])


def as_descent(optimizer: KnownOptimizer | Descent) -> Descent:
    """The optimiser with its usual numbers, if only a name is given.

    Example:
        >>> as_descent("nesterov").momentum
        0.9
    """
    return optimizer if isinstance(optimizer, Descent) else Descent(optimizer)


def stable_rate(sharpness: float, optimizer: KnownOptimizer | Descent = "sgd") -> float:
    """The rate at which the optimiser stops contracting on a quadratic of largest curvature ``sharpness``.

    Example:
        >>> stable_rate(4.0), round(stable_rate(4.0, "momentum"), 12)
        (0.5, 0.95)

    Source: theory.md §7; Cohen et al. (2021, 2022) for momentum and the preconditioned case.
    """
    return as_descent(optimizer).bound(sharpness)


def start_fraction(optimizer: KnownOptimizer) -> tuple[float, str]:
    """The part of 2/λ to start from, and the evidence that it has.

    Example:
        >>> start_fraction("sgd")[0]
        0.35
    """
    return _START[optimizer]


def learning_rate(
    curvature: Curvature,
    loss: Loss,
    optimizer: KnownOptimizer | Descent,
    outputs: int,
    fisher: Prediction | None = None,
    phase: Phase | None = None,
) -> LearningRate:
    """Bound, start and reason from the measured batch curvature, with the theory's one-sample bound beside it.

    Args:
        curvature: λ_max of the batch GGN (preconditioned for adam), and the start that was measured with it.
        loss: the loss it was measured with.
        optimizer: who descends.
        outputs: C.
        fisher: predicted one-sample dual; its largest eigenvalue × :func:`hessian_scale` is theory's sharpness.
        phase: of the network; outside criticality the curvature of the start misleads, and the reason says so.

    Example:
        >>> learning_rate(Curvature(4.0, 0.0, 1), "half_squared_error", "sgd", 10).recommended
        0.175
    """
    descent = as_descent(optimizer)
    bound = descent.bound(curvature.value)
    fraction, evidence = _START[descent.optimizer]
    start = curvature.start
    recommended = fraction * 2.0 / curvature.value if start is None else start.recommended
    limit = None if start is None else start.limit
    theory = None
    preconditioned = descent.optimizer in PRECONDITIONED
    if fisher is not None and not preconditioned:
        top = fisher.top if outputs > 1 else fisher.law.mean  # one output shows the mean of the spectrum
        theory = descent.bound(top * hessian_scale(loss, outputs))
    matrix = "preconditioned GGN" if preconditioned else "GGN"
    reason = (
        f"λ = {curvature.value:.4g} is the largest eigenvalue of the {matrix} of {loss} over a batch of {curvature.batch}; "
        f"the linearised training contracts below {bound:.3g} = {descent.formula}. "
    )
    if start is None:
        reason += f"Start at {fraction} × 2/λ = {recommended:.3g} ({evidence})."
    else:
        reason += (
            f"Training leaves that start: by the trials start at {start.formula} = {recommended:.3g} ({start.evidence})."
            f"{_far(recommended / bound)}"
        )
    if phase in _CAUTION:
        reason = f"{_CAUTION[phase]} {reason}"
    if curvature.predicted is not None:
        reason += (
            f" Freshly drawn wide layers of these variances would have λ = {curvature.predicted:.4g} on these inputs, by their "
            f"tangent kernel; measured is {curvature.value / curvature.predicted:.2f} times that."
        )
    if theory is not None and curvature.batch > 1:
        reason += (
            f" One sample alone would allow {theory:.3g} by theory; the gradients of a batch point in different directions, "
            "so its curvature differs."
        )
    return LearningRate(
        bound,
        recommended,
        reason,
        curvature.value,
        curvature.error,
        theory,
        loss,
        descent.optimizer,
        curvature.batch,
        limit,
        curvature.predicted,
        None if start is None else start.early,
    )


def _far(share: float) -> str:
    """A word of caution where the trials leave the bound far behind."""
    if share < _FAR:
        return ""
    return (
        f" That is {share:.2g} times what the linearised start bears, which loud starts and normalised layers often do: watch "
        f"the first steps, and go down to {1 / share:.2g} of it if the loss rises."
    )
