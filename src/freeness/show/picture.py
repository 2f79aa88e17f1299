"""A picture as a value: what is drawn, on which axes, and the sentence that says the same.

:func:`freeness.show.draw` makes axes of matplotlib of it, :func:`freeness.show.to_plotly` a figure for the browser.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Num

Dash = Literal["solid", "dash", "dot", "dashdot", "short"]
Marker = Literal["circle", "square", "up", "down", "diamond", "tick"]
Where = Literal["left", "right", "frame"]
Form = Literal["", "power", "whole", "percent", "plain"]


@dataclass(frozen=True)
class Appearance:
    """How a drawing looks: widths and sizes in points; ``width`` 0 draws no line, ``edge`` is the colour of a marker's rim."""

    colour: str
    width: float = 2.0
    dash: Dash = "solid"
    marker: Marker | None = None
    size: float = 6.0
    edge: str = ""
    hollow: bool = False
    opacity: float = 1.0


@dataclass(frozen=True, eq=False)
class Series:
    """Points (x, y), joined by a line where the look has one; NaN interrupts it.

    ``name`` stands in the legend, ``key`` is for those who look the drawing up. ``where``: on the left axis, the right one, or
    in parts of the frame's height. ``error`` draws a bar of this half length at every point; ``step`` holds each value until the
    next point; ``fill`` is the opacity of the area down to 0. What is not ``clipped`` is drawn whole at the frame's
    edge.
    """

    x: Num[np.ndarray, " points"]
    y: Num[np.ndarray, " points"]
    look: Appearance
    name: str = ""
    key: str = ""
    where: Where = "left"
    error: Float[np.ndarray, " points"] | None = None
    step: bool = False
    fill: float = 0.0
    clipped: bool = True


@dataclass(frozen=True, eq=False)
class Histogram:
    """Heights between ascending edges: filled, or their outline without its sides."""

    edges: Float[np.ndarray, " edges"]
    heights: Num[np.ndarray, " edges-1"]
    look: Appearance
    name: str = ""
    key: str = ""
    filled: bool = True


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars around the places x, with gaps between them."""

    x: Num[np.ndarray, " bars"]
    heights: Num[np.ndarray, " bars"]
    look: Appearance
    name: str = ""
    key: str = ""
    part: float = 0.85  # of the distance between two places


@dataclass(frozen=True, eq=False)
class Stems:
    """Masses at points on the right axis, with a marker on top; ``labels`` stand beside some ("" for none), ``words`` say all."""

    x: Float[np.ndarray, " stems"]
    masses: Float[np.ndarray, " stems"]
    look: Appearance
    name: str
    key: str
    labels: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Values z (rows over y) at centres x and y, or between edges where there is one more of these; NaN stays empty.

    ``colours`` run from the lower to the upper limit; none is viridis. Heat maps of one picture share limits, colours and
    ``bar``, the words beside the colour bar. ``hover`` is said of a cell, with {x}, {y} and {z}; ``words`` (z's shape) take its
    place.
    """

    x: Num[np.ndarray, " _"]
    y: Num[np.ndarray, " _"]
    z: Num[np.ndarray, "rows columns"]
    limits: tuple[float, float]
    bar: str
    colours: tuple[str, ...] = ()
    hover: str = ""
    words: tuple[tuple[str, ...], ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Rule:
    """A straight line across the frame at one value of the x axis, or of the y axis."""

    at: float
    axis: Literal["x", "y"]
    look: Appearance
    name: str = ""


@dataclass(frozen=True)
class Swatch:
    """A colour that is drawn elsewhere, named in the legend."""

    colour: str
    name: str


Drawing: TypeAlias = Series | Histogram | Bars | Stems | HeatMap | Rule | Swatch


@dataclass(frozen=True)
class Axis:
    """One axis, between two ends; where these are None they follow the data.

    ``form``: "power" writes large and small numbers with a common power of ten, "whole" whole numbers only, "percent" a share,
    "plain" decimals on a logarithmic axis.
    """

    label: str = ""
    low: float | None = None
    high: float | None = None
    log: bool = False
    base: int = 10
    ticks: tuple[float, ...] = ()
    form: Form = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """Drawings over one x axis; ``right`` is a second y axis for those that ask for it.

    ``sentence`` says what is seen, for those who do not see it. The legend has so many ``columns``, and lists what is drawn last
    first where it is ``backwards``. ``empty`` is the colour where nothing is drawn.
    """

    drawings: tuple[Drawing, ...]
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    right: Axis | None = None
    title: str = ""
    sentence: str = ""
    columns: int = 2
    backwards: bool = False
    empty: str = ""
    grid: bool = True
