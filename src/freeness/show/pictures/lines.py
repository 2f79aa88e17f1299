"""Lines over one axis."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from freeness.show import style
from freeness.show.picture import Appearance, Axis, Dash, Picture, Series

_COLOURS = (style.THEORY, style.RED, style.GREEN, style.MEASURED)
_DASHES: tuple[Dash, ...] = ("solid", "dash", "dot", "dashdot")
_FEW = 20  # points get markers


def lines_picture(lines: Mapping[str, tuple[ArrayLike, ArrayLike]], x: Axis, y: Axis, *, sentence: str = "") -> Picture:
    """Some lines, told apart by colour and by dashes.

    Args:
        lines: (x, y) by name, two arrays of one length each.
        x: the axis of the first.
        y: the axis of the second.
        sentence: says what is seen.

    Example:
        >>> lines_picture({"accuracy": ([0, 1], [0.1, 0.9])}, Axis("step"), Axis("share")).drawings[0].name
        'accuracy'
    """
    drawn = [
        Series(
            np.asarray(places, dtype=float),
            np.asarray(values, dtype=float),
            Appearance(
                _COLOURS[i % len(_COLOURS)],
                dash=_DASHES[i % len(_DASHES)],
                marker="circle" if np.size(places) <= _FEW else None,
            ),
            name,
        )
        for i, (name, (places, values)) in enumerate(lines.items())
    ]
    return Picture(tuple(drawn), x, y, sentence=sentence)
