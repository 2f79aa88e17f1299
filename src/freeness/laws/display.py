"""How records are shown in a notebook: one small table of plain HTML, escaped, without style, script or request."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freeness.laws.law import Law

_ATOMS = 4  # so many are listed, the heaviest
_LONG = 120  # characters of a name
_NOTHING = "–"
UNCONVERGED = "not converged"


def number(value: float | None, digits: int = 4) -> str:
    """A number for people: a few significant digits, a dash for None, words for what is not finite.

    Example:
        >>> number(1234.5678), number(None), number(float("inf"))
        ('1235', '–', 'infinite')
    """
    if value is None or math.isnan(value):
        return _NOTHING
    return f"{value:.{digits}g}" if math.isfinite(value) else "infinite" if value > 0 else "-infinite"


def html_table(title: str, rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """A table of text as HTML; the first cell of a row names it.

    Args:
        title: above it; none where empty.
        rows: of text, which is escaped.
        header: of the columns.

    Example:
        >>> html_table("a < b", [("mean", "1")])
        '<table><caption>a &lt; b</caption><tbody><tr><th scope="row">mean</th><td>1</td></tr></tbody></table>'
    """
    caption = f"<caption>{escape(title)}</caption>" if title else ""
    names = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    return f"<table>{caption}{f'<thead><tr>{names}</tr></thead>' if header else ''}<tbody>{body}</tbody></table>"


def attempted(text: Callable[[], str]) -> str:
    """A text that may need computing; where that fails numerically, it says so.

    Args:
        text: computes it.

    Example:
        >>> attempted(lambda: number(1 / 0))
        'not converged'
    """
    try:
        return text()
    except (ArithmeticError, ValueError):  # what does not converge, and what numpy or freeness refuses on the way
        return UNCONVERGED


def law_rows(law: Law) -> list[tuple[str, str]]:
    """Mean, variance, ends of the support and heaviest atoms of a law, as rows of :func:`html_table`.

    Args:
        law: any law.

    Example:
        >>> from freeness.laws import Projection
        >>> law_rows(Projection(0.25))[-1]
        ('atoms', '75% at 0, 25% at 1')
    """
    return [
        ("mean", attempted(lambda: number(law.mean, 6))),
        ("variance", attempted(lambda: number(law.variance, 6))),
        ("hull", attempted(lambda: " to ".join(number(end, 6) for end in law.hull))),
        ("atoms", attempted(lambda: _atoms(law))),
    ]


def law_html(law: Law) -> str:
    """A law as a table.

    Args:
        law: any law.
    """
    name = attempted(lambda: repr(law))
    return html_table("", [("law", name if len(name) <= _LONG else f"{name[:_LONG]}…"), *law_rows(law)])


def _atoms(law: Law) -> str:
    atoms = law.atoms
    heaviest = sorted(sorted(atoms, key=lambda atom: -atom.mass)[:_ATOMS])
    listed = ", ".join(f"{number(100 * atom.mass)}% at {number(atom.position, 6)}" for atom in heaviest)
    return f"{listed}, … ({len(atoms)} in all)" if len(atoms) > _ATOMS else listed or "none"
