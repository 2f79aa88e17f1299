"""A sheet of small pictures in the space of a network's input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from freeness.show.static import FONT

_PANEL = 1.35  # inches
_NOTHING = 1e-12


def plot_maps(
    image: Float[np.ndarray, "*shape"], maps: Sequence[tuple[str, Float[np.ndarray, "*_"]]], columns: int = 5
) -> Figure:
    """Draw an input in grey and maps of its shape beside it: blue below 0, red above, scaled each by itself.

    Args:
        image: the input; a vector is drawn as one row.
        maps: titles and values of the image's shape.
        columns: panels in a row.
    """
    rows = -(-(len(maps) + 1) // columns)
    size = (_PANEL * columns, (_PANEL + 0.3) * rows)
    layout = ConstrainedLayoutEngine(h_pad=0.08)  # letters of titles reach above their line
    figure = Figure(figsize=size, layout=layout, facecolor="white")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    panels[0].imshow(_as_picture(image), cmap="gray_r", interpolation="nearest")
    panels[0].set_title("input", fontsize=FONT - 3)
    for panel, (name, values) in zip(panels[1:], maps, strict=False):
        reach = max(float(np.abs(values).max()), _NOTHING)
        panel.imshow(_as_picture(values), cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
        panel.set_title(f"{name}\n±{reach:.2g}" if reach > _NOTHING else f"{name}\n0", fontsize=FONT - 3)
    return figure


def _as_picture(values: np.ndarray) -> np.ndarray:
    """Two axes: those of an image, or one row; channels are averaged."""
    squeezed = np.squeeze(values)
    if squeezed.ndim > 2:
        return squeezed.mean(0)
    return squeezed if squeezed.ndim == 2 else np.atleast_2d(squeezed)
