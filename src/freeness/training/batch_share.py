"""How what was tried with single samples and with batches of 64 is carried over to batches between."""

from __future__ import annotations

import math

_FAITHFUL = 64  # batch size up to which the laws were tried


def batch_share(batch: int) -> float:
    """ln B / ln 64, from 0 for single samples to 1 for batches of 64; larger ones count as 64.

    Example:
        >>> batch_share(1), batch_share(8), batch_share(1000)
        (0.0, 0.5, 1.0)
    """
    return math.log(min(max(batch, 1), _FAITHFUL)) / math.log(_FAITHFUL)


def between(single: float, batch: float, share: float) -> float:
    """The number for single samples and that for batches of 64, a share of the way from one to the other in logarithms.

    Example:
        >>> between(1.0, 100.0, 0.5)
        10.0
    """
    return single ** (1 - share) * batch**share
