"""After a divergence: at which step it began, in which layer first, which rate would have held, and how to start again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from freeness.advice.watching import StepCheck, WatchRecord, WatchWarning

_GROWN = 3.0  # times the usual
_CHECKPOINT = 20  # steps before the growth to which one goes back
_SAFE = 0.5  # of the smallest critical rate that was seen: its estimate and the batches scatter


def post_mortem(checks: Sequence[StepCheck], records: Sequence[WatchRecord]) -> WatchWarning:
    """What a diverged training leaves to be learnt.

    Example:
        >>> steady = [StepCheck(k, 0.1, 1.0, 1.0, {"a": 1.0, "b": 1.0}) for k in range(1, 40)]
        >>> grown = [StepCheck(40 + k, 0.1, 1.0, 4.0**k, {"a": 4.0**k, "b": 2.0**k}) for k in range(1, 5)]
        >>> said = post_mortem([*steady, *grown], [WatchRecord(31, 0.1, critical=0.06)])
        >>> said.place, said.sentence
        ('a', "The training diverged at step 44: gradients grew from step 41 on, first in 'a'. A rate of 0.03 would have held; ...
    """
    last = checks[-1]
    began = growth_began([check.gradient for check in checks])
    step = last.step if began is None else checks[began].step
    place = None if began is None else _first_layer(checks, began)
    rate = _held(records, step, last.rate)
    where = "" if began is None else f": gradients grew from step {step} on"
    first = f", first in {place!r}" if place else ""
    back = max(step - _CHECKPOINT, 0)
    checkpoint = f"a checkpoint of step {back} or before" if back else "the start"
    return WatchWarning(
        last.step,
        "diverged",
        f"The training diverged at step {last.step}{where}{first}. A rate of {rate:.2g} would have held; go "
        f"back to {checkpoint} and warm up to that over {_CHECKPOINT} steps or more.",
        place,
    )


def growth_began(values: Sequence[float | None]) -> int | None:
    """The place from which on all values are far above the usual ones, or not finite; None where that is not even the last.

    Example:
        >>> growth_began([1.0, 1.0, 9.0, 1.0, 1.0, 8.0, float("nan")])
        5
    """
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return None
    usual = median(known)
    began = None
    for place in range(len(values) - 1, -1, -1):
        value = values[place]
        if value is None or value <= _GROWN * usual:
            break
        began = place
    return began


def _first_layer(checks: Sequence[StepCheck], began: int) -> str | None:
    """The layer whose gradient began to grow first; of several the one that grew most then."""
    starts: dict[str, tuple[int, float]] = {}
    for name in checks[-1].layers:
        values = [check.layers.get(name) for check in checks]
        place = growth_began(values)
        if place is None:
            continue
        usual = median([value for value in values if value is not None and math.isfinite(value)])
        value = values[max(place, began)]
        times = value / usual if value is not None and math.isfinite(value) and usual > 0 else math.inf
        starts[name] = (place, -times)
    return min(starts, key=lambda name: starts[name], default=None)


def _held(records: Sequence[WatchRecord], step: int, rate: float) -> float:
    """Half of the smallest critical rate that was seen before; a third of the rate where none was."""
    seen = [record.critical for record in records if record.step < step and record.critical]
    return min(_SAFE * min(seen), rate) if seen else rate / 3
