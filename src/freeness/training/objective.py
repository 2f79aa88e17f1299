"""What is trained on: a function of outputs and targets that is one number. A loss that theory knows is one of these."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Objective(ABC):
    """A function of the outputs of a batch and its targets, by what is said of it.

    :class:`~freeness.training.Loss` knows the function of one sample besides, which theory asks for. What can only be computed
    (weights, sums, functions of the user) is measured with and has no theory.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called on command lines, in files and in sentences."""

    @property
    @abstractmethod
    def formula(self) -> str:
        """With its normalisation: f are the outputs, y the targets."""

    @property
    @abstractmethod
    def expects(self) -> str:
        """The targets that it takes, in words."""

    @property
    def meant(self) -> str:
        """Which Gauss–Newton matrix is meant where that is not (1/B) Σ JᵀHJ of the outputs as they are; "" elsewhere."""
        return ""

    def __str__(self) -> str:
        return self.name
