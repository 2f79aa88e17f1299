"""A picture as the content of a file, for those who send it instead of writing it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

from freeness.show.picture import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150


def picture_bytes(picture: Picture | Figure, kind: str) -> bytes:
    r"""A picture as it is written to a file; the same one gives the same PNG.

    Example:
        >>> from freeness.laws import Semicircle
        >>> from freeness.show import law_picture
        >>> picture_bytes(law_picture(Semicircle(1.0)), "png")[:4]
        b'\x89PNG'
    """
    from freeness.show.static import draw, figure_of  # loads matplotlib

    figure = figure_of(draw(picture)) if isinstance(picture, Picture) else picture
    stream = io.BytesIO()
    nothing = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(stream, format=kind, dpi=_DPI, metadata=nothing)
    return stream.getvalue()


def picture_uri(picture: Picture | Figure) -> str:
    """A picture as a data URI, for a page that loads nothing."""
    return "data:image/png;base64," + base64.b64encode(picture_bytes(picture, "png")).decode("ascii")
