"""Cross-entropy of the softmax of the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Num
from scipy.special import log_softmax, softmax

from freeness.errors import InputError
from freeness.training.checks import is_share
from freeness.training.loss import Loss


@final
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """-Σ_k y_k ln p_k with p the softmax of the outputs; H = diag p - ppᵀ.

    ``label_smoothing``: ε of y → (1-ε)y + ε/C, as torch has it; it changes the slope and leaves H as it is.

    Raises:
        InputError: an ε outside [0, 1).

    Example:
        >>> CrossEntropy().curvature(10), CrossEntropy().steepest(10)
        (0.1, 0.5)
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        if not is_share(self.label_smoothing):
            raise InputError(f"expected a label smoothing in [0, 1), got {self.label_smoothing!r}; 0 is none.")

    @property
    def name(self) -> str:
        """cross_entropy, with its smoothing where there is one."""
        return "cross_entropy" + (f" (label smoothing {self.label_smoothing:g})" if self.label_smoothing else "")

    @property
    def formula(self) -> str:
        return "-Σ over classes of y ln p, p = softmax(f)"

    @property
    def expects(self) -> str:
        return "one class number a sample"

    def value(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch"]:
        """-Σ y ln p."""
        return -(self._smoothed(targets) * log_softmax(outputs, axis=-1)).sum(axis=-1)

    def slope(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch outputs"]:
        """p - y."""
        return softmax(outputs, axis=-1) - self._smoothed(targets)

    def hessian(self, outputs: Float[np.ndarray, "*batch outputs"]) -> Float[np.ndarray, "*batch outputs outputs"]:
        """diag p - ppᵀ."""
        p = softmax(outputs, axis=-1)
        return p[..., None] * np.eye(p.shape[-1]) - p[..., :, None] * p[..., None, :]

    def curvature(self, outputs: int) -> float:
        """1/C, at the uniform softmax."""
        return 1.0 / outputs

    def steepest(self, outputs: int) -> float:
        """½, where two classes share all."""
        return 0.5

    def check(self, targets: Num[np.ndarray, "samples outputs"]) -> None:
        """Each row is a distribution over classes."""
        if not ((targets >= 0).all() and np.allclose(targets.sum(axis=1), 1)):
            raise InputError("expected targets that are distributions over classes, got others; make them one-hot.")

    def _smoothed(self, targets: np.ndarray) -> np.ndarray:
        if self.label_smoothing == 0:
            return targets
        return (1 - self.label_smoothing) * targets + self.label_smoothing / targets.shape[-1]


NAMED = (CrossEntropy(),)
