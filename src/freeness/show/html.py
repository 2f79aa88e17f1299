"""Answers as HTML: small tables that are escaped, without style, script or request."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from freeness.show.answer import Answer, Part, Row, Sentence, Table, gathered
from freeness.show.table_html import html_table

_CSS = ' class="numbers"'


def answer_html(answer: Answer) -> str:
    """An answer as a notebook shows it: its rows in one small table under the title, or its sentences as paragraphs; then tables.

    Sentences are paragraphs since a notebook sets the cells of tables to the right.
    """
    parts = page_parts(answer)
    rows = [(part.label, part.text) for part in parts if isinstance(part, Row)]
    said = [part for part in parts if isinstance(part, Sentence)]
    tables = [part for part in parts if isinstance(part, Table)]
    shown = [f"<p><strong>{escape(answer.title)}</strong></p>"] if said and answer.title else []
    shown += [_paragraph(sentence) for sentence in said]
    shown += [html_table("" if shown else answer.title, rows)] if rows or not (shown or tables) else []
    title = "" if shown else answer.title
    return "".join([*shown, *(html_table(title, table.rows, table.header, table.flagged) for table in tables)])


def _paragraph(sentence: Sentence) -> str:
    text = escape(sentence.text)
    if sentence.kind == "code":
        return f"<p><code>{text}</code></p>"
    if sentence.kind == "warning":
        return f"<p><strong>Warning.</strong> {text}</p>"
    return f"<p><strong>{text}</strong></p>" if sentence.kind in ("bold", "strong") else f"<p>{text}</p>"


def parts_html(parts: Iterable[Part]) -> str:
    """Rows and tables as a page of the explorer shows them, sentences as paragraphs.

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
    """All parts of an answer, one section after the other, for a page that has a heading of its own."""
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
