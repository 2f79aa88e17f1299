"""Trials of several rates: the loss at their end over the rate."""

from __future__ import annotations

import math

import numpy as np

from freeness.show import style
from freeness.show.picture import Appearance, Axis, Drawing, Picture, Rule, Series
from freeness.training import FoundRate

_COLOURS = (style.THEORY, style.MEASURED, style.GREY)


def found_rate_picture(record: FoundRate, *, title: str = "") -> Picture:
    """The loss after some steps over the rate, for the lengths to which trials went; the rate found and its interval."""
    kept = [trial for trial in record.trials if not trial.stopped]
    lengths = sorted({trial.steps for trial in kept}, reverse=True)
    drawn: list[Drawing] = []
    for place, length in enumerate(lengths):
        some = [trial for trial in kept if trial.steps >= length]
        look = Appearance(_COLOURS[min(place, len(_COLOURS) - 1)], marker="circle", size=7 if place == 0 else 5)
        x, y = np.array([trial.rate for trial in some]), np.array([trial.score_at(length) for trial in some])
        drawn.append(Series(x, y, look, f"after {length} steps", f"after {length}"))
    drawn.append(Rule(record.recommended, "x", Appearance(style.GREEN, 2), f"rate {record.recommended:.3g}"))
    for at, name in ((record.low, "interval"), (record.high, "")):
        drawn.append(Rule(at, "x", Appearance(style.GREEN, 1, "dot"), name))
    broken = [trial.rate for trial in record.trials if trial.stopped]
    if broken:
        drawn.append(Rule(min(broken), "x", Appearance(style.RED, 1.5, "dash"), "diverged from here on"))
    scores = [trial.score for trial in kept]
    logarithmic = min(scores) > 0 and max(scores) > 3 * min(scores) and math.isfinite(max(scores))
    return Picture(
        tuple(drawn),
        Axis("learning rate (log scale)", log=True),
        Axis("loss over the last third of the steps", log=logarithmic),
        title=title or f"Trials of rates: {record.setting.optimizer}, {record.setting.loss}",
        sentence=f"Trials of {len(record.trials)} rates: the best is {record.recommended:.3g}, from {record.low:.2g} to "
        f"{record.high:.2g}.",
    )
