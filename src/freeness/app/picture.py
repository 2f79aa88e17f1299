"""A picture of the room ``plots`` as the content of a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI = 150


def picture_bytes(axes: Axes, kind: str) -> bytes:
    r"""The whole figure that holds the axes.

    Args:
        axes: of matplotlib.
        kind: "png" or "svg".

    Example:
        >>> from freeness.laws import Semicircle
        >>> from freeness.plots import plot_law
        >>> picture_bytes(plot_law(Semicircle(1.0)), "png")[:4]
        b'\x89PNG'
    """
    from freeness.plots import figure_of

    stream = io.BytesIO()
    figure_of(axes).savefig(stream, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else None)
    return stream.getvalue()
