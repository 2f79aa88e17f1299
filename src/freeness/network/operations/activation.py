"""A function of every neuron by itself."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction
from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Activation(Operation):
    """x = φ(h), elementwise."""

    function: ActivationFunction
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.function, ActivationFunction):
            raise InputError(
                f"expected an ActivationFunction, got {self.function!r}; take freeness.activation(name) or custom_activation."
            )
