"""A law in the browser: density as a line, atoms as stems on an axis of their own, sampled eigenvalues as bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from freeness.plots.drawn_law import DrawnLaw
from freeness.plots.interactive import MEASURED, RED, THEORY, PlotlyFigure, interactive_figure, plain_numbers
from freeness.plots.pointmass import Split, split_eigenvalues

_STEEP = 3.0  # the axis ends at this multiple of the density's ninth decile


def interactive_law(law: DrawnLaw, sampled: ArrayLike | None = None, *, xlabel: str = "eigenvalue") -> PlotlyFigure:
    """The figure of a law.

    Args:
        law: its values.
        sampled: eigenvalues of a matrix that is laid over it; equal ones are a point mass, as of the law.
        xlabel: what the eigenvalues are of.

    Example:
        >>> from freeness.laws import Projection
        >>> from freeness.plots.drawn_law import drawn_law
        >>> [trace["name"] for trace in interactive_law(drawn_law(Projection(0.25)))["data"]]
        ['mass at one point']
    """
    data: list[PlotlyFigure] = []
    tops, split = [], None
    if sampled is not None:
        split = split_eigenvalues(np.asarray(sampled, dtype=float), None)
        bars, top = _bars(law, split)
        data.append(bars)
        tops.append(top)
    if law.x.size:
        known = law.density[np.isfinite(law.density)]
        tops.append(min(float(known.max()), _STEEP * float(np.quantile(known, 0.9))) if known.size else 1.0)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": plain_numbers(law.x),
                "y": plain_numbers(law.density),
                "line": {"color": THEORY, "width": 2.5},
                "fill": "tozeroy",
                "fillcolor": "rgba(0, 114, 178, 0.12)",
                "name": "density of theory",
            }
        )
    if law.atoms:
        data.append(_stems(law, law.atoms, RED, "mass at one point"))
    if split is not None and split.atoms:
        data.append(_stems(law, split.atoms, MEASURED, "sampled, mass at one point"))
    span = np.log10(law.span) if law.log else np.array(law.span)
    xaxis = {
        "title": {"text": xlabel},
        "type": "log" if law.log else "linear",
        "range": span.tolist(),
        "exponentformat": "power",
    }
    yaxis = {
        "title": {"text": "density per decade" if law.log else "density"},
        "range": [0, 1.15 * max(tops, default=1.0) or 1.0],
    }
    figure = interactive_figure(data, xaxis, yaxis)
    if any("yaxis" in trace for trace in data):
        figure["layout"]["yaxis2"] = {
            "title": {"text": "mass at one point"},
            "overlaying": "y",
            "side": "right",
            "range": [0, 1.15],
            "tickformat": ".0%",
            "showgrid": False,
            "automargin": True,
            "fixedrange": True,
        }
    return figure


def law_in_words(law: DrawnLaw) -> str:
    """The picture as a sentence, for those who do not see it.

    Args:
        law: its values.

    Example:
        >>> from freeness.laws import Projection
        >>> from freeness.plots.drawn_law import drawn_law
        >>> law_in_words(drawn_law(Projection(0.25)))
        'Spectrum from 0 to 1, mean 0.25, atoms: 75 % at 0, 25 % at 1.'
    """
    atoms = ", ".join(f"{100 * mass:.3g} % at {position:.4g}" for position, mass in law.atoms)
    ends = f"Spectrum from {law.low:.4g} to {law.high:.4g}, mean {law.mean:.4g}"
    return f"{ends}, {f'atoms: {atoms}' if atoms else 'no atoms'}."


def _stems(law: DrawnLaw, atoms: Sequence[Sequence[float]], colour: str, name: str) -> PlotlyFigure:
    """On a log axis an atom at zero stands at the left end."""
    left = law.span[0] * 1.02
    x, y, words = [], [], []
    for position, mass in atoms:
        place = max(position, left) if law.log else position
        x += [place, place, None]
        y += [0.0, mass, None]
        words += ["", f"{100 * mass:.3g} % at {position:.4g}", ""]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": x,
        "y": y,
        "text": words,
        "hoverinfo": "text",
        "line": {"color": colour, "width": 3},
        "marker": {"symbol": "diamond", "size": [9 if word else 0 for word in words]},
        "yaxis": "y2",
        "name": name,
    }


def _bars(law: DrawnLaw, split: Split) -> tuple[PlotlyFigure, float]:
    """A histogram of the eigenvalues that are no point mass, and its height."""
    rest = split.rest
    shown = rest[rest > law.span[0]] if law.log else rest
    scaled = np.log10(shown) if law.log else shown
    counts, edges = np.histogram(scaled, int(np.clip(2 * np.sqrt(scaled.size), 6, 50))) if scaled.size else ([], [0.0])
    heights = np.asarray(counts) / split.total / (np.diff(edges) if scaled.size else 1.0)
    ends = 10.0 ** np.asarray(edges) if law.log else np.asarray(edges)
    bars = {
        "type": "bar",
        "x": plain_numbers((ends[1:] + ends[:-1]) / 2),
        "width": plain_numbers(np.diff(ends)),
        "y": plain_numbers(heights),
        "marker": {"color": MEASURED, "opacity": 0.6, "line": {"width": 0}},
        "name": f"sampled, {split.total} eigenvalues",
    }
    return bars, float(heights.max()) if heights.size else 0.0
