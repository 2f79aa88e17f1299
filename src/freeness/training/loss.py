"""What a loss is to the theory of training: a function of one sample's outputs, averaged over the batch.

The generalised Gauss–Newton matrix of a batch is (1/B) Σ_b J_bᵀ H_b J_b, with J_b the Jacobian of the outputs in the parameters
and H_b the Hessian of the loss in the outputs; its dual is (1/B) H^{1/2} J Jᵀ H^{1/2} (theory.md §7). A loss is a short class
that states value, slope and Hessian for one sample; whatever asks for losses asks this class.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from jaxtyping import Float, Num

from freeness.training.objective import Objective


class Loss(Objective):
    """A loss of one sample's C outputs and its targets, averaged over the samples of a batch.

    Outputs and targets are arrays (…, C) here; of classes the targets are their distribution, for instance one-hot rows.
    """

    @abstractmethod
    def value(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch"]:
        """The loss of each sample, (…,)."""

    @abstractmethod
    def slope(
        self, outputs: Float[np.ndarray, "*batch outputs"], targets: Num[np.ndarray, "*batch outputs"]
    ) -> Float[np.ndarray, "*batch outputs"]:
        """Its gradient in the outputs, (…, C)."""

    @abstractmethod
    def hessian(self, outputs: Float[np.ndarray, "*batch outputs"]) -> Float[np.ndarray, "*batch outputs outputs"]:
        """H, its second derivatives in the outputs, (…, C, C): what stands between J and Jᵀ in the Gauss–Newton matrix."""

    @abstractmethod
    def steepest(self, outputs: int) -> float:
        """The largest eigenvalue that H has at any values of so many outputs."""

    @abstractmethod
    def check(self, targets: Num[np.ndarray, "samples outputs"]) -> None:
        """Refuse finite targets (n, C) that it does not take.

        Raises:
            InputError: they are none; the sentence says which it expects.
        """

    def curvature(self, outputs: int) -> float:
        """The largest eigenvalue of H at outputs of 0, where networks start on average."""
        return float(np.linalg.eigvalsh(self.hessian(np.zeros(outputs)))[-1])

    def at_zero(self, targets: Num[np.ndarray, "samples outputs"]) -> float:
        """The mean loss of outputs that are all 0: a first value far above it says that the outputs are loud.

        Example:
            >>> from freeness.training import loss_of
            >>> round(loss_of("cross_entropy").at_zero(np.eye(10)), 4)  # ln 10
            2.3026
        """
        rows = np.asarray(targets, dtype=float)
        return float(self.value(np.zeros(rows.shape), rows).mean())
