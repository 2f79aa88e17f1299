"""Any other loss, to second order: all that bounds on the rate ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Num

from freeness.errors import InputError
from freeness.training.loss import Loss

_UNSYMMETRIC = 1e-8  # relative asymmetry, and negative part, of a Hessian that are rounding


@final
@dataclass(frozen=True, eq=False)
class QuadraticLoss(Loss):
    """½ (f - y)ᵀ H (f - y) with a given H, (C, C): your own loss by the Hessian that it has in one sample's outputs.

    Raises:
        InputError: H is not square, symmetric, positive semi-definite and other than 0.

    Example:
        >>> QuadraticLoss(np.diag([1.0, 3.0])).curvature(2)
        3.0
    """

    matrix: Float[np.ndarray, "outputs outputs"]

    def __post_init__(self) -> None:
        matrix = _matrix(self.matrix)
        size = float(np.abs(matrix).max())
        if np.abs(matrix - matrix.T).max() > _UNSYMMETRIC * size:
            raise InputError(
                "expected a symmetric Hessian of the loss, got one that is not; a second derivative always is."
            )
        least = float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[0])
        if least < -_UNSYMMETRIC * size:
            raise InputError(
                f"expected a positive semi-definite Hessian of the loss, got the eigenvalue {least:.3g}; 2/λ bounds "
                "losses that are convex in the outputs, so take the positive part of this one."
            )
        if size == 0:
            raise InputError("expected a Hessian of the loss other than 0, got 0; nothing is learnt from such a loss.")
        object.__setattr__(self, "matrix", (matrix + matrix.T) / 2)

    @property
    def name(self) -> str:
        return "the given loss"

    @property
    def formula(self) -> str:
        return "½ (f - y)ᵀ H (f - y)"

    @property
    def expects(self) -> str:
        return "numbers of the outputs' shape"

    def value(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch"]:
        """½ (f - y)ᵀ H (f - y)."""
        return (self.slope(outputs, targets) * (outputs - targets)).sum(axis=-1) / 2

    def slope(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch outputs"]:
        """H(f - y)."""
        return (outputs - targets) @ self._of(outputs.shape[-1])

    def hessian(self, outputs: Float[np.ndarray, "*batch outputs"]) -> Float[np.ndarray, "*batch outputs outputs"]:
        """H."""
        return np.broadcast_to(self._of(outputs.shape[-1]), (*outputs.shape, outputs.shape[-1]))

    def steepest(self, outputs: int) -> float:
        """The largest eigenvalue of H."""
        return self.curvature(outputs)

    def check(self, targets: Num[np.ndarray, "samples outputs"]) -> None:
        """All numbers are taken."""
        self._of(targets.shape[-1])

    def _of(self, outputs: int) -> np.ndarray:
        """H, if it is that of so many outputs."""
        if self.matrix.shape != (outputs, outputs):
            raise InputError(
                f"expected the {outputs}×{outputs} Hessian of the loss in the outputs, got shape {self.matrix.shape}; average it "
                "over the samples."
            )
        return self.matrix


def _matrix(given: object) -> np.ndarray:
    try:
        matrix = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.ndim != 2 or matrix.shape != matrix.shape[::-1] or matrix.size == 0 or not np.isfinite(matrix).all():
        raise InputError(
            f"expected the C×C Hessian of the loss in the outputs, finite numbers, got shape {matrix.shape}; average it over the "
            "samples."
        )
    return matrix
