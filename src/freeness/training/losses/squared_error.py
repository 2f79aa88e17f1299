"""Squared errors, by how they are summed over the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Num

from freeness.training.loss import Loss


@final
@dataclass(frozen=True)
class SquaredError(Loss):
    """h/2 · Σ over outputs of (f - y)², with h = 1, or h = 1/C or 2/C for means over the C outputs; H = h·1 everywhere.

    ``averaged``: over the outputs; ``halved``: ½ of it. "half_squared_error" is ½ Σ, "half_mean_squared_error" ½ mean, "mse" the
    mean, as torch's MSELoss has it.

    Example:
        >>> from freeness.training import loss_of
        >>> loss_of("mse").curvature(10), loss_of("half_squared_error").curvature(10)
        (0.2, 1.0)
    """

    averaged: bool = False
    halved: bool = True

    @property
    def name(self) -> str:
        """half_squared_error, half_mean_squared_error, squared_error or mse."""
        if self.averaged:
            return "half_mean_squared_error" if self.halved else "mse"
        return "half_squared_error" if self.halved else "squared_error"

    @property
    def formula(self) -> str:
        return f"{'½ ' if self.halved else ''}{'mean' if self.averaged else 'Σ'} over outputs of (f - y)²"

    @property
    def expects(self) -> str:
        return "numbers of the outputs' shape"

    def value(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch"]:
        """h/2 · ‖f - y‖²."""
        return self.curvature(outputs.shape[-1]) / 2 * ((outputs - targets) ** 2).sum(axis=-1)

    def slope(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch outputs"]:
        """h(f - y)."""
        return self.curvature(outputs.shape[-1]) * (outputs - targets)

    def hessian(self, outputs: Float[np.ndarray, "*batch outputs"]) -> Float[np.ndarray, "*batch outputs outputs"]:
        """h·1."""
        size = outputs.shape[-1]
        return np.broadcast_to(self.curvature(size) * np.eye(size), (*outputs.shape, size))

    def curvature(self, outputs: int) -> float:
        """h."""
        return (1.0 if self.halved else 2.0) / (outputs if self.averaged else 1)

    def steepest(self, outputs: int) -> float:
        """h, whatever the outputs."""
        return self.curvature(outputs)

    def check(self, targets: Num[np.ndarray, "samples outputs"]) -> None:
        """All numbers are taken."""


NAMED = (SquaredError(), SquaredError(averaged=True), SquaredError(averaged=True, halved=False))
