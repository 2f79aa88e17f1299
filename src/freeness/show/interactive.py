"""Pictures as figures for the browser: plain dictionaries of plotly's schema, so that making one costs no time.

Colours of text and grid are left to the page, which knows whether it is light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from freeness.show.picture import Appearance, Axis, Bars, HeatMap, Histogram, Picture, Rule, Series, Stems, Swatch

_GRID = "rgba(128, 128, 128, 0.25)"
_CLEAR = "rgba(0, 0, 0, 0)"
_CONFIG = {"displaylogo": False, "responsive": True, "displayModeBar": False, "doubleClick": "reset"}
_DASHES = {"solid": "solid", "dash": "dash", "dot": "dot", "dashdot": "dashdot", "short": "4px,2px"}
_MARKERS = {
    "circle": "circle",
    "square": "square",
    "up": "triangle-up",
    "down": "triangle-down",
    "diamond": "diamond",
    "tick": "line-ns",
}
_AXES = {"left": "y", "right": "y2", "frame": "y3"}
_TICKS = 8  # intervals of an axis of whole numbers, at most
_BROWSER = 1.35  # pixels to a point

PlotlyFigure = dict[str, Any]


def to_plotly(picture: Picture) -> PlotlyFigure:
    """A picture as data, layout and configuration of plotly.

    Example:
        >>> from freeness.show import Appearance, Series
        >>> figure = to_plotly(Picture((Series(np.arange(2.0), np.ones(2), Appearance("black"), "one"),), Axis("depth")))
        >>> sorted(figure), figure["data"][0]["name"]
        (['config', 'data', 'layout'], 'one')
    """
    data = [trace for drawing in picture.drawings for trace in _traces(drawing)]
    layout: PlotlyFigure = {
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": picture.empty or _CLEAR,
        "margin": {"l": 56, "r": 16, "t": 16, "b": 48},
        "font": {"family": "Roboto, sans-serif", "size": 14},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},  # above, where it covers no label
        "hovermode": "closest",
        "dragmode": False,
        "xaxis": _axis(picture.x, grid=picture.grid) | _counted(picture.x, "x", data),
        "yaxis": _axis(picture.y, grid=picture.grid) | _counted(picture.y, "y", data),
    }
    if picture.backwards:
        layout["legend"]["traceorder"] = "reversed"
    if picture.right is not None:
        layout["yaxis2"] = _axis(picture.right, grid=False) | {"overlaying": "y", "side": "right"}
    if any(trace.get("yaxis") == "y3" for trace in data):
        layout["yaxis3"] = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    rules = [_rule(drawing) for drawing in picture.drawings if isinstance(drawing, Rule)]
    if rules:
        layout["shapes"] = rules
    maps = [drawing for drawing in picture.drawings if isinstance(drawing, HeatMap)]
    if maps:
        layout["coloraxis"] = _colours(maps[0])
    return {"data": data, "layout": layout, "config": dict(_CONFIG)}


def plain_numbers(values: ArrayLike) -> list[float | None]:
    """Numbers as JSON has them: what is not finite is None.

    Example:
        >>> plain_numbers([1.0, float("nan")])
        [1.0, None]
    """
    return [float(value) if np.isfinite(value) else None for value in np.asarray(values, dtype=float)]


# --- drawings -----------------------------------------------------------------------------------------------------


@singledispatch
def _traces(drawing: Any) -> list[PlotlyFigure]:
    """What stands for one drawing."""
    raise TypeError(f"expected a drawing of a Picture, got {type(drawing).__name__}.")


@_traces.register
def _(drawing: Series) -> list[PlotlyFigure]:
    look = drawing.look
    parts = (["lines"] if look.width else []) + (["markers"] if look.marker else [])
    trace: PlotlyFigure = {
        "type": "scatter",
        "mode": "+".join(parts),
        "x": plain_numbers(drawing.x),
        "y": plain_numbers(drawing.y),
        "yaxis": _AXES[drawing.where],
        "opacity": look.opacity,
    } | _named(drawing.name)
    if look.width:
        trace["line"] = _stroke(look) | ({"shape": "hv"} if drawing.step else {})
    if look.marker:
        trace["marker"] = _marker(look)
    if drawing.where == "frame":
        trace["hovertemplate"] = "%{x:.4g}<extra></extra>"
    if not drawing.clipped:
        trace["cliponaxis"] = False
    if drawing.error is not None:
        trace["error_y"] = {"type": "data", "array": plain_numbers(drawing.error), "color": look.colour}
    if drawing.fill:
        trace |= {"fill": "tozeroy", "fillcolor": _faint(look.colour, drawing.fill)}
    return [trace]


@_traces.register
def _(drawing: Histogram) -> list[PlotlyFigure]:
    look, edges = drawing.look, np.asarray(drawing.edges, dtype=float)
    if drawing.filled:
        return [
            {
                "type": "bar",
                "x": plain_numbers((edges[1:] + edges[:-1]) / 2),
                "width": plain_numbers(np.diff(edges)),
                "y": plain_numbers(drawing.heights),
                "marker": {"color": look.colour, "opacity": look.opacity, "line": {"width": 0}},
            }
            | _named(drawing.name)
        ]
    line = _stroke(look) | {"shape": "hv"}
    heights = np.append(drawing.heights, drawing.heights[-1:])
    outline = {"type": "scatter", "mode": "lines", "x": plain_numbers(edges), "y": plain_numbers(heights), "line": line}
    return [outline | _named(drawing.name)]


@_traces.register
def _(drawing: Bars) -> list[PlotlyFigure]:
    step = float(np.diff(drawing.x).min()) if len(drawing.x) > 1 else 1.0
    bars = {"type": "bar", "x": plain_numbers(drawing.x), "y": plain_numbers(drawing.heights)}
    return [bars | {"width": drawing.part * step, "marker": {"color": drawing.look.colour}} | _named(drawing.name)]


@_traces.register
def _(drawing: Stems) -> list[PlotlyFigure]:
    look, x, y, words = drawing.look, [], [], []
    for place, mass, text in zip(drawing.x, drawing.masses, drawing.words, strict=True):
        x += [float(place), float(place), None]
        y += [0.0, float(mass), None]
        words += ["", text, ""]
    return [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "x": x,
            "y": y,
            "text": words,
            "hoverinfo": "text",
            "line": {"color": _faint(look.colour, look.opacity), "width": _BROWSER * look.width},
            "marker": _marker(look) | {"size": [_BROWSER * look.size if word else 0 for word in words]},
            "yaxis": "y2",
        }
        | _named(drawing.name)
    ]


@_traces.register
def _(drawing: HeatMap) -> list[PlotlyFigure]:
    trace: PlotlyFigure = {
        "type": "heatmap",
        "x": plain_numbers(drawing.x),
        "y": plain_numbers(drawing.y),
        "z": [plain_numbers(row) for row in drawing.z],
        "coloraxis": "coloraxis",
    }
    if drawing.words:
        return [trace | {"text": [list(row) for row in drawing.words], "hovertemplate": "%{text}<extra></extra>"}]
    return [trace | {"hovertemplate": drawing.hover.replace("{", "%{") + "<extra></extra>"}]


@_traces.register
def _(drawing: Rule) -> list[PlotlyFigure]:
    """Its name; the line itself is a shape of the layout."""
    entry = {"type": "scatter", "mode": "lines", "x": [None], "y": [None], "line": _stroke(drawing.look)}
    return [entry | _named(drawing.name)] if drawing.name else []


@_traces.register
def _(drawing: Swatch) -> list[PlotlyFigure]:
    marker = {"symbol": "square", "size": 12, "color": drawing.colour}
    return [{"type": "scatter", "mode": "markers", "x": [None], "y": [None], "marker": marker} | _named(drawing.name)]


def _named(name: str) -> PlotlyFigure:
    return {"name": name} if name else {"name": "", "showlegend": False}


def _stroke(look: Appearance) -> PlotlyFigure:
    return {"color": look.colour, "width": _BROWSER * look.width, "dash": _DASHES[look.dash]}


def _marker(look: Appearance) -> PlotlyFigure:
    bare = look.hollow or look.marker == "tick"
    symbol = _MARKERS[look.marker or "circle"] + ("-open" if bare else "")
    rim = {"color": look.edge or look.colour, "width": 2 if bare or look.edge else 0}
    return {
        "symbol": symbol,
        "size": _BROWSER * look.size,
        "color": look.edge if bare and look.edge else look.colour,
        "line": rim,
    }


def _rule(drawing: Rule) -> PlotlyFigure:
    along, across = ("x", "y") if drawing.axis == "x" else ("y", "x")
    ends = {f"{along}0": drawing.at, f"{along}1": drawing.at, f"{across}0": 0, f"{across}1": 1}
    return {"type": "line", f"{across}ref": "paper", "line": _stroke(drawing.look)} | ends


def _colours(drawing: HeatMap) -> PlotlyFigure:
    last = max(len(drawing.colours) - 1, 1)
    scale = [[place / last, colour] for place, colour in enumerate(drawing.colours)] or "Viridis"
    low, high = drawing.limits
    # What explains the name would not fit; along the bar it takes no width from a narrow page.
    bar = {"title": {"text": drawing.bar.partition(":")[0], "side": "right"}, "thickness": 12}
    return {"colorscale": scale, "cmin": low, "cmax": high, "colorbar": bar}


def _faint(colour: str, opacity: float) -> str:
    """A colour #rrggbb with an opacity."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


