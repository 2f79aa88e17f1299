"""What an optimiser is to the theory of training: where it stops contracting on a quadratic."""

from __future__ import annotations

from abc import ABC, abstractmethod

from freeness.errors import InputError


class Optimizer(ABC):
    """An optimiser with its numbers, as torch runs it; the rate is no part of it.

    A subclass is a frozen dataclass that states its bound; how it steps is told where something steps.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called on command lines, in files and in sentences."""

    @property
    @abstractmethod
    def formula(self) -> str:
        """Its bound as a formula in λ, with its numbers."""

    @property
    def preconditioned(self) -> bool:
        """Whether λ is that of the curvature divided by a preconditioner, as Adam's."""
        return False

    @abstractmethod
    def contracts_below(self, sharpness: float) -> float:
        """The rate at which it stops contracting on a quadratic of largest curvature λ > 0."""

    def bound(self, sharpness: float) -> float:
        """The same, for any number that was measured.

        Args:
            sharpness: λ; of the preconditioned matrix where it is ``preconditioned``.

        Raises:
            InputError: it is not positive.

        Example:
            >>> from freeness.training import optimizer_of
            >>> optimizer_of("sgd").bound(4.0), round(optimizer_of("momentum").bound(4.0), 12)
            (0.5, 0.95)
        """
        if not 0 < sharpness < float("inf"):
            raise InputError(
                f"expected a sharpness > 0, got {sharpness}: the outputs do not depend on the parameters here, so no rate "
                "follows; repair the initialisation or the input."
            )
        return self.contracts_below(sharpness)

    def having(self, momentum: float | None, weight_decay: float | None) -> Optimizer:
        """The same with another β, where it has one, and another weight decay; None leaves a number as it is.

        Raises:
            InputError: it knows no such numbers.
        """
        if momentum is None and weight_decay is None:
            return self
        raise InputError(
            f"expected no momentum or weight decay beside {self.name}, got some; make one with its own numbers."
        )

    def __str__(self) -> str:
        return self.name
