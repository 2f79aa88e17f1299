"""The largest stable learning rate, and where to start.

Gradient descent on the linearised loss contracts iff η < 2/λ_max(GGN) (theory.md §7). The GGN of a loss averaged over the
batch has the dual (1/B)·Σ over samples of H^{1/2} Θ H^{1/2} with H the Hessian of the loss in the outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from freeness.spectra import Prediction
from freeness.training.loss import Loss
from freeness.training.losses import loss_of
from freeness.training.objective import Objective
from freeness.training.optimizer import Optimizer
from freeness.training.optimizers import optimizer_of
from freeness.training.rate import Rate
from freeness.training.usual_rate import rate_of_sharpness

_CAUTION = {
    "ordered": "Repair the initialisation first: the signal vanishes with depth, and the curvature grows many times as training "
    "restores it, so no rate of the start serves for long.",
    "chaotic": "Repair the initialisation first: gradients explode with depth, and this rate is that of a start which training "
    "leaves at once.",
}


@dataclass(frozen=True)
class Curvature:
    """A measured sharpness: λ_max of the (preconditioned) batch GGN, its error, the batch size, and the start if measured.

    ``predicted``: by the kernel of the same inputs, :func:`~freeness.advice.batch_learning_rate`.
    """

    value: float
    error: float
    batch: int
    start: Rate | None = None
    predicted: float | None = None


def measured_rate(
    curvature: Curvature,
    loss: Objective | str,
    optimizer: Optimizer | str,
    outputs: int = 1,
    fisher: Prediction | None = None,
    phase: str | None = None,
) -> Rate:
    """Bound, start and reason from the measured batch curvature, with the theory's one-sample bound beside it.

    Args:
        curvature: λ_max of the batch GGN (preconditioned for adam), and the start that was measured with it.
        loss: the loss it was measured with.
        optimizer: a name or an :class:`~freeness.training.Optimizer`, with its momentum and weight decay.
        outputs: C, asked for by theory only.
        fisher: predicted one-sample dual; its largest eigenvalue × the loss' curvature in the outputs is theory's sharpness.
        phase: of the network, "ordered" or "chaotic", where it is far from critical: there the curvature of the start
            misleads, and the reason says so.

    Example:
        >>> measured_rate(Curvature(4.0, 0.0, 1), "half_squared_error", "sgd").recommended
        0.175
    """
    descent, criterion = optimizer_of(optimizer), loss if isinstance(loss, Objective) else loss_of(loss)
    bound = descent.bound(curvature.value)
    matrix = "preconditioned GGN" if descent.preconditioned else "GGN"
    details = (
        f"λ = {curvature.value:.4g} is the largest eigenvalue of the {matrix} of {criterion} over a batch of {curvature.batch}. "
        f"Training that is linearised at the start contracts below {bound:.3g} = {descent.formula}.",
    )
    found = curvature.start or rate_of_sharpness(curvature.value, criterion, descent, curvature.batch)
    reasons = [found.reason]
    theory = None
    if fisher is not None and not descent.preconditioned and isinstance(criterion, Loss):
        top = fisher.top if outputs > 1 else fisher.law.mean  # one output shows the mean of the spectrum
        theory = descent.bound(top * criterion.curvature(outputs))
    if phase is not None and phase in _CAUTION:
        reasons.insert(0, _CAUTION[phase])
    return replace(
        found,
        bound=bound,
        sharpness=curvature.value,
        sharpness_error=curvature.error,
        reason=" ".join(reasons),
        details=(*details, *found.details, f"Evidence: {found.evidence}.", *_beside(curvature, theory)),
        batch=curvature.batch,
        theory_bound=theory,
        predicted_sharpness=curvature.predicted,
    )


def _beside(curvature: Curvature, theory: float | None) -> tuple[str, ...]:
    """What theory says of the same inputs, and of one sample."""
    told: list[str] = []
    if curvature.predicted is not None:
        told.append(
            f"Freshly drawn wide layers of these variances would have λ = {curvature.predicted:.4g} on these inputs, by their "
            f"tangent kernel; measured is {curvature.value / curvature.predicted:.2f} times that."
        )
    if theory is not None and curvature.batch > 1:
        told.append(
            f"One sample alone would allow {theory:.3g} by theory; the gradients of a batch point in different directions, "
            "so its curvature differs."
        )
    return tuple(told)
