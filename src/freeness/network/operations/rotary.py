"""Rotary positions: queries and keys turned by angles that grow with their position, so that scores know distances alone.

Where pairs f of a head's d channels are turned by θ_f at every position, scores of drawn queries and keys have the covariance

    cov(s_ij, s_kl) = b·Q_ik·K_jl·ρ((j - i) - (l - k)),    ρ(m) = 2/d Σ_f cos θ_f m + (1 - 2F/d).

Of lags ρ(m' - m) is a sum of few products u_r(m)·v_r(m'). So what depends on four positions is made of products of matrices.

Source: Su et al. (2021) for the rotation; derived for this project for its second moments.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from freeness.errors import InputError, is_real, is_size
from freeness.numerics import turned_pairs

_LEFT_OUT = 1e-4  # share of ρ(0) that the products may miss


@dataclass(frozen=True)
class Rotary:
    """Pairs of channels of each head's queries and keys, turned by ``frequencies``·position; channels behind them stay.

    ``halves``: of F pairs channel f goes with f + F, as in Llama, and not with its neighbour.

    Source: Su et al. (2021).

    Example:
        >>> Rotary.of(8, base=100.0).frequencies[:3]
        (1.0, 0.31622776601683794, 0.1)
    """

    frequencies: tuple[float, ...]
    halves: bool = True

    def __post_init__(self) -> None:
        if not (self.frequencies and all(map(is_real, self.frequencies))):
            raise InputError(
                f"expected finite frequencies of rotary positions, got {self.frequencies!r}; give one a pair of channels."
            )

    @classmethod
    def of(cls, width: int, base: float = 10000.0, share: float = 1.0) -> Rotary:
        """The usual frequencies base^(-2f/d) of the first d = ``share``·``width`` channels of a head.

        Args:
            width: channels of a head.
            base: by which the slowest pair is slower than the first, about.
            share: of the channels that are turned.
        """
        if not (is_size(width) and is_real(base) and base > 0 and is_real(share) and 2 <= share * width <= width):
            raise InputError(
                f"expected a head of at least two channels, base > 0 and a share of them up to 1, got {width!r}, {base!r} and "
                f"{share!r}; correct them."
            )
        pairs = int(share * width) // 2
        return cls(tuple(float(base) ** (-f / pairs) for f in range(pairs)))

    def angles(self, positions: Float[np.ndarray, " positions"]) -> Float[np.ndarray, "positions pairs"]:
        """Of every pair at every position."""
        return np.multiply.outer(positions, np.asarray(self.frequencies))

    def arranged(self, x: Float[np.ndarray, "*lead width"]) -> Float[np.ndarray, "*lead width"]:
        """Channels in the order of ``halves``, which scores do not see."""
        count = 2 * len(self.frequencies)
        if self.halves:
            return x
        return np.concatenate([x[..., 0:count:2], x[..., 1:count:2], x[..., count:]], axis=-1)

    def turned(
        self, x: Float[np.ndarray, "*lead positions width"], positions: Float[np.ndarray, " positions"]
    ) -> Float[np.ndarray, "*lead positions width"]:
        """Queries or keys as scores take them, arranged."""
        return turned_pairs(self.arranged(x), self.angles(positions))

    def correlation(self, lags: Num[np.ndarray, "*lags"], width: int) -> Float[np.ndarray, "*lags"]:
        """ρ at some lags, of heads of this width.

        Args:
            lags: whole numbers.
            width: channels of a head.
        """
        share = 2 / self._fitting(width)
        return share * np.cos(np.multiply.outer(lags, np.asarray(self.frequencies))).sum(axis=-1) + (
            1 - share * len(self.frequencies)
        )

    def products(
        self, rows: int, columns: int, width: int
    ) -> tuple[Float[np.ndarray, "terms rows rows"], Float[np.ndarray, "terms columns columns"]]:
        """u_r at i - k of ``rows`` positions, and v_r at j - l of ``columns``, which add up to ρ((j - i) - (l - k)).

        Args:
            rows: queries.
            columns: keys.
            width: channels of a head.

        Example:
            >>> by_query, by_key = Rotary.of(4).products(3, 3, 4)
            >>> round(float((by_query[:, 2, 0] * by_key[:, 1, 1]).sum()), 3)
            0.292
        """
        left, right = (np.arange(1 - count, count) for count in (rows, columns))
        u, sizes, v = np.linalg.svd(self.correlation(right - left[:, None], width), full_matrices=False)
        kept = _kept(sizes)
        apart = [np.arange(count)[:, None] - np.arange(count) + count - 1 for count in (rows, columns)]
        return (u[:, :kept] * sizes[:kept]).T[:, apart[0]], v[:kept][:, apart[1]]

    def roots(self, rows: int, columns: int, width: int) -> Float[np.ndarray, "terms rows columns"]:
        """g_r at j - i with Σ g_r(m) g_r(m') = ρ(m - m'): what independent Gaussian scores are multiplied by, and added up.

        Args:
            rows: queries.
            columns: keys.
            width: channels of a head.
        """
        lags = np.arange(1 - rows, columns)
        sizes, vectors = np.linalg.eigh(self.correlation(lags - lags[:, None], width))
        kept = _kept(sizes[::-1])
        found = (vectors[:, ::-1] * np.sqrt(np.maximum(sizes[::-1], 0.0)))[:, :kept].T
        return found[:, np.arange(columns) - np.arange(rows)[:, None] + rows - 1]

    def _fitting(self, width: int) -> int:
        if 2 * len(self.frequencies) > width:
            raise InputError(
                f"expected heads of at least {2 * len(self.frequencies)} channels for rotary positions, got {width}; give fewer "
                "frequencies."
            )
        return width


def _kept(sizes: np.ndarray) -> int:
    """How many of some descending sizes are needed."""
    return int(np.searchsorted(np.cumsum(sizes), (1 - _LEFT_OUT) * sizes.sum())) + 1
