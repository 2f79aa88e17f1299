"""The phase diagram of a deep network over (σ_w, σ_b), and the map of one layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from freeness.meanfield import EdgeOfChaos, LayerMaps, PhaseDiagram
from freeness.show import style
from freeness.show.picture import Appearance, Axis, Dash, Drawing, HeatMap, Picture, Series, Swatch

_LIMIT = 1.0  # of |ln χ₁| in colour: beyond it a gradient changes by e every layer
_POINT = Appearance("#ffd400", 0, marker="circle", size=12, edge="#000000")


def phase_picture(
    diagram: PhaseDiagram,
    edge: EdgeOfChaos | None = None,
    at: tuple[float, float] | None = None,
    *,
    title: str = "",
    named: str = "this network",
) -> Picture:
    """ln χ₁, the growth of squared gradients a layer, and the critical curve where it is 0.

    Args:
        diagram: χ₁ and q* over σ_w (columns) and σ_b (rows).
        edge: points of the critical curve; its unstable part, to which no signal settles, is dashed.
        at: σ_w and σ_b of one network, the last drawing.
        title: above the picture.
        named: what that network is called in the legend.

    Example:
        >>> from freeness.meanfield import phase_diagram
        >>> from freeness.network import activation
        >>> found = phase_diagram(activation("tanh"), [0.9, 1.8], [0.0, 0.1])
        >>> [type(drawing).__name__ for drawing in phase_picture(found, None, (1.5, 0.1)).drawings]
        ['HeatMap', 'Series']
    """
    with np.errstate(divide="ignore"):
        growth = np.log(diagram.chi1)
    heat = HeatMap(
        diagram.sigma_w,
        diagram.sigma_b,
        np.clip(growth, -_LIMIT, _LIMIT),
        (-_LIMIT, _LIMIT),
        "ln χ₁: growth of squared gradients a layer",
        style.ORDERED_TO_CHAOTIC,
        "σ_w {x:.3f}, σ_b {y:.3f}<br>ln χ₁ {z:.3f}",
        key="phase-growth",
    )
    drawn: list[Drawing] = [heat, *(_critical(edge) if edge is not None else ())]
    if np.isnan(growth).any():
        drawn.append(Swatch(style.PALE, "signal diverges (from q = 1)"))
    if at is not None:
        drawn.append(Series(np.array([at[0]]), np.array([at[1]]), _POINT, named, "network"))
    return Picture(
        tuple(drawn),
        Axis("σ_w", float(diagram.sigma_w.min()), float(diagram.sigma_w.max())),
        Axis("σ_b", float(diagram.sigma_b.min()), float(diagram.sigma_b.max())),
        title=title,
        empty=style.PALE,
        grid=False,
    )


def _critical(edge: EdgeOfChaos) -> list[Drawing]:
    """The stable part as a line, the unstable part dashed; one point, or points in one place, as a marker."""
    drawn: list[Drawing] = []
    parts: tuple[tuple[np.ndarray, Dash, str], ...] = (
        (edge.stable, "solid", "edge of chaos"),
        (~edge.stable, "dash", "edge, fixed point unstable"),
    )
    for kept, dash, name in parts:
        if kept.any():
            w, b = np.where(kept, edge.sigma_w, np.nan), np.where(kept, edge.sigma_b, np.nan)
            together = bool(np.nanmax(w) - np.nanmin(w) < 1e-6 and np.nanmax(b) - np.nanmin(b) < 1e-6)
            look = Appearance("#000000", dash=dash, marker="circle" if together else None)
            drawn.append(Series(w, b, look, name, clipped=not together))
    return drawn


def map_picture(
    x: Float[np.ndarray, " points"],
    following: Float[np.ndarray, " points"],
    settled: float | None,
    symbol: str,
    sentence: str = "",
) -> Picture:
    """One layer's map beside the diagonal, with the point where it settles.

    Args:
        x: values of the quantity, ascending.
        following: those a layer later, at each x.
        settled: the fixed point, or None.
        symbol: of the quantity.
        sentence: says what is seen.

    Example:
        >>> picture = map_picture(np.array([0.0, 1.0]), np.array([0.2, 0.8]), 0.5, "c")
        >>> [drawing.name for drawing in picture.drawings]
        ['next layer', 'unchanged', 'c* = 0.5']
    """
    drawn = [
        Series(x, following, Appearance(style.THEORY), "next layer"),
        Series(x[[0, -1]], x[[0, -1]], Appearance("#888888", 1, "dot"), "unchanged"),
    ]
    if settled is not None:
        point = np.array([settled])
        drawn.append(
            Series(point, point, Appearance(style.RED, 0, marker="circle", size=8), f"{symbol}* = {settled:.4g}")
        )
    return Picture(tuple(drawn), Axis(symbol), Axis(f"{symbol} a layer later"), sentence=sentence)


def map_pictures(maps: LayerMaps) -> tuple[Picture, ...]:
    """The map of q, and that of c where there is one."""
    found = maps.settled.found
    settles = "" if found is None else f": settles at {found.q:.4g}"
    words = f"Map of q, the variance of pre-activations{settles}"
    lengths = map_picture(*maps.lengths, found and found.q, "q", words)
    if found is None or maps.correlations is None:
        return (lengths,)
    words = f"Map of c, the correlation of two inputs: settles at {found.c:.4g}"
    return lengths, map_picture(*maps.correlations, found.c, "c", words)
