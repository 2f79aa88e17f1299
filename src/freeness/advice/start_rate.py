"""The learning rate to start from, by an empirical law in quantities that a model shows before it is trained.

2/λ bounds the training that is linearised at the start; real training leaves that start. Outputs that are loud against the
targets come down first and take curvature with them; quiet ones grow, and curvature grows with them; under cross-entropy the
Hessian of the loss moves as well; single samples are noisy. So the best rate lies from a hundredth of 2/λ to ten times it, and
the factor is a power law of measured ratios. Its form follows these reasons, its constants were fitted to one half of a bank of
networks (docs/learning-rate-bank.md) and checked on the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from freeness.advice.learning_rate import PRECONDITIONED, Descent, KnownOptimizer, Loss, StartRate, as_descent

_FAITHFUL = 64  # batch size up to which the law was tried
_QUIET = 1e-3  # loudness below which nothing was gained by going on
_LOUD = 8.0  # excess beyond which networks diverged that took more
_SILENT = 1e-4  # loudness below which a network trained with cross-entropy shows no signal
_LIMIT = 4.0  # threshold of divergence over the recommended rate, about the geometric mean over the tuned half
Kind = Literal["squared", "cross_entropy"]
_TRIALS = (
    "an empirical law: of 19 networks that it was not fitted to, 9 came within 5 % of the best of 20 trials and 16 within "
    "30 %, and of 24 such networks 3 diverged"
)
_EVIDENCE: dict[Kind, str] = {
    "squared": f"{_TRIALS}; it was lowered since for loud starts, which is not judged by others, see docs/learning-rate-bank.md",
    "cross_entropy": f"{_TRIALS}, see docs/learning-rate-bank.md",
}


@dataclass(frozen=True)
class StartFacts:
    """What is measured at the start, see ``freeness.torch.start_facts``.

    Args:
        sharpness: λ, largest eigenvalue of the GGN over many samples; for adam and adamw of P^{-1/2} G P^{-1/2}.
        head: that of the parameters of the last layer alone; at most λ.
        loudness: variance of the outputs over that of the targets, over the samples.
        excess: loss at the start over that of the best constant output.
        left: share of the loss that the best length of the first step of gradient descent leaves.
        parameters: their number.
        batch: samples a step of the training to come.
        normalised: whether layers are normalised in the model.
    """

    sharpness: float
    head: float
    loudness: float
    excess: float
    left: float
    parameters: int
    batch: int
    normalised: bool = False


def start_rate(facts: StartFacts, loss: Loss, optimizer: KnownOptimizer | Descent = "sgd") -> StartRate:
    """Where to start: η = c·B^a times powers of λ and of ratios that say what λ will become.

    Squared losses: 1.8·B^0.32/(5 λ_head + λ·l^-0.6·e^-0.44), l the loudness up to 1, e the excess from 1 to 8: the curvature of
    the last layer stays, that of the others comes down with the outputs or grows with them. Momentum multiplies it by
    (1-β)^0.55·B^0.26 and normalisation by 4·B^-0.36. Cross-entropy: 0.034·(1-β)·B^0.8·λ^-0.6·λ_head^0.25. Adam: c·λ^-¼·P^-½ for
    P parameters, with c = 1.9·B^0.15·left^0.56 for squared losses and 0.48·B^0.42 for cross-entropy. B counts up to 64; a
    network without a signal (l < 1e-4) gets less under cross-entropy.

    Args:
        facts: of the model, its data and its batch size.
        loss: that is trained with.
        optimizer: who descends.

    Raises:
        InputError: an unknown optimiser, or a sharpness of 0.

    Source: fitted to the tuned half of the bank in docs/learning-rate-bank.md, 200 steps on Fashion-MNIST.

    Example:
        >>> facts = StartFacts(100.0, 10.0, 1.0, 1.0, 0.5, 10_000, batch=1)
        >>> round(start_rate(facts, "half_squared_error").recommended, 6)
        0.012
    """
    descent = as_descent(optimizer)
    descent.bound(facts.sharpness)  # refuses 0
    size = min(facts.batch, _FAITHFUL)
    beta = 0.0 if descent.optimizer == "sgd" else descent.momentum
    kind: Kind = "cross_entropy" if loss == "cross_entropy" else "squared"
    if descent.optimizer in PRECONDITIONED:
        rate, formula = _adaptive(facts, size, kind)
    elif kind == "squared":
        quiet, loud = max(min(facts.loudness, 1.0), _QUIET), min(max(facts.excess, 1.0), _LOUD)
        settled = 5 * facts.head + facts.sharpness * quiet**-0.6 * loud**-0.44
        rate = 1.8 * size**0.32 / settled
        formula = "1.8·B^0.32/(5 λ_head + λ·l^-0.6·e^-0.44)"
        if beta > 0:
            rate, formula = rate * (1 - beta) ** 0.55 * size**0.26, f"{formula}·(1-β)^0.55·B^0.26"
        if facts.normalised:
            rate, formula = rate * 4 * size**-0.36, f"{formula}·4 B^-0.36 for normalised layers"
    else:
        silent = max(min(facts.loudness / _SILENT, 1.0), _QUIET)
        rate = 0.034 * (1 - beta) * size**0.8 * facts.sharpness**-0.6 * facts.head**0.25 * silent**0.3
        formula = "0.034·(1-β)·B^0.8·λ^-0.6·λ_head^0.25"
    return StartRate(rate, _LIMIT * rate, formula, _EVIDENCE[kind])


def _adaptive(facts: StartFacts, size: int, kind: Kind) -> tuple[float, str]:
    common = facts.sharpness**-0.25 * facts.parameters**-0.5
    if kind == "squared":
        return 1.9 * size**0.15 * facts.left**0.56 * common, "1.9·B^0.15·left^0.56·λ^-¼·P^-½"
    return 0.48 * size**0.42 * common, "0.48·B^0.42·λ^-¼·P^-½"
