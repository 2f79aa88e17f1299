"""What the figures of the browser share. They are plain dictionaries of plotly's schema, so that making one costs no time.

Colours of text and grid are left to the page, which knows whether it is light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

THEORY, MEASURED, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"  # Okabe, Ito (2008)
_GRID = "rgba(128, 128, 128, 0.25)"
_CLEAR = "rgba(0, 0, 0, 0)"
_CONFIG = {"displaylogo": False, "responsive": True, "displayModeBar": False, "doubleClick": "reset"}

PlotlyFigure = dict[str, Any]


def interactive_figure(data: Sequence[PlotlyFigure], xaxis: PlotlyFigure, yaxis: PlotlyFigure) -> PlotlyFigure:
    """A figure with this data and these axes.

    Args:
        data: traces of plotly.
        xaxis: what differs from the axes of all figures.
        yaxis: the same.

    Example:
        >>> sorted(interactive_figure([], {"title": {"text": "depth"}}, {}))
        ['config', 'data', 'layout']
    """
    common = {"gridcolor": _GRID, "zeroline": False, "ticks": "outside", "automargin": True, "fixedrange": True}
    layout = {
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "font": {"family": "Roboto, sans-serif", "size": 14},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},  # above, where it covers no label
        "hovermode": "closest",
        "dragmode": False,
        "xaxis": common | xaxis,
        "yaxis": common | yaxis,
    }
    return {"data": list(data), "layout": layout, "config": dict(_CONFIG)}


def plain_numbers(values: Any) -> list[float | None]:
    """Numbers as JSON has them: what is not finite is None.

    Args:
        values: one-dimensional.

    Example:
        >>> plain_numbers([1.0, float("nan")])
        [1.0, None]
    """
    return [float(value) if np.isfinite(value) else None for value in np.asarray(values, dtype=float)]
