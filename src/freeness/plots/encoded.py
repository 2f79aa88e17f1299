"""A picture as the content of a file, for those who send it instead of writing it."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

_DPI = 150


def picture_bytes(figure: Figure, kind: str) -> bytes:
    r"""A figure as it is written to a file.

    Args:
        figure: of matplotlib.
        kind: "png" or "svg".

    Example:
        >>> from freeness.laws import Semicircle
        >>> from freeness.plots import figure_of, plot_law
        >>> picture_bytes(figure_of(plot_law(Semicircle(1.0))), "png")[:4]
        b'\x89PNG'
    """
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else None)
    return stream.getvalue()
