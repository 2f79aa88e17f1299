"""The rate at which training breaks, by an empirical law in what a model shows before it is trained.

Training breaks where most of three runs end above their first loss. Gradient descent does so some times beyond the reach ℓ of the
first step, earlier with quiet outputs, which grow, and with sums that nothing normalises, later where layers are normalised.
Adam's steps have a size of their own, and what they break hardly depends on the curvature of the start.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from freeness.training.batch_share import between
from freeness.training.optimizer import Optimizer
from freeness.training.optimizers.sgd import SGD
from freeness.training.start_facts import StartFacts

Kind = Literal["squared", "cross_entropy"]  # of losses

_QUIET = 1e-3  # loudness from which it counts, up to 1


class Breaking(NamedTuple):
    """``limit``: where training is expected to break; ``early``: where a tenth of the networks did."""

    early: float
    limit: float


class _Descent(NamedTuple):
    """limit = scale·ℓ·(λℓ)^curved·l^loud·(1-β)^memory, times ``normalised``, or ``sums``; early is so many times that."""

    scale: float
    curved: float
    loud: float
    memory: float
    early: float
    normalised: float
    sums: float

    def breaking(self, facts: StartFacts, beta: float) -> Breaking:
        heard = min(max(facts.loudness, _QUIET), 1.0)
        limit = self.scale * facts.reach * (facts.sharpness * facts.reach) ** self.curved * heard**self.loud
        limit *= (1 - beta) ** self.memory
        if facts.normalised:
            limit *= self.normalised
        elif facts.residual:
            limit *= self.sums
        return Breaking(self.early * limit, limit)


class _Adaptive(NamedTuple):
    """limit = scale, times factors of kinds of networks."""

    scale: float
    early: float
    normalised: float
    convolutional: float
    sums: float
    saturating: float

    def breaking(self, facts: StartFacts, beta: float) -> Breaking:
        limit = self.scale * (self.saturating if facts.saturating else 1.0)
        if facts.normalised:
            limit *= self.normalised
        else:
            limit *= (self.convolutional if facts.convolutional else 1.0) * (self.sums if facts.residual else 1.0)
        return Breaking(self.early * limit, limit)


_DESCENT: dict[Kind, tuple[_Descent, _Descent]] = {  # for single samples, for batches of 64
    "squared": (
        _Descent(2.81, 0.26, 0.36, 0.52, 0.67, normalised=2.72, sums=0.64),
        _Descent(6.26, -0.43, 0.21, -0.21, 0.60, normalised=1.70, sums=0.54),
    ),
    "cross_entropy": (
        _Descent(0.24, 0.97, 0.85, 1.16, 0.35, normalised=3.90, sums=0.45),
        _Descent(3.95, 0.29, 0.87, 0.50, 0.36, normalised=2.54, sums=0.33),
    ),
}
_ADAPTIVE: dict[Kind, tuple[_Adaptive, _Adaptive]] = {
    "squared": (
        _Adaptive(0.036, 0.32, normalised=27.7, convolutional=2.66, sums=0.28, saturating=1.30),
        _Adaptive(0.175, 0.52, normalised=2.97, convolutional=0.98, sums=0.35, saturating=1.59),
    ),
    "cross_entropy": (
        _Adaptive(0.003, 0.18, normalised=26.3, convolutional=3.18, sums=1.02, saturating=0.58),
        _Adaptive(0.421, 0.26, normalised=3.09, convolutional=2.78, sums=0.19, saturating=0.17),
    ),
}


def breaking_rate(facts: StartFacts, kind: Kind, descent: Optimizer, share: float) -> Breaking:
    """The rate at which training of such a network is expected to break.

    Args:
        facts: of the model, its data and its batch size.
        kind: of loss.
        descent: an :class:`~freeness.training.Optimizer`, with its momentum and weight decay.
        share: as of :func:`~freeness.training.batch_share.batch_share`.

    Source: fitted to 264 networks of the bank in docs/learning-rate-bank.md; 200 steps on Fashion-MNIST.

    Example:
        >>> from freeness.training import StartFacts, optimizer_of
        >>> facts = StartFacts(100.0, 1.0, 0.01, 0.5, 10_000, batch=1)
        >>> round(breaking_rate(facts, "squared", optimizer_of("sgd"), 0.0).limit, 6)
        0.0281
    """
    constants = (_DESCENT if isinstance(descent, SGD) else _ADAPTIVE)[kind]
    beta = descent.momentum if isinstance(descent, SGD) else 0.0
    one, many = (each.breaking(facts, beta) for each in constants)
    return Breaking(*(between(a, b, share) for a, b in zip(one, many, strict=True)))
