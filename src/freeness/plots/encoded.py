"""A picture as the content of a file, for those who send it instead of writing it."""

from __future__ import annotations

import io

from matplotlib.axes import Axes

from freeness.plots.style import figure_of

_DPI = 150


def picture_bytes(axes: Axes, kind: str) -> bytes:
    r"""The whole figure that holds the axes.

    Args:
        axes: any of the figure's.
        kind: "png" or "svg".

    Example:
        >>> from freeness.laws import Semicircle
        >>> from freeness.plots import plot_law
        >>> picture_bytes(plot_law(Semicircle(1.0)), "png")[:4]
        b'\x89PNG'
    """
    stream = io.BytesIO()
    figure_of(axes).savefig(stream, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else None)
    return stream.getvalue()
