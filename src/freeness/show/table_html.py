"""A table of text as HTML."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape


def html_table(
    title: str, rows: Iterable[Sequence[str]], header: Sequence[str] = (), flagged: Collection[int] = ()
) -> str:
    """A table of text as HTML; the first cell of a row names it.

    Args:
        title: above it; none where empty.
        rows: of text, which is escaped.
        header: one name a column.
        flagged: numbers of the rows, from 0, that speak against something: their text is bold.

    Example:
        >>> html_table("a < b", [("mean", "1")])
        '<table><caption>a &lt; b</caption><tbody><tr><th scope="row">mean</th><td>1</td></tr></tbody></table>'
    """
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(_row(cells, number in flagged) for number, cells in enumerate(rows))
    return f"<table>{caption}{f'<thead><tr>{names}</tr></thead>' if header else ''}<tbody>{body}</tbody></table>"


def _row(cells: Sequence[str], flagged: bool) -> str:
    name, *others = (f"<strong>{escape(cell)}</strong>" if flagged else escape(cell) for cell in cells)
    return f'<tr><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
