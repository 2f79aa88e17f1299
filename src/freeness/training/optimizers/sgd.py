"""Gradient descent, plain, with momentum, or with Nesterov's momentum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from freeness.training.checks import check_decay, check_share
from freeness.training.optimizer import Optimizer


@final
@dataclass(frozen=True)
class SGD(Optimizer):
    """v ← βv + g, then W ← W - ηv, or W - η(g + βv) after Nesterov; without dampening. w·W is added to the gradient.

    It contracts below 2(1+β)/(λ+w), after Nesterov below (2+2β)/((1+2β)(λ+w)): the root -1 of the update's characteristic
    polynomial.

    ``momentum``: β; ``weight_decay``: w.

    Raises:
        InputError: β outside [0, 1), or a negative decay.

    Source: theory.md §7; Cohen et al. (2021) for momentum.

    Example:
        >>> round(SGD(momentum=0.9).bound(4.0), 12), SGD(weight_decay=1.0).bound(4.0)
        (0.95, 0.4)
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        check_share("momentum", self.momentum)
        check_decay(self.weight_decay)

    @property
    def name(self) -> str:
        """sgd, momentum or nesterov."""
        return "sgd" if self.momentum == 0 else "nesterov" if self.nesterov else "momentum"

    @property
    def formula(self) -> str:
        """With β and the decay."""
        text = {
            "sgd": "2/λ",
            "momentum": f"2(1+β)/λ with β = {self.momentum:g}",
            "nesterov": f"(2+2β)/((1+2β)λ) with β = {self.momentum:g}",
        }[self.name]
        return text + (f" and weight decay {self.weight_decay:g}" if self.weight_decay else "")

    def contracts_below(self, sharpness: float) -> float:
        """2(1+β)/(λ+w), after Nesterov over 1+2β."""
        beta = float(self.momentum)
        factor = (2 + 2 * beta) / (1 + 2 * beta) if self.nesterov else 2 * (1 + beta)
        return factor / (sharpness + float(self.weight_decay))

    def having(self, momentum: float | None, weight_decay: float | None) -> SGD:
        """Plain descent has no β and keeps none."""
        return replace(
            self,
            momentum=self.momentum if momentum is None or self.momentum == 0 else momentum,
            weight_decay=self.weight_decay if weight_decay is None else weight_decay,
        )


_USUAL = 0.9  # β of momentum and nesterov
NAMED = (SGD(), SGD(momentum=_USUAL), SGD(momentum=_USUAL, nesterov=True))
