"""How much CPU time a question to a law may take: what takes more says so, and how to allow it."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator
from contextlib import contextmanager
from time import thread_time as _clock

from freeness.errors import InputError, TimeLimitError, is_real

_QUESTION = 20.0  # seconds that a question may take where nobody said more
_POINTS = 1000  # of a question about points, which takes so long for each so many
_COSTLY, _FEW = 8.0, 5  # times as long where one point takes seconds, and for each so many points once more


class _Blocks(threading.local):
    """Those of one thread that are open: up to which reading of its CPU clock each may work, and how long that is."""

    def __init__(self) -> None:
        self.open: list[tuple[float, float]] = []


_blocks = _Blocks()


@contextmanager
def time_limit(seconds: float) -> Generator[None]:
    """What stands inside may take so many seconds of its thread's CPU time altogether; elsewhere each question may take 20.

    A question is one for ends, bands or quantiles, or for values at up to 1,000 points; at more it may take as much longer. Of
    the largest graphs, where one point takes seconds, it may take 160 s. One that takes longer raises
    :class:`~freeness.errors.TimeLimitError`. Bands that are cut off are one coarse band, and ``bands_error`` says so; they are
    looked for anew where more time is allowed.

    Args:
        seconds: ≥ 0, infinity for no limit. A block inside another one ends with that at the latest.

    Raises:
        InputError: ``seconds`` is negative or no number.

    Example:
        >>> import freeness as fr
        >>> law = fr.free_sum(fr.Uniform(0, 1), fr.Semicircle(1.0))
        >>> with fr.time_limit(60):
        ...     print(round(float(law.quantile(0.5)), 6))
        0.5
    """
    if not (is_real(seconds) and seconds >= 0) and seconds != math.inf:
        raise InputError(f"expected seconds ≥ 0, got {seconds!r}; write for instance time_limit(60).")
    with _until(seconds):
        yield


@contextmanager
def question(points: int = 1, costly: bool = False) -> Generator[None]:
    """A question about so many points: it may take 20 s, as much longer as they are more than 1,000; inside a block, its time.

    ``costly``: of a law of which one point takes seconds; 160 s, and 4 for each of more than 40 points.
    """
    if _blocks.open:
        yield
    else:
        least, each = (_COSTLY, _FEW) if costly else (1.0, _POINTS)
        with _until(_QUESTION * max(least, points / each)):
            yield


def time_left() -> float:
    """Seconds that a question may take that is asked now."""
    return min(_blocks.open)[0] - _clock() if _blocks.open else _QUESTION


def check_time() -> None:
    """Raise where the time is over; what takes long asks for it at each of its steps."""
    end, seconds = min(_blocks.open, default=(math.inf, math.inf))
    if _clock() > end:
        more = max(60.0, 3 * seconds)
        raise TimeLimitError(
            f"expected an answer within {seconds:.3g} s of CPU time, got none; ask for less, or allow "
            f"more by freeness.time_limit({more:.0f}) or `freeness law --seconds {more:.0f}`."
        )


@contextmanager
def _until(seconds: float) -> Generator[None]:
    """Blocks of generators may close in any order, each only itself, whichever thread closes it."""
    blocks, block = _blocks.open, (_clock() + seconds, seconds)
    blocks.append(block)
    try:
        yield
    finally:
        blocks.remove(block)
