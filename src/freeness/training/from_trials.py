"""The learning rate to start from, and between which rates the best one lies, from curvature and size alone.

2/λ bounds training that is linearised at the start, and training leaves the start: sharp starts flatten and flat ones sharpen, so
that of what two starts differ by in curvature about half (in logarithms) is left when the rate matters. Hence λ^-½ for gradient
descent. All parameters move at once, and at one rate many move the outputs further than few, hence a power of their number P.
Adam's steps have a size of their own: what they do grows with P, and depends less on λ, which is preconditioned.

The exponents are simple fractions; the constants of loss, batch and optimiser are those that ``scripts/bank_fit.py`` fits, and
the intervals come from networks of families that no constant was fitted to (docs/learning-rate-bank.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, NamedTuple

from freeness.training.batch_share import batch_share, between
from freeness.training.losses import loss_of
from freeness.training.losses.squared_error import SquaredError
from freeness.training.objective import Objective
from freeness.training.optimizer import Optimizer
from freeness.training.optimizers import optimizer_of
from freeness.training.optimizers.sgd import SGD
from freeness.training.rate import Rate
from freeness.training.start_facts import StartFacts

_Kind = Literal["squared", "cross_entropy"]
_Pair = tuple[float, float]  # for single samples, and for batches of 64
DESCENT: dict[_Kind, _Pair] = {"squared": (1.21, 6.36), "cross_entropy": (0.638, 7.85)}
MEMORY: _Pair = (0.973, 0.556)  # exponent of 1 - β
ADAPTIVE: dict[_Kind, _Pair] = {"squared": (1.11, 3.97), "cross_entropy": (0.432, 2.59)}
FLAT = 2.0  # λ/h that flatter starts of gradient descent count as, for they sharpen
_FEW = 8  # samples a batch below which normalised layers and squared losses were badly met


class _Interval(NamedTuple):
    """Multiples of the rule between which the best rate is expected, and what they rest on."""

    low: float
    high: float
    why: str


USUAL = _Interval(0.42, 2.5, "of families of networks that no constant was fitted to, it held the best rate of 9 in 10")
SINGLES = _Interval(
    0.5, 20.0, "with normalised layers, squared losses and single samples the rule was up to 20 times too low"
)
UNTRIED = _Interval(0.15, 10.0, "hardly anything like this was trained, and the best rate was up to 7 times the rule")
CONVOLUTIONS = _Interval(
    0.15,
    10.0,
    "with convolutions and nothing that normalises the rule was up to 16 times too low, and 3 times too high",
)
NARROW = _Interval(0.05, 2.5, "with as many layers as units in them the rule was 2 to 16 times too high")
_EVIDENCE = (
    "of 96 networks that it was not fitted to, 56 came within 5 % of the best of 20 trials, 69 within 10 %, and 1 diverged "
    "(docs/learning-rate-bank.md)"
)


def start_rate(facts: StartFacts, loss: Objective | str, optimizer: Optimizer | str = "sgd") -> Rate:
    """Where to start, and the interval in which the best rate is expected.

    Gradient descent: c·(λ/h)^-½·P^-¼/h·(1-β)^m, but no more than where linearised training stops contracting; λ/h counts from 2
    on, and h is the loss' curvature in an output, so that the rate scales with the loss as it must. Adam: c·λ^-¼·P^-½, λ
    preconditioned. c and m for single samples and for batches of 64, and between them a power of the batch; a batch of more than
    64 counts as 64. Where a sample has classes, or numbers, at several places, each counts as a sample.

    Args:
        facts: of the model, its data and its batch size; λ, P and h count, and which interval holds.
        loss: that is trained with; all but squared ones count as cross-entropies.
        optimizer: a name or an :class:`~freeness.training.Optimizer`, with its momentum and weight decay.

    Raises:
        InputError: an unknown optimiser, or a sharpness of 0.

    Source: ``scripts/bank_fit.py``, fitted to 264 networks of the bank in docs/learning-rate-bank.md, 200 steps.

    Example:
        >>> rate = start_rate(StartFacts(100.0, 1.0, 0.01, 0.5, 10_000, batch=1), "half_squared_error")
        >>> round(rate.recommended, 4), round(rate.low, 4), round(rate.high, 4)
        (0.0121, 0.0051, 0.0302)
    """
    descent, criterion = optimizer_of(optimizer), loss if isinstance(loss, Objective) else loss_of(loss)
    bound, share = descent.bound(facts.sharpness), batch_share(facts.batch * facts.places)
    kind: _Kind = "squared" if isinstance(criterion, SquaredError) else "cross_entropy"
    if isinstance(descent, SGD):
        memory = MEMORY[0] * (1 - share) + MEMORY[1] * share
        constant = between(*DESCENT[kind], share) * (1 - descent.momentum) ** memory
        free = constant * max(facts.sharpness / facts.scale, FLAT) ** -0.5 * facts.parameters**-0.25 / facts.scale
        rate, formula = min(free, bound), f"{constant:.3g}·(λ/h)^-½·P^-¼/h"
    else:
        constant = between(*ADAPTIVE[kind], share)
        rate = free = constant * facts.sharpness**-0.25 * facts.parameters**-0.5
        formula = f"{constant:.3g}·λ^-¼·P^-½"
    interval = _interval(facts, kind)
    found = Rate(
        recommended=rate,
        bound=bound,
        sharpness=facts.sharpness,
        reason="The rate follows from the largest curvature of the loss and the number of parameters, by a rule fitted to "
        "trained networks.",
        loss=criterion.name,
        optimizer=descent.name,
        batch=facts.batch,
        evidence=_EVIDENCE + (f". None of them had {facts.untried}" if facts.untried else ""),
        low=interval.low * rate,
        high=interval.high * free,
        formula=formula,
        details=_details(facts, f"{formula} = {free:.3g}", rate < free, interval),
    )
    return replace(found, reason=f"{found.reason} {found.outlook_sentence}")


def _interval(facts: StartFacts, kind: _Kind) -> _Interval:
    """By what the network is: wider where the bank missed, and where it has nothing like it."""
    if facts.untried:
        return UNTRIED
    if facts.narrow:
        return NARROW
    if facts.convolutional and not facts.normalised:
        return CONVOLUTIONS
    return SINGLES if facts.normalised and kind == "squared" and facts.batch < _FEW else USUAL


def _details(facts: StartFacts, rule: str, held: bool, interval: _Interval) -> tuple[str, ...]:
    """The rule with its numbers, and what the interval rests on."""
    at = f" of its {facts.places} places, each of which counts as a sample" if facts.places > 1 else ""
    h = f"; h = {facts.scale:.3g} is the loss' curvature in an output{at}" if "h" in rule else ""
    down = ", held down to where training that is linearised at the start stops contracting" if held else ""
    return (
        f"The rule: {rule}{down}. Here λ = {facts.sharpness:.4g} is the largest curvature of the loss and "
        f"P = {facts.parameters} the number of parameters{h}.",
        f"The interval: {interval.low:g} to {interval.high:g} times the rule; {interval.why}.",
    )
