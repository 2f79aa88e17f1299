"""The forward signals along depth."""

from __future__ import annotations

import numpy as np

from freeness.advice import Analysis
from freeness.show import style
from freeness.show.picture import Appearance, Axis, Marker, Picture, Rule, Series

_SERIES: tuple[tuple[str, str, str, Marker], ...] = (  # field of LayerRow, name, colour, marker
    ("q", "q: variance of pre-activations", style.THEORY, "circle"),
    ("qhat", "q̂: mean square of the layer's input", style.MEASURED, "square"),
    ("chi", "χ: gain of squared gradients (critical: 1)", style.GREEN, "up"),
    ("delta", "δ: spread of φ'² (isometric: small)", style.RED, "diamond"),
)
_FEW = 30  # more layers than this are drawn without markers
_FLOOR = 1e-12


def layers_picture(analysis: Analysis, *, title: str = "") -> Picture:
    """Signals and gradients of every layer on a logarithmic axis, where exponential growth or decay is a straight line.

    Of a chain q, q̂, χ and δ. Of any other model the mean square of every module's output and the squared loss gradient of
    its weights: dots as measured, lines and diamonds as predicted where theory covers the module. Values that are zero or not
    defined are left out.
    """
    return _chain(analysis, title) if analysis.chain else _modules(analysis, title)


def _modules(analysis: Analysis, title: str) -> Picture:
    rows = list(analysis.layers)
    place = np.arange(1, len(rows) + 1)
    drawn = []
    for field, name, colour in (("signal", "signal", style.MEASURED), ("gradient", "squared gradient", style.THEORY)):
        for ending, look in (
            ("", Appearance(colour, 0.0, marker="circle", size=6.0)),
            ("_predicted", Appearance(colour, 1.8, marker="diamond", size=5.0, hollow=True)),
        ):
            values = np.array([getattr(row, field + ending) for row in rows], float)
            values[~(values > 0)] = np.nan
            if not np.isnan(values).all():
                said = f"{name}, {'predicted' if ending else 'measured'}"
                drawn.append(Series(place, values, look, said, f"layers-{field}{ending}"))
    return Picture(
        tuple(drawn),
        Axis("module with weights", form="whole"),
        Axis("value (log scale)", log=True, form="plain"),
        title=title,
        sentence="Signal and squared gradient of every module; the numbers are in the table.",
        columns=1,
    )


def _chain(analysis: Analysis, title: str) -> Picture:
    index = np.array([row.index for row in analysis.chain])
    drawn = []
    for place, (field, name, colour, marker) in enumerate(_SERIES):
        values = np.array([getattr(row, field) for row in analysis.chain], float)  # None becomes NaN
        values[~(values > _FLOOR)] = np.nan
        if np.isnan(values).all():  # of no chain χ and δ
            continue
        width, size = (1.8, 6.0) if place else (4.0, 9.0)  # q often lies under q̂
        look = Appearance(colour, width, marker=marker if index.size <= _FEW else None, size=size)
        drawn.append(Series(index, values, look, name, f"layers-{field}"))
    return Picture(
        (*drawn, Rule(1.0, "y", Appearance(style.GREY, 1, "dash"))),
        Axis("layer", form="whole"),
        Axis("value (log scale)", log=True, form="plain"),
        title=title,
        sentence="q, q̂, χ and δ of every layer; the numbers are in the table.",
        columns=1,
    )