# --- axes ---------------------------------------------------------------------------------------------------------


def _axis(shown: Axis, *, grid: bool) -> PlotlyFigure:
    axis: PlotlyFigure = {
        "title": {"text": shown.label.replace("\n", "<br>")},
        "type": "log" if shown.log else "linear",
        "gridcolor": _GRID,
        "showgrid": grid,
        "zeroline": False,
        "ticks": "outside",
        "automargin": True,
        "fixedrange": True,
    }
    if shown.low is not None and shown.high is not None:
        ends = [shown.low, shown.high]
        axis["range"] = [float(end) for end in (np.log10(ends) if shown.log else ends)]
    if shown.form == "percent":
        axis["tickformat"] = ".0%"
    elif shown.form in ("", "power"):
        axis["exponentformat"] = "power"
    if shown.ticks:
        axis |= {"tickvals": list(shown.ticks)}
        axis |= {} if shown.form == "percent" else {"ticktext": [f"{tick:g}" for tick in shown.ticks]}
    return axis


def _counted(shown: Axis, name: str, data: Sequence[PlotlyFigure]) -> PlotlyFigure:
    """Ticks at whole numbers only, which plotly has no word for: 1, 2 or 5 times a power of ten apart."""
    left = [trace.get(name, ()) for trace in data if trace.get("yaxis", "y") == "y"]
    known = [value for some in left for value in some if value is not None]
    if shown.form != "whole" or shown.log or shown.ticks or not known:
        return {}
    least = max((max(known) - min(known)) / _TICKS, 1.0)
    power = 10 ** math.floor(math.log10(least))
    return {"tick0": 0, "dtick": next(step * power for step in (1, 2, 5, 10) if step * power >= least)}
