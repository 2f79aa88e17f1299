"""Answers in a terminal, by rich: plain text in which nothing is read as markup."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from functools import singledispatch
from io import StringIO
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable

from freeness.show.answer import Answer, Kind, Section, Sentence, Table, answer_of, gathered

_ENDLESS = 10_000  # characters, to find out how wide a table is
_MARKS: dict[Kind, str] = {"point": "•", "strong": "•", "change": "→", "warning": "!"}
_STYLES: dict[Kind, str] = {"bold": "bold", "strong": "bold", "warning": "yellow"}


def print_answer(console: Console, record: Any) -> None:
    """Print a record, or an answer: its title and its sections.

    Args:
        console: whose width is kept.
        record: whatever ``answer_of`` knows, or an :class:`~freeness.show.Answer`.
    """
    answer = record if isinstance(record, Answer) else answer_of(record)
    if answer.title:
        console.print(answer.title, style="bold", soft_wrap=True)
    for section in answer.sections:
        print_section(console, section)


def answer_text(record: Any) -> str:
    """A record, or an answer, as text without colours, as wide as the terminal.

    Example:
        >>> print(answer_text(Answer("Three words", (Section("", (Sentence("All is well.", "point"),)),))))
        Three words
        • All is well.
    """
    told = StringIO()
    print_answer(Console(file=told, markup=False, highlight=False, emoji=False), record)
    return told.getvalue().rstrip()


def print_answers(console: Console, answers: Iterable[Any]) -> None:
    """Print several records, or answers, with an empty line between them."""
    for place, answer in enumerate(answers):
        if place:
            console.print()
        print_answer(console, answer)


def print_section(console: Console, section: Section) -> None:
    """Print one section under its title."""
    if section.title:
        console.print(f"\n{section.title}", style="bold")
    for part in gathered(section.parts):
        _print(part, console)


@singledispatch
def _print(part: Any, console: Console) -> None:
    raise TypeError(f"expected a part of a section, got {type(part).__name__}.")


@_print.register
def _(part: Table, console: Console) -> None:
    endless = console.options.update(max_width=_ENDLESS)
    for shown in (_laid_out(part, 1), _laid_out(part, 0)):
        if console.measure(shown, options=endless).maximum <= console.width:
            console.print(shown)
            return
    console.print(_laid_out(part, 0, unbroken=True))


def _laid_out(part: Table, gap: int, unbroken: bool = False) -> RichTable:
    """``unbroken``: numbers stay whole, and words are broken before them."""
    shown = RichTable(box=SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    for place, name in enumerate(part.header):
        numeric = name in part.numeric
        width = _unbroken(part, place) if numeric and unbroken else None
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold", width=width)
    for index, row in enumerate(part.rows):
        shown.add_row(*row, style="bold red" if index in part.flagged else None)
    return shown


def _unbroken(part: Table, place: int) -> int:
    """Of a column so wide that no number in it is broken, nor a word of its name."""
    return max(len(text) for text in (*(row[place] for row in part.rows), *part.header[place].split(), ""))


@_print.register
def _(part: Sentence, console: Console) -> None:
    style, mark = _STYLES.get(part.kind, ""), _MARKS.get(part.kind)
    if part.kind == "code":  # to be pasted: not broken into lines
        console.print(f"  {part.text}", soft_wrap=True)
    elif mark is None:
        console.print(part.text, style=style, soft_wrap=part.kind == "drawn")
    else:
        width = max(console.width, 20)
        lines = textwrap.fill(part.text, width, initial_indent=f"{mark} ", subsequent_indent="  ")
        console.print(lines, style=style, soft_wrap=True)
