"""The learning rate to start from, by an empirical law in quantities that a model shows before it is trained.

2/λ bounds the training that is linearised at the start; real training leaves that start. How far the first step should go, ℓ,
knows more than curvature does: the geometric mean of ℓ and 1/λ, less for quiet outputs, which grow and take curvature with them,
and less for saturating activations on single samples, is near the best rate of many networks. Adam's steps have a size of their
own: fewer parameters and a smaller preconditioned λ allow longer ones. The form follows these reasons; the constants were fitted
to 216 trained networks, where training breaks to 264, and both were judged by 96 others (docs/learning-rate-bank.md).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from freeness.training.batch_share import batch_share, between
from freeness.training.breaking import Kind, breaking_rate
from freeness.training.cross_entropy import CrossEntropy
from freeness.training.loss import Loss
from freeness.training.losses import loss_of
from freeness.training.optimizer import Optimizer
from freeness.training.optimizers import optimizer_of
from freeness.training.rate import Rate
from freeness.training.sgd import SGD
from freeness.training.start_facts import StartFacts

_BEYOND = 3.0  # times the linearised bound that networks which saturate bear; more was hardly seen, and broke some
_SHARED: dict[Kind, float] = {"squared": 0.25, "cross_entropy": 0.5}  # least share left by the first step that counts
_INTERVAL = (0.13, 3.9)  # of the rate: 5 % of the best rates of the 96 networks lie below, 5 % above
_WORDS = (
    "λ is the largest curvature of the loss, reach the rate at which one step along the gradient leaves the least loss, left the "
    "share of the loss that it leaves, loudness the variance of the outputs over that of the targets, P the number of parameters"
)
_EVIDENCE = (
    "an empirical law: of 96 networks that it was not fitted to, 65 came within 5 % of the best of 20 trials and 88 within 30 %, "
    "and 3 diverged, see docs/learning-rate-bank.md"
)


class _Descent(NamedTuple):
    """η = scale·ℓ·(λℓ)^curved·l^loud·left^left·(1-β)^memory, l within ``heard``.

    Factors of kinds of networks: ``saturating``; ``quiet_sums``, where nothing normalises, which fades between l = 1 and 4.
    """

    scale: float
    curved: float
    loud: float
    heard: tuple[float, float]
    left: float
    memory: float
    saturating: float
    quiet_sums: float = 1.0

    def factors(self, facts: StartFacts) -> dict[str, float]:
        """Of the kinds that the network is of, by what is to be said of them."""
        found = {"saturating activations": self.saturating} if facts.saturating else {}
        if facts.residual and not facts.normalised:
            loud = min(max(math.log(facts.loudness) / math.log(_LOUD), 0.0), 1.0) if facts.loudness > 0 else 0.0
            found["quiet sums"] = self.quiet_sums ** (1 - loud)
        return {kind: factor for kind, factor in found.items() if factor != 1}

    @property
    def formula(self) -> str:
        """With its numbers."""
        return f"{self.scale:g}·reach·(λ·reach)^{self.curved:g}·loudness^{self.loud:g}·left^{self.left:g}·(1-β)^{self.memory:g}"


class _Adaptive(NamedTuple):
    """η = scale·λ^-0.4·P^-½·l^loud, l from 10^-3 to 1."""

    scale: float
    loud: float
    saturating: float

    def factors(self, facts: StartFacts) -> dict[str, float]:
        """As of gradient descent."""
        return {"saturating activations": self.saturating} if facts.saturating and self.saturating != 1 else {}

    @property
    def formula(self) -> str:
        """With its numbers."""
        return f"{self.scale:g}·λ^-0.4·P^-½·loudness^{self.loud:g}"


_Constants = _Descent | _Adaptive
_LOUD = 4.0  # loudness from which sums count as any network; 1 is quiet
_SINGLE, _BATCH = (1e-3, 1.0), (1e-5, 1e3)
_DESCENT: dict[Kind, tuple[_Descent, _Descent]] = {  # for single samples, for batches of 64
    "squared": (
        _Descent(1.43, -0.5, 0.4, _SINGLE, -0.25, 0.74, 0.32),
        _Descent(6.0, -0.25, 0.3, _BATCH, 0.87, 0.27, 0.84, quiet_sums=0.55),
    ),
    "cross_entropy": (
        _Descent(0.103, -0.5, 0.4, _SINGLE, 0.44, 0.95, 1.0),
        _Descent(0.36, -0.25, 0.3, _BATCH, -2.3, 0.86, 1.0, quiet_sums=0.55),
    ),
}
_ADAPTIVE: dict[Kind, tuple[_Adaptive, _Adaptive]] = {
    "squared": (_Adaptive(5.8, 0.2, 0.31), _Adaptive(17.5, 0.1, 0.84)),
    "cross_entropy": (_Adaptive(1.23, 0.09, 0.88), _Adaptive(9.4, 0.11, 0.80)),
}


def start_rate(facts: StartFacts, loss: Loss | str, optimizer: Optimizer | str = "sgd") -> Rate:
    """Where to start: products of powers for single samples and for batches of 64, and between them a power of the batch.

    Gradient descent: scale·ℓ·(λℓ)^-b·l^a·left^d·(1-β)^m, with b = ½ and a = 0.4 for single samples, b = ¼ and a = 0.3 for
    batches. Adam: scale·λ^-0.4·P^-½·l^a for P parameters. Saturating activations get a factor of their own and, in gradient
    descent, at most 3 times the bound of the linearised start. Quiet sums that nothing normalises get a factor in batches. With
    squared losses gradient descent stays below the rate at which a tenth of such networks break. A batch of more than 64 counts
    as 64. All rates scale with the loss as they must: ℓ and 1/λ do.

    Args:
        facts: of the model, its data and its batch size.
        loss: that is trained with.
        optimizer: who descends.

    Raises:
        InputError: an unknown optimiser, or a sharpness or reach of 0.

    Source: fitted to 216 networks, its bounds to 264, of the bank in docs/learning-rate-bank.md, 200 steps on Fashion-MNIST.

    Example:
        >>> facts = StartFacts(100.0, 1.0, 0.01, 0.5, 10_000, batch=1)
        >>> round(start_rate(facts, "half_squared_error").recommended, 6)
        0.017006
    """
    descent = optimizer_of(optimizer)
    descent.bound(facts.reach)  # refuses 0, as the next does
    bound = descent.bound(facts.sharpness)
    share, criterion = batch_share(facts.batch), loss_of(loss)
    kind: Kind = "cross_entropy" if isinstance(criterion, CrossEntropy) else "squared"
    constants: tuple[_Constants, _Constants]
    if not isinstance(descent, SGD):
        constants = _ADAPTIVE[kind]
        rates = tuple(_adaptive(facts, each) for each in _ADAPTIVE[kind])
    else:
        constants, beta = _DESCENT[kind], descent.momentum
        left = max(facts.left, _SHARED[kind])
        rates = tuple(_descending(facts, each, (left, beta)) for each in _DESCENT[kind])
    single, batch = constants
    rate = between(rates[0], rates[1], share)
    breaking = breaking_rate(facts, kind, descent, share)
    ceilings: dict[str, float] = {}
    if isinstance(descent, SGD):
        ceilings |= {f"{_BEYOND:g} times the linearised bound": _BEYOND * bound} if facts.saturating else {}
        ceilings |= {"where a tenth of such networks break": breaking.early} if kind == "squared" else {}
    formula = (batch if share == 1 else single).formula
    if 0 < share < 1:
        formula = f"a rate between {single.formula} for one sample and {batch.formula} for 64"
    formula += (
        f" (reach {facts.reach:.3g}, loudness {facts.loudness:.3g}, left {facts.left:.2g}, P = {facts.parameters})"
    )
    for name, factor in _kinds(facts, single, batch, share).items():
        formula += f", times {factor:.2g} for {name}"
    for name, ceiling in ceilings.items():
        if ceiling < rate and ceiling == min(ceilings.values()):
            rate, formula = ceiling, f"{formula}, but no more than {name}"
    told = breaking.limit >= rate  # else quiet networks that hardly learn: any noise lifts their loss
    broke = (
        f"Of the networks that this was fitted to a tenth ended above their first loss below {breaking.early:.3g}, a third below "
        f"{breaking.limit:.3g}.",
    )
    return Rate(
        recommended=rate,
        bound=bound,
        sharpness=facts.sharpness,
        reason=f"Start at {rate:.3g}: a rule fitted to trained networks, from how far the first step should go and how sharply "
        "the loss bends.",
        loss=criterion.name,
        optimizer=descent.name,
        batch=facts.batch,
        evidence=_EVIDENCE,
        low=_INTERVAL[0] * rate,
        high=_INTERVAL[1] * rate,
        early=breaking.early if told else None,
        limit=breaking.limit if told else None,
        formula=formula,
        details=(f"The rule: {formula} = {rate:.3g}; {_WORDS}.", *(broke if told else ())),
    )


def _kinds(facts: StartFacts, single: _Constants, batch: _Constants, share: float) -> dict[str, float]:
    """What kinds of networks get, between single samples and batches."""
    one, many = single.factors(facts), batch.factors(facts)
    found = {name: between(one.get(name, 1.0), many.get(name, 1.0), share) for name in one | many}
    return {name: factor for name, factor in found.items() if factor != 1}


def _descending(facts: StartFacts, constants: _Descent, of: tuple[float, float]) -> float:
    left, beta = of
    heard = min(max(facts.loudness, constants.heard[0]), constants.heard[1])
    shape = facts.reach * (facts.sharpness * facts.reach) ** constants.curved * heard**constants.loud
    shape *= left**constants.left * (1 - beta) ** constants.memory
    return constants.scale * shape * math.prod(constants.factors(facts).values())


def _adaptive(facts: StartFacts, constants: _Adaptive) -> float:
    heard = min(max(facts.loudness, _SINGLE[0]), _SINGLE[1])
    shape = facts.sharpness**-0.4 * facts.parameters**-0.5 * heard**constants.loud
    return constants.scale * shape * math.prod(constants.factors(facts).values())
