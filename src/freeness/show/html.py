"""Answers as HTML: small tables that are escaped, without style, script or request."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from freeness.show.answer import Answer, Part, Row, Section, Sentence, Table, gathered
from freeness.show.table_html import html_table

_CSS = ' class="numbers"'


def answer_html(answer: Answer) -> str:
    """An answer as a notebook shows it: its rows and sentences in one small table, and tables of their own behind it.

    Args:
        answer: what is shown.
    """
    rows = [row for section in answer.sections for row in _rows(section)]
    tables = [part for section in answer.sections for part in section.parts if isinstance(part, Table)]
    shown = [html_table(answer.title, rows)] if rows or not tables else []
    title = "" if shown else answer.title
    return "".join([*shown, *(html_table(title, table.rows, table.header, table.flagged) for table in tables)])


def _rows(section: Section) -> list[tuple[str, str]]:
    rows = []
    for part in section.parts:
        if isinstance(part, Row):
            rows.append((part.label, part.text))
        elif isinstance(part, Sentence):
            rows.append(("warning" if part.kind == "warning" else "", part.text))
    return rows


def parts_html(parts: Iterable[Part]) -> str:
    """Rows and tables as a page of the explorer shows them, sentences as paragraphs.

    Args:
        parts: of a section.

    Example:
        >>> parts_html([Row("mean", "<1>")])
        '<table class="numbers"><tbody><tr><th scope="row">mean</th><td>&lt;1&gt;</td></tr></tbody></table>'
    """
    shown = []
    for part in gathered(parts):
        if isinstance(part, Sentence):
            shown.append(f"<p>{escape(part.text)}</p>")
        else:
            header = () if part.header == ("", "value") else part.header
            shown.append(html_table("", part.rows, header).replace("<table>", f"<table{_CSS}>", 1))
    return "".join(shown)


def page_parts(answer: Answer) -> list[Part]:
    """All parts of an answer, one section after the other, for a page that has a heading of its own.

    Args:
        answer: what is shown.
    """
    return [part for section in answer.sections for part in section.parts]


def list_html(parts: Iterable[Part]) -> str:
    """Sentences as the items of a list.

    Args:
        parts: of a section; what is no sentence is left out.

    Example:
        >>> list_html([Sentence("a < b")])
        '<li>a &lt; b</li>'
    """
    return "".join(f"<li>{escape(part.text)}</li>" for part in parts if isinstance(part, Sentence))
