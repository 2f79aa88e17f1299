"""Binary cross-entropy of outputs that are logits of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Num
from scipy.special import expit

from freeness.errors import InputError
from freeness.training.loss import Loss


@final
@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """The mean over outputs of -y ln p - (1-y) ln(1-p), p = 1/(1+e^-f); H = diag p(1-p)/C. torch's BCEWithLogitsLoss.

    Example:
        >>> BinaryCrossEntropy().curvature(2)  # p(1-p) is ¼ at f = 0
        0.125
    """

    @property
    def name(self) -> str:
        return "binary_cross_entropy"

    @property
    def formula(self) -> str:
        return "mean over outputs of -y ln p - (1-y) ln(1-p), p = 1/(1+e^-f)"

    @property
    def expects(self) -> str:
        return "probabilities of the outputs' shape"

    def value(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch"]:
        """The mean of ln(1+e^f) - yf, which is the same."""
        return (np.logaddexp(0.0, outputs) - targets * outputs).mean(axis=-1)

    def slope(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch outputs"]:
        """(p - y)/C."""
        return (expit(outputs) - targets) / outputs.shape[-1]

    def hessian(self, outputs: Float[np.ndarray, "*batch outputs"]) -> Float[np.ndarray, "*batch outputs outputs"]:
        """diag p(1-p)/C."""
        p = expit(outputs)
        size = p.shape[-1]
        return (p * (1 - p) / size)[..., None] * np.eye(size)

    def curvature(self, outputs: int) -> float:
        """1/(4C), at p = ½."""
        return 0.25 / outputs

    def steepest(self, outputs: int) -> float:
        """1/(4C): p(1-p) is nowhere larger."""
        return 0.25 / outputs

    def check(self, targets: Num[np.ndarray, "samples outputs"]) -> None:
        """From 0 to 1."""
        if not ((targets >= 0).all() and (targets <= 1).all()):
            raise InputError("expected targets from 0 to 1 for binary_cross_entropy, got others; give probabilities.")


NAMED = (BinaryCrossEntropy(),)
