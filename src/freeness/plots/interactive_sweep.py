"""A sweep in the browser: accuracy over depth and learning rate, with the lines of theory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from freeness.plots.cells import cell_edges
from freeness.plots.interactive import RED, PlotlyFigure, interactive_figure, plain_numbers

_LINES = (
    ("two_over_depth", "2/L", RED, "solid"),
    ("one_sample_bound", "2/λ of the predicted spectrum", "#888888", "dash"),
)


@dataclass(frozen=True, eq=False)
class SweptDesign:
    """One design of a sweep. ``rates`` and ``accuracy``: a row a depth; NaN where it is not finished yet."""

    depths: Sequence[int]
    rates: np.ndarray
    accuracy: np.ndarray
    two_over_depth: np.ndarray
    one_sample_bound: np.ndarray
    boundary: np.ndarray


def interactive_sweep(swept: SweptDesign) -> PlotlyFigure:
    """The heat map: the first traces are its columns, one a depth, for every depth has rates of its own.

    Args:
        swept: of one design.

    Example:
        >>> half = np.full((2, 3), 0.5)
        >>> ends = np.array([1.0, 0.5])
        >>> rates = np.array([[0.1, 0.2, 0.4], [0.05, 0.1, 0.2]])
        >>> figure = interactive_sweep(SweptDesign([2, 4], rates, half, ends, ends, ends))
        >>> [trace["type"] for trace in figure["data"]]
        ['heatmap', 'heatmap', 'scatter', 'scatter', 'scatter']
    """
    depths = np.asarray(swept.depths, dtype=float)
    sides = cell_edges(depths)
    data: list[PlotlyFigure] = []
    for row in range(depths.size):
        order = np.argsort(swept.rates[row])
        words = [f"L = {depths[row]:g}, η = {rate:.3g}" for rate in swept.rates[row][order]]
        data.append(
            {
                "type": "heatmap",
                "x": plain_numbers(sides[row : row + 2]),
                "y": plain_numbers(cell_edges(swept.rates[row][order])),
                "z": [[value] for value in plain_numbers(swept.accuracy[row][order])],
                "text": [[text] for text in words],
                "hovertemplate": "%{text}<br>accuracy %{z:.3f}<extra></extra>",
                "coloraxis": "coloraxis",
            }
        )
    for name, label, colour, dash in _LINES:
        line = {"color": colour, "width": 2.5, "dash": dash}
        data.append(_scatter(depths, getattr(swept, name), {"mode": "lines", "line": line, "name": label}))
    marker = {"size": 10, "color": "#ffffff", "line": {"color": "#000000", "width": 2}}
    broken = {"mode": "markers", "marker": marker, "name": "accuracy below 80 % of the best"}
    data.append(_scatter(depths, swept.boundary, broken))
    figure = interactive_figure(
        data,
        {
            "title": {"text": "depth L"},
            "type": "log",
            "tickvals": depths.tolist(),
            "ticktext": [f"{d:g}" for d in depths],
        },
        {"title": {"text": "learning rate η"}, "type": "log", "exponentformat": "power"},
    )
    bar = {"title": {"text": "accuracy"}, "thickness": 12}
    figure["layout"]["coloraxis"] = {"colorscale": "Viridis", "cmin": 0, "cmax": 1, "colorbar": bar}
    return figure


def _scatter(x: np.ndarray, y: np.ndarray, look: PlotlyFigure) -> PlotlyFigure:
    return {"type": "scatter", "x": plain_numbers(x), "y": plain_numbers(y), "hoverinfo": "skip"} | look
