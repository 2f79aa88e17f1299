"""What each sample brings beside the input: the tokens of a decoder, a mask, a second input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int, Num

from freeness.errors import InputError, is_size
from freeness.network.moments import Pairs, Step, Stream, backward, joined
from freeness.network.operation import Operation


@dataclass(frozen=True, eq=False)
class Data(Operation):
    """Entries (n, channels, *positions) of n samples, which no gradient is asked for.

    ``tokens``: of how many there are the entries are one, (n, *positions) then: vectors of so many entries, 1 at their place.
    ``silent``: tokens whose vectors are 0, as those of padding are.
    """

    values: Num[np.ndarray, "samples ..."]
    tokens: int = 0
    silent: tuple[int, ...] = ()
    name: str = ""
    arity: ClassVar[int | None] = 0

    def __post_init__(self) -> None:
        lead = 1 if self.tokens else 2
        if self.values.ndim < lead or self.values.size == 0 or (self.tokens and not is_size(self.tokens)):
            raise InputError(
                f"expected data (samples, channels, *positions), or tokens (samples, *positions), got {self.values.shape}."
            )
        if self.tokens:
            check_tokens(np.atleast_2d(self.values), self.tokens)

    @property
    def channels(self) -> int:
        """Entries at one position."""
        return self.tokens or self.values.shape[1]

    @property
    def positions(self) -> tuple[int, ...]:
        """The shape of its positions."""
        return self.values.shape[1 if self.tokens else 2 :]

    def of_samples(self, chosen: Int[np.ndarray, " chosen"]) -> Data:
        return replace(self, values=self.values[chosen])

    @property
    def entries(self) -> Float[np.ndarray, "samples channels *positions"]:
        """All of them, tokens as vectors."""
        return one_hot(self.values, self.tokens, self.silent) if self.tokens else self.values

    def products(self, rows: slice, *, across: bool) -> Float[np.ndarray, "*pairs"]:
        """Means over channels of x(a)x(b), of some samples and all from there on, at one position or between all of them."""
        if self.tokens:
            return self._equal(self.values[rows, None], self.values[None, rows.start :], across) / self.tokens
        flat = self.values.reshape(*self.values.shape[:2], -1)
        first, second, places = flat[rows], flat[rows.start :], self.positions
        found = np.einsum("acp,bcq->abpq" if across else "acp,bcp->abp", first, second, optimize=True)
        return found.reshape(*found.shape[:2], *places * (2 if across else 1)) / flat.shape[1]

    def own_products(self, *, across: bool) -> Float[np.ndarray, "*samples"]:
        """The same of each sample with itself."""
        if self.tokens:
            return self._equal(self.values, self.values, across) / self.tokens
        flat, places = self.values.reshape(*self.values.shape[:2], -1), self.positions
        if not across:
            return (flat**2).mean(axis=1).reshape(len(flat), *places)
        return (flat.transpose(0, 2, 1) @ flat / flat.shape[1]).reshape(len(flat), *places, *places)

    def _equal(self, first: np.ndarray, second: np.ndarray, across: bool) -> np.ndarray:
        """1 where tokens are the same and heard."""
        axes = len(self.positions)
        lead = first.ndim - axes
        heard = first * 0 + 1.0 - np.isin(first, self.silent)
        if not across:
            return (first == second) * heard
        left = (..., *(None,) * axes)
        right = (*(slice(None),) * lead, *(None,) * axes, ...)
        return (first[left] == second[right]) * heard[left]


def check_tokens(tokens: np.ndarray, count: int) -> None:
    """Refuse what are no tokens.

    Raises:
        InputError: no whole numbers from 0 to count - 1.
    """
    whole = tokens.dtype.kind in "iu" and tokens.ndim > 1 and tokens.size > 0
    if not whole or not 0 <= tokens.min() <= tokens.max() < count:
        raise InputError(
            f"expected tokens (n, positions), whole numbers from 0 to {count - 1}, got {tokens.dtype} of shape "
            f"{tokens.shape}; correct them."
        )


def one_hot(
    tokens: Int[np.ndarray, "samples ..."], count: int, silent: tuple[int, ...] = ()
) -> Float[np.ndarray, "samples count ..."]:
    """Tokens (n, *positions) as vectors (n, count, *positions), those that are silent as 0.

    Example:
        >>> one_hot(np.array([[0, 2]]), 3, (0,)).tolist()
        [[[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]]]
    """
    found = np.zeros((len(tokens), count, *tokens.shape[1:]))
    np.put_along_axis(found, tokens[:, None], 1.0 - np.isin(tokens, silent)[:, None], axis=1)
    return found


@joined.register
def _(operation: Data, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """Its own moments, which are known."""
    (like,) = streams
    across = like.across and bool(operation.positions)

    def step(pairs: Pairs) -> Pairs:
        value = operation.products(pairs.rows, across=across)
        return Pairs(value, np.zeros(value.shape), pairs.rows)

    after = like._replace(
        second=operation.own_products(across=across),
        growth=np.zeros((len(operation.values), *operation.positions)),
        mean=None if operation.tokens else lambda: operation.values.mean(axis=1),
        gaussian=False,
        features=operation.channels if operation.channels > 1 else None,
        uneven=False,
        whole=None,
    )
    return after, step


@backward.register
def _(operation: Data, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """It reads nothing."""
    return ()
