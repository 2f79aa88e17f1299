"""A table of vectors, one for every token."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from freeness.errors import InputError, is_real
from freeness.network.derivatives import Pattern, pattern
from freeness.network.ensembles import Ensemble, Gaussian
from freeness.network.moments import Pairs, Step, Stream, forward
from freeness.network.operation import Weights
from freeness.network.operations.data import check_tokens, one_hot
from freeness.network.operations.weighted import weighted


@dataclass(frozen=True)
class Embedding(Weights):
    """x_p = E[token_p] with E of shape (count, width), entries N(0, sigma²): equal tokens have equal vectors.

    Of a token as a vector of ``count`` entries, 1 at its place and 0 elsewhere, it is a position-wise layer with
    σ_w² = count·sigma², and its theory is that. ``silent``: tokens whose vectors are 0 and stay so, as those of padding.
    """

    count: int
    width: int
    sigma: float = 1.0
    name: str = ""
    silent: tuple[int, ...] = ()
    weights: Ensemble = field(init=False, repr=False)
    sigma_b: float = field(init=False, repr=False, default=0.0)
    bias: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (is_real(self.sigma) and self.sigma >= 0):
            raise InputError(f"expected sigma ≥ 0 of an embedding, got {self.sigma!r}; it is a standard deviation.")
        object.__setattr__(self, "weights", Gaussian(float(self.sigma) * self.count**0.5))

    @property
    def sizes(self) -> tuple[int, int]:
        return self.count, self.width

    def one_hot(self, tokens: Int[np.ndarray, "samples ..."]) -> Float[np.ndarray, "samples count *positions"]:
        """Tokens (n, positions) as vectors, (n, count, positions).

        Raises:
            InputError: no whole numbers from 0 to count - 1.
        """
        found = np.asarray(tokens)
        check_tokens(found, self.count)
        return one_hot(found, self.count, self.silent)


@forward.register
def _(layer: Embedding, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    return weighted(layer, stream)


@pattern.register
def _(layer: Embedding, shape: tuple[int, ...], flat: bool = False, trained: bool = False) -> Pattern:
    return Pattern(np.eye(int(np.prod(shape)))[None], shape)
