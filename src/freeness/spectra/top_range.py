"""Where the largest of few eigenvalues lies: below the end of their law, by more the fewer there are."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.laws import Law

_MIDDLE = 0.5  # n(1 - F): between its medians, 2/(3π)·1.269^{3/2} = .30 of a rigid spectrum and log 2 of independent eigenvalues
_LOW = 1.2  # n(1 - F) below which 5 % of the largest eigenvalues lie: 2/(3π)·3.18^{3/2}


@dataclass(frozen=True)
class TopRange:
    """The largest eigenvalue of one network with finitely many outputs: about ``value``, mostly from ``low`` to ``high``."""

    low: float
    value: float
    high: float


def top_range(law: Law, outputs: int, scatter: float = 0.0) -> TopRange:
    """Of one network with so many outputs, n: where n(1 - F) = ½, between n(1 - F) = 1.2 and the end of the law.

    At a soft edge of real symmetric matrices a third of the largest eigenvalues lie below the first, 5 % below the second, 83 %
    below the end. Networks are less rigid, and half of theirs lie below the first. Where the whole spectrum of one network is
    larger or smaller by a factor, its largest eigenvalue is, too. An atom at the end that holds more than one eigenvalue is the
    largest, whatever the scatter.

    Args:
        law: of the eigenvalues.
        outputs: n, how many eigenvalues one network has.
        scatter: relative, of the mean of one network's spectrum; both ends are moved out by it.

    Raises:
        ConvergenceError: the law tells no quantile there.

    Source: Tracy, Widom (1996), who place them at a distance s·(cn)^{-2/3} from the end b of a density c√(b - x)/π.

    Example:
        >>> from freeness.laws import Semicircle
        >>> found = top_range(Semicircle(1.0), 100)
        >>> round(found.low, 2), round(found.value, 2), found.high
        (1.85, 1.92, 2.0)
    """
    low, value = law.quantile([max(1 - _LOW / outputs, 0.0), max(1 - _MIDDLE / outputs, 0.0)])
    end = float(law.upper_end)
    if low == end:
        return TopRange(end, end, end)
    return TopRange(float(low) / (1 + scatter), float(value), end * (1 + scatter))
