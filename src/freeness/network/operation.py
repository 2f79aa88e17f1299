"""What every operation of a network is: a frozen record that says what it does, not where it stands."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Int

from freeness.errors import InputError, is_real, is_size
from freeness.network.ensembles import Ensemble

INPUT = "input"
"""The name of what enters a network."""


class Fixed(NamedTuple):
    """What a norm makes the same whatever comes in, over the channels: the size, and ``mean``: the mean, too.

    ``everywhere``: at every position by itself, over all channels.
    """

    mean: bool
    everywhere: bool


class Operation(ABC):
    """One operation of a network, a frozen dataclass; what theory knows of it is registered by its type.

    ``name`` is for people: the path of a module, say. ``arity`` says how many signals it reads, None any number ≥ 2.
    """

    name: str
    arity: ClassVar[int | None] = 1

    @property
    def across(self) -> bool:
        """Whether its rules ask for second moments between different positions."""
        return False

    @property
    def couples(self) -> bool:
        """Whether its rules for pairs of samples ask for all of a batch."""
        return False

    @property
    def bends(self) -> bool:
        """Whether it is a function of every neuron: what several do to the same neurons fluctuates together."""
        return False

    @property
    def sums(self) -> tuple[float, ...] | None:
        """Scales of the signals that it adds up neuron by neuron; None: it is no sum."""
        return None

    @property
    def multiplies(self) -> tuple[int, int] | None:
        """Numbers of two signals, keys first, of whose Gram matrices between positions it takes the product; None: of none."""
        return None

    def of_samples(self, chosen: Int[np.ndarray, " chosen"]) -> Operation:
        """The same for some of the samples whose own tensors it holds; itself where it holds none."""
        return self

    @property
    def fixed(self) -> Fixed | None:
        """What of each sample it makes the same over the channels; None: nothing."""
        return None


class Weights(Operation):
    """An operation that multiplies by trained random matrices: dense, position-wise, convolution, token mixing, embedding.

    ``weights``: the ensemble of the matrix. ``sigma_b``: standard deviation of the biases; ``bias``: whether they are trained.
    ``groups``: of channels, each read by outputs of its own.
    """

    weights: Ensemble
    sigma_b: float
    bias: bool
    groups: int = 1

    def __post_init__(self) -> None:
        """Sizes that are whole numbers ≥ 1, and a standard deviation of the biases.

        Raises:
            InputError: one of them is not.
        """
        if not all(map(is_size, self.sizes)):
            raise InputError(f"expected sizes ≥ 1 of {described(self)}, got {self.sizes}; correct them.")
        if not (is_real(self.sigma_b) and self.sigma_b >= 0):
            raise InputError(
                f"expected sigma_b ≥ 0 of {described(self)}, got {self.sigma_b!r}; it is a standard deviation."
            )

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """What the matrix maps, channels, tokens or features: into and out of it."""

    @property
    def entries(self) -> int:
        """Entries of the weights that one output reads, those of all taps."""
        return self.sizes[0]


def described(operation: object) -> str:
    """An operation's kind and name, for a message: users of PyTorch never met the record's class.

    Example:
        >>> from freeness.network import Dropout
        >>> described(Dropout(0.1, "drop3"))
        "dropout 'drop3'"
    """
    name = getattr(operation, "name", "")
    kind = re.sub("(?<=[a-z])(?=[A-Z])", " ", type(operation).__name__).lower()
    return ("dense layer" if kind == "dense" else kind) + (f" {name!r}" if name else "")
