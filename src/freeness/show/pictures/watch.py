"""A run that was watched: where its rate stood, and the gradient of every layer along the way."""

from __future__ import annotations

import math

import numpy as np

from freeness.advice import WatchedRun
from freeness.show import style
from freeness.show.picture import Appearance, Axis, Drawing, HeatMap, Picture, Rule, Series

_STEP = "step"


def watched_rate_picture(run: WatchedRun, *, title: str = "") -> Picture:
    """The rate over the steps, beside the critical rate of the next step and the bound from λ, 2/λ for SGD."""
    events = run.checks or run.records
    steps = np.array([event.step for event in events], float)
    drawn: list[Drawing] = [
        Series(steps, _above_zero([event.rate for event in events]), Appearance(style.THEORY), "rate η", "rate")
    ]
    found = (
        ("critical", "critical rate of the next step", style.RED, "circle"),
        ("bound", "bound from λ", style.GREEN, "square"),
    )
    for name, words, colour, marker in found:
        known = [(record.step, value) for record in run.records if (value := getattr(record, name)) is not None]
        if known:
            at, values = zip(*known, strict=True)
            look = Appearance(colour, 1.2, marker="circle" if marker == "circle" else "square", size=4)
            drawn.append(Series(np.array(at, float), _above_zero(values), look, words, name))
    drawn += [
        Rule(float(step), "x", Appearance(style.GREY, 0.8, "dot")) for step in sorted({w.step for w in run.warnings})
    ]
    last = run.last("critical")
    critical = "never measured" if last is None else f"{last:.3g} at the end"
    return Picture(
        tuple(drawn),
        Axis(_STEP, form="whole"),
        Axis("learning rate (log scale)", log=True),
        title=title,
        sentence=f"Rate {events[-1].rate:.3g} at step {run.steps}; critical rate {critical}; {len(run.warnings)} warnings."
        if events
        else "No step was seen.",
    )


def watched_layers_picture(run: WatchedRun, *, title: str = "") -> Picture:
    """The norm of the gradient of every layer over the steps as a heat map of powers of ten, the first layer at the bottom."""
    names = list(dict.fromkeys(name for check in run.checks for name in check.layers))
    rows = [check for check in run.checks if check.layers]
    values = np.array([[_power(check.layers.get(name)) for check in rows] for name in names])
    known = values[np.isfinite(values)]
    limits = (float(known.min()), float(known.max())) if known.size else (-1.0, 0.0)
    if limits[0] == limits[1]:
        limits = limits[0] - 0.5, limits[1] + 0.5
    x = np.array([check.step for check in rows], float)
    drawn = []
    if known.size and len(x) > 1:
        heat = HeatMap(
            style.cell_edges(x),
            np.arange(len(names) + 1) + 0.5,
            values,
            limits,
            "norm of the gradient, power of ten",
            hover="step {x}, layer {y}: 10^{z}",
            key="layers",
        )
        drawn.append(heat)
    sentence = f"Gradients of {len(names)} layers over {len(rows)} steps"
    return Picture(
        tuple(drawn),
        Axis(_STEP, form="whole"),
        Axis(f"layer: 1 is {names[0]}, {len(names)} is {names[-1]}" if names else "layer", form="whole"),
        title=title,
        sentence=f"{sentence}, norms from 1e{limits[0]:.1f} to 1e{limits[1]:.1f}."
        if known.size
        else "No gradient was seen.",
        grid=False,
        empty=style.PALE,
    )


def _power(value: float | None) -> float:
    return math.log10(value) if value is not None and 0 < value < math.inf else math.nan


def _above_zero(values: object) -> np.ndarray:
    """Of rates what a logarithmic axis can show."""
    found = np.array(values, float)
    return np.where((found > 0) & np.isfinite(found), found, np.nan)
