"""The framework-free record of a network: frozen layers in the order in which the signal meets them."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.network.activations import ActivationFunction
from freeness.network.ensembles import Ensemble


@dataclass(frozen=True)
class Dense:
    """h = W x + b with W of shape (fan_out, fan_in); ``bias`` says whether b is trained, sigma_b is its standard deviation."""

    fan_in: int
    fan_out: int
    weights: Ensemble
    sigma_b: float = 0.0
    bias: bool = False
    name: str = ""


@dataclass(frozen=True)
class Activation:
    """x = φ(h), elementwise."""

    function: ActivationFunction
    name: str = ""


Layer = Dense | Activation


@dataclass(frozen=True)
class Network:
    """A feed-forward chain of layers. ``depth`` is the number of weight matrices (theory.md §0: L)."""

    layers: tuple[Layer, ...]

    @property
    def dense(self) -> tuple[Dense, ...]:
        """The weight layers, first to last."""
        return tuple(layer for layer in self.layers if isinstance(layer, Dense))

    @property
    def depth(self) -> int:
        """L, the number of weight matrices."""
        return len(self.dense)

    @property
    def widths(self) -> tuple[int, ...]:
        """N_0, …, N_L."""
        return (self.dense[0].fan_in, *(layer.fan_out for layer in self.dense))
