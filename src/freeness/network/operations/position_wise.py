"""A fully connected layer that acts on every position alike: a linear layer on tokens."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.network.ensembles import Ensemble
from freeness.network.operations.checks import check_weights
from freeness.network.operations.operation import Weights


@dataclass(frozen=True)
class PositionWise(Weights):
    """h_p = W x_p + b at every position p, with one W of shape (fan_out, fan_in): a convolution of one tap."""

    fan_in: int
    fan_out: int
    weights: Ensemble
    sigma_b: float = 0.0
    bias: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        check_weights(self, (self.fan_in, self.fan_out), self.sigma_b)
