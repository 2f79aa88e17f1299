"""Lines over one axis, in the browser."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from freeness.plots.interactive import GREEN, MEASURED, RED, THEORY, PlotlyFigure, interactive_figure, plain_numbers

_COLOURS = (THEORY, RED, GREEN, MEASURED)
_DASHES = ("solid", "dash", "dot", "dashdot")


def interactive_lines(
    lines: Mapping[str, tuple[ArrayLike, ArrayLike]],
    xaxis: PlotlyFigure,
    yaxis: PlotlyFigure,
    *,
    mark: float | None = None,
) -> PlotlyFigure:
    """Some lines, told apart by colour and by dashes.

    Args:
        lines: (x, y) by name.
        xaxis: what differs from the axes of all figures.
        yaxis: the same.
        mark: a place on the x axis that is marked.

    Example:
        >>> interactive_lines({"accuracy": ([0, 1], [0.1, 0.9])}, {}, {})["data"][0]["name"]
        'accuracy'
    """
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers" if np.size(x) <= 20 else "lines",
            "x": plain_numbers(x),
            "y": plain_numbers(y),
            "name": name,
            "line": {"color": _COLOURS[i % len(_COLOURS)], "dash": _DASHES[i % len(_DASHES)], "width": 2.5},
        }
        for i, (name, (x, y)) in enumerate(lines.items())
    ]
    figure = interactive_figure(data, xaxis, yaxis)
    if mark is not None:
        line = {"color": "#888888", "dash": "dot", "width": 2}
        figure["layout"]["shapes"] = [
            {"type": "line", "x0": mark, "x1": mark, "y0": 0, "y1": 1, "yref": "paper", "line": line}
        ]
    return figure
