"""An answer for people before it is laid out: sections of rows, tables and sentences."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import singledispatch
from importlib import import_module
from typing import Any, Literal, TypeAlias

from freeness.errors import InputError
from freeness.show.table_html import html_table

NOTHING = "–"
UNCONVERGED = "not converged"
Kind = Literal["plain", "bold", "point", "strong", "change", "warning", "code", "drawn"]


@dataclass(frozen=True)
class Row:
    """A label and its value: a number to be written with so many digits, or words."""

    label: str
    value: float | str | None
    digits: int = 6

    @property
    def text(self) -> str:
        """The value in words.

        Example:
            >>> Row("σ_w", 1.23456789, 4).text
            '1.235'
        """
        return self.value if isinstance(self.value, str) else number(self.value, self.digits)


@dataclass(frozen=True)
class Table:
    """A header and rows of text, all of the same length.

    ``numeric`` are the columns that are set to the right, ``flagged`` the rows that speak against something.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[str, ...] = ()
    flagged: tuple[int, ...] = ()

    def _repr_html_(self) -> str:
        return html_table("", self.rows, self.header, self.flagged)


@dataclass(frozen=True)
class Sentence:
    """A sentence or a line of text.

    Plain or bold; one point of a list (strong: to be read first); a change to make; a warning; code; a line of a drawing.
    """

    text: str
    kind: Kind = "plain"


Part: TypeAlias = Row | Table | Sentence


@dataclass(frozen=True)
class Section:
    """Parts under a title."""

    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Answer:
    """A title and sections, in the order in which they are read."""

    title: str
    sections: tuple[Section, ...]

    def section(self, title: str) -> Section:
        """The section of that title; an empty one where there is none."""
        return next((section for section in self.sections if section.title == title), Section(title, ()))


@singledispatch
def answer_of(record: Any) -> Answer:
    """A record as an answer for people.

    A record of one's own is shown everywhere once ``answer_of.register`` has a function for it.

    Raises:
        InputError: nothing is registered for it.

    Example:
        >>> from freeness.laws import Projection
        >>> [row.label for row in answer_of(Projection(0.25)).sections[0].parts]
        ['law', 'mean', 'variance', 'hull', 'atoms']
    """
    if load_answers(record):
        return answer_of(record)
    raise InputError(
        f"expected a record that can be shown, got {type(record).__name__}; register a function for it by answer_of.register."
    )


@singledispatch
def brief_of(record: Any) -> Answer:
    """A record as a notebook shows it: :func:`answer_of`, or less where that is long or takes long to compute."""
    return answer_of(record)


_LATER = "freeness.show.answers.measured"  # who shows the records of rooms that load torch
_ROOMS = {"freeness.interpret", "freeness.torch"}


def load_answers(record: Any) -> bool:
    """Load what shows the records of rooms that need torch; whether that was needed for this one and has not been done before."""
    room = ".".join(type(record).__module__.split(".")[:2])
    if room not in _ROOMS or _LATER in sys.modules:
        return False
    import_module(_LATER)
    return True


def gathered(parts: Iterable[Part]) -> Iterator[Table | Sentence]:
    """Tables and sentences; rows that follow one another are a table of two columns."""
    rows: list[tuple[str, str]] = []
    for part in parts:
        if isinstance(part, Row):
            rows.append((part.label, part.text))
            continue
        if rows:
            yield values_table(rows)
            rows = []
        yield part
    if rows:
        yield values_table(rows)


def values_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Labels and values as a table."""
    return Table(("", "value"), tuple(rows), ("value",))


# --- how values are written ---------------------------------------------------------------------------------------


def number(value: float | None, digits: int = 4) -> str:
    """A number for people: a few significant digits, a dash for None, words for what is not finite.

    Example:
        >>> number(1234.5678), number(None), number(float("inf"))
        ('1235', '–', 'infinite')
    """
    if value is None or math.isnan(value):
        return NOTHING
    return f"{value:.{digits}g}" if math.isfinite(value) else "infinite" if value > 0 else "-infinite"


def percent(value: float) -> str:
    """A mass in percent.

    Example:
        >>> percent(0.98249)
        '98.2%'
    """
    return f"{100 * value:.1f}%"


def attempted(text: Callable[[], str]) -> str:
    """A text that may need computing; where that fails numerically, it says so.

    Example:
        >>> attempted(lambda: number(1 / 0))
        'not converged'
    """
    try:
        return text()
    except (ArithmeticError, ValueError):  # what does not converge, and what numpy or freeness refuses on the way
        return UNCONVERGED
