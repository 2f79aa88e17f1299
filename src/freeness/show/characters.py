"""A density drawn in characters, for terminals."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from freeness.expressions import LawAnswer
from freeness.laws import Law
from freeness.show.answer import Answer, Section, Sentence, answer_of

_BLOCKS, _SHADES = " ▁▂▃▄▅▆▇█", " .:#"
_ROWS = 9
_LABEL = 8  # characters of the labels on the left
_CLIP = 3.0  # the axis ends at this multiple of the ninth decile; higher columns are cut off


def sketch(law: Law, width: int, encoding: str) -> list[str]:
    """Lines of at most ``width`` characters: the density averaged over each column, and marks under the atoms.

    Args:
        law: whose density is drawn, with its atoms.
        width: of the terminal, in characters; the drawing takes no more.
        encoding: what the terminal understands; without block characters the drawing is plain ASCII.

    Example:
        >>> from freeness.laws import Projection
        >>> for line in sketch(Projection(0.25), 30, "ascii")[-2:]:
        ...     print(line)
                ^                ^
             -0.1              1.1
    """
    blocks = _encodes(_BLOCKS + "▲─┤", encoding)
    columns = max(width - _LABEL - 2, 8)
    low, high = law.hull
    margin = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    edges = np.linspace(low - margin, high + margin, columns + 1)
    lines = _bars(_averages(law, edges), blocks)
    if law.atoms:
        places = np.clip(np.searchsorted(edges, [position for position, _ in law.atoms]) - 1, 0, columns - 1)
        marks = "".join(("▲" if blocks else "^") if column in places else " " for column in range(columns))
        lines.append(" " * (_LABEL + 1) + marks)
    left, right = f"{edges[0]:.4g}", f"{edges[-1]:.4g}"
    lines.append(" " * (_LABEL + 1) + left + right.rjust(columns - len(left)))
    return [line.rstrip() for line in lines]


def _averages(law: Law, edges: np.ndarray) -> np.ndarray:
    """Mass of the continuous part in each column over its width; NaN where the law did not converge."""
    cdf = law.cdf(edges, throw=False)
    for position, mass in law.atoms:
        cdf = cdf - mass * (edges >= position)
    return np.maximum(np.diff(cdf) / np.diff(edges), 0.0)


def _bars(heights: np.ndarray, blocks: bool) -> list[str]:
    """Rows of a bar chart with its scale, top first."""
    positive = heights[heights > 1e-9 * np.nanmax(heights, initial=0.0)]
    if not positive.size:
        return []
    top = min(float(positive.max()), _CLIP * float(np.quantile(positive, 0.9)))
    levels = _BLOCKS if blocks else _SHADES
    steps = len(levels) - 1
    known = np.nan_to_num(heights, nan=0.0)
    filled = np.ceil(np.clip(known / top, 0.0, 1.0) * _ROWS * steps - 1e-9).astype(int)
    rows = []
    for row in reversed(range(_ROWS)):
        part = np.clip(filled - row * steps, 0, steps)
        text = "".join("?" if np.isnan(h) and row == 0 else levels[p] for h, p in zip(heights, part, strict=True))
        label = f"{top:.3g}" if row == _ROWS - 1 else "0" if row == 0 else ""
        rows.append(label.rjust(_LABEL) + ("┤" if blocks else "|") + text)
    rows.append(" " * (_LABEL + 1) + ("─" if blocks else "-") * heights.size)
    return rows


def _encodes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def with_sketch(record: LawAnswer, console: Console) -> Answer:
    """The answer to an expression, with its density drawn to the width of a terminal.

    Args:
        record: of :func:`~freeness.expressions.answer_law`.
        console: where it will be printed; its width and encoding decide.
    """
    answer = answer_of(record)
    lines = sketch(record.law, console.width, console.encoding)
    parts = [Sentence(line, "drawn") for line in lines]
    if any("?" in line for line in lines):
        lost = (
            "?: columns where the law did not converge, on an edge or beside an atom; the others are not touched by it."
        )
        parts.append(Sentence(lost))
    title = "Density" + (" (marks below: atoms)" if record.law.atoms else "")
    return Answer(answer.title, (*answer.sections, Section(title, tuple(parts))))
