"""A fully connected layer over positions, the same for every channel."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.network.ensembles import Ensemble
from freeness.network.operation import Weights
from freeness.network.operations.checks import check_weights


@dataclass(frozen=True)
class TokenMixing(Weights):
    """h_p = Σ_p' W_pp' x_p' + b_p for each channel alike, W of shape (tokens_out, tokens_in) over positions."""

    tokens_in: int
    tokens_out: int
    weights: Ensemble
    sigma_b: float = 0.0
    bias: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        check_weights(self, (self.tokens_in, self.tokens_out), self.sigma_b)

    @property
    def sizes(self) -> tuple[int, int]:
        return self.tokens_in, self.tokens_out
