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
    """q, q̂, χ and δ of every layer on a logarithmic axis, where exponential growth or decay is a straight line.

    Values that are zero (δ of a linear layer) or not defined (χ, δ after the last layer) are left out.

    Args:
        analysis: whose layers.
        title: above the picture.
    """
    index = np.array([row.index for row in analysis.chain])
    drawn = []
    for place, (field, name, colour, marker) in enumerate(_SERIES):
        values = np.array([getattr(row, field) for row in analysis.chain], float)  # None becomes NaN
        values[~(values > _FLOOR)] = np.nan
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
