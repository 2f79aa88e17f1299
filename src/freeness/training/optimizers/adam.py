"""Adam, and AdamW, whose decay does not pass the preconditioner."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from freeness.errors import InputError
from freeness.training.checks import check_decay, check_share
from freeness.training.optimizer import Optimizer


@final
@dataclass(frozen=True)
class Adam(Optimizer):
    """W ← W - η m̂/(√v̂ + ε), with means m̂ of the gradient and v̂ of its square; ``decoupled`` is AdamW.

    With v̂ frozen it contracts below 2/(w + λ(1-β₁)/(1+β₁)), λ the sharpness preconditioned by P = √v̂ + ε: a heavy ball with an
    averaged gradient.

    ``beta1``, ``beta2``, ``epsilon``: β₁, β₂, ε; ``weight_decay``: w.

    Raises:
        InputError: a β outside [0, 1), an ε ≤ 0, a negative decay, or a decay that passes the preconditioner.

    Source: theory.md §7; Cohen et al. (2022).

    Example:
        >>> round(Adam().bound(4.0), 12)
        9.5
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decoupled: bool = False

    def __post_init__(self) -> None:
        check_share("β₁", self.beta1)
        check_share("β₂", self.beta2)
        check_decay(self.weight_decay)
        if not self.epsilon > 0:
            raise InputError(f"expected an ε > 0, got {self.epsilon!r}; 1e-8 is usual.")
        if self.weight_decay > 0 and not self.decoupled:
            raise InputError(
                f"expected no weight decay with adam, got {self.weight_decay:g}, which passes the preconditioner there; take "
                "adamw, whose decay does not."
            )

    @property
    def name(self) -> str:
        """adam or adamw."""
        return "adamw" if self.decoupled else "adam"

    @property
    def formula(self) -> str:
        """With β₁ and the decay."""
        text = f"(2+2β₁)/((1-β₁)λ) with β₁ = {self.beta1:g} and the preconditioner frozen"
        return text + (f" and weight decay {self.weight_decay:g}" if self.weight_decay else "")

    @property
    def preconditioned(self) -> bool:
        """By √v̂ + ε."""
        return True

    def contracts_below(self, sharpness: float) -> float:
        """2/(w + λ(1-β₁)/(1+β₁))."""
        return 2 / (float(self.weight_decay) + sharpness * (1 - self.beta1) / (1 + self.beta1))

    def having(self, momentum: float | None, weight_decay: float | None) -> Adam:
        """β is β₁."""
        return replace(
            self,
            beta1=self.beta1 if momentum is None else momentum,
            weight_decay=self.weight_decay if weight_decay is None else weight_decay,
        )


NAMED = (Adam(), Adam(decoupled=True))
