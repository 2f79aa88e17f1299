"""Starts of a network beside the usual ones: what all of them look like."""

from __future__ import annotations

from collections.abc import Sequence

from freeness.show.answer import Answer, Section, Sentence, Table

SIZES = "Signal, gradient: by what factor its mean square changes from end to end, of the gradient on its way back."


def starts_answer(title: str, said: tuple[str, str], table: Table, notes: Sequence[str]) -> Answer:
    """What to do, in words and in code, and the table of all starts.

    Example:
        >>> [section.title for section in starts_answer("A start", ("Do.", "So."), Table(("a",), ()), ()).sections]
        ['', 'Beside the usual starts']
    """
    first = Section("", (Sentence(said[0], "strong"), Sentence(said[1], "change")))
    beside = (table, *(Sentence(note) for note in (SIZES, *notes)))
    return Answer(title, (first, Section("Beside the usual starts", beside)))
