"""The phase diagram and the two maps of a layer, in the browser."""

from __future__ import annotations

import numpy as np

from freeness.meanfield import EdgeOfChaos, PhaseDiagram
from freeness.plots.interactive import RED, THEORY, PlotlyFigure, interactive_figure, plain_numbers

_LIMIT = 1.0  # of |ln χ₁| in colour, as in the printed picture


def interactive_phase(diagram: PhaseDiagram, edge: EdgeOfChaos | None, at: tuple[float, float]) -> PlotlyFigure:
    """ln χ₁ over (σ_w, σ_b), the edge of chaos, and the network that is looked at, which is the last trace.

    Args:
        diagram: on its grid.
        edge: points of the critical curve.
        at: σ_w and σ_b of the network.

    Example:
        >>> from freeness.meanfield import phase_diagram
        >>> from freeness.network import activation
        >>> found = phase_diagram(activation("tanh"), [0.9, 1.8], [0.0, 0.1])
        >>> [trace["type"] for trace in interactive_phase(found, None, (1.5, 0.1))["data"]]
        ['heatmap', 'scatter']
    """
    with np.errstate(divide="ignore"):
        growth = np.clip(np.log(diagram.chi1), -_LIMIT, _LIMIT)
    data: list[PlotlyFigure] = [
        {
            "type": "heatmap",
            "x": plain_numbers(diagram.sigma_w),
            "y": plain_numbers(diagram.sigma_b),
            "z": [plain_numbers(row) for row in growth],
            "zmin": -_LIMIT,
            "zmax": _LIMIT,
            "colorscale": [[0, THEORY], [0.5, "#ffffff"], [1, RED]],
            "hovertemplate": "σ_w %{x:.3f}, σ_b %{y:.3f}<br>ln χ₁ %{z:.3f}<extra></extra>",
            "colorbar": {"title": {"text": "ln χ₁"}, "thickness": 12},
        }
    ]
    if edge is not None:
        for kept, dash, name in ((edge.stable, "solid", "edge of chaos"), (~edge.stable, "dash", "edge, unstable")):
            if kept.any():
                data.append(
                    {
                        "type": "scatter",
                        "mode": "lines+markers" if np.ptp(edge.sigma_w[kept]) < 1e-6 else "lines",
                        "x": plain_numbers(np.where(kept, edge.sigma_w, np.nan)),
                        "y": plain_numbers(np.where(kept, edge.sigma_b, np.nan)),
                        "line": {"color": "#000000", "width": 2.5, "dash": dash},
                        "name": name,
                        "hoverinfo": "skip",
                    }
                )
    data.append(
        {
            "type": "scatter",
            "mode": "markers",
            "x": [at[0]],
            "y": [at[1]],
            "marker": {"size": 16, "color": "#ffd400", "line": {"color": "#000000", "width": 2.5}},
            "name": "this network (drag it)",
            "hoverinfo": "skip",
        }
    )
    ends = [[float(axis.min()), float(axis.max())] for axis in (diagram.sigma_w, diagram.sigma_b)]
    return interactive_figure(
        data, {"title": {"text": "σ_w"}, "range": ends[0]}, {"title": {"text": "σ_b"}, "range": ends[1]}
    )


def interactive_map(x: np.ndarray, following: np.ndarray, settled: float | None, symbol: str) -> PlotlyFigure:
    """One layer's map beside the diagonal, with the point where it settles.

    Args:
        x: values.
        following: those a layer later.
        settled: the fixed point, or None.
        symbol: of the quantity.

    Example:
        >>> figure = interactive_map(np.array([0.0, 1.0]), np.array([0.2, 0.8]), 0.5, "c")
        >>> [trace["name"] for trace in figure["data"]]
        ['next layer', 'unchanged', 'c* = 0.5']
    """
    data: list[PlotlyFigure] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": plain_numbers(x),
            "y": plain_numbers(following),
            "line": {"color": THEORY, "width": 2.5},
            "name": "next layer",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "x": plain_numbers(x[[0, -1]]),
            "y": plain_numbers(x[[0, -1]]),
            "line": {"color": "#888888", "width": 1.5, "dash": "dot"},
            "name": "unchanged",
        },
    ]
    if settled is not None:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [settled],
                "y": [settled],
                "marker": {"size": 11, "color": RED},
                "name": f"{symbol}* = {settled:.4g}",
            }
        )
    return interactive_figure(data, {"title": {"text": symbol}}, {"title": {"text": f"{symbol} a layer later"}})
