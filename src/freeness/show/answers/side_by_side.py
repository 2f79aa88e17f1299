"""Several models side by side: what a reader compares, one column a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from freeness.advice import Analysis
from freeness.show.answer import NOTHING, Answer, Section, Table, number


def side_by_side(analyses: Sequence[Analysis]) -> Answer:
    """The numbers of several analyses in one table, without what none of them has."""
    names = _distinct([analysis.title for analysis in analyses])
    told = ((label, *(read(analysis) for analysis in analyses)) for label, read in _ROWS)
    rows = tuple(row for row in told if any(value != NOTHING for value in row[1:]))
    return Answer("Side by side", (Section("", (Table(("", *names), rows, names),)),))


def _distinct(titles: Sequence[str]) -> tuple[str, ...]:
    """Titles are told apart by their number where two are the same."""
    return tuple(
        title if titles.count(title) == 1 else f"{title} ({place})" for place, title in enumerate(titles, start=1)
    )


_ROWS: tuple[tuple[str, Callable[[Analysis], str]], ...] = (
    ("verdict", lambda a: a.outcome),
    ("parameters", lambda a: f"{a.parameters:,}"),
    ("learning rate to start from", lambda a: number(a.learning_rate.recommended, 3)),
    ("sharpness λ", lambda a: number(a.learning_rate.sharpness)),
    ("growth of the signal, first layer to last", lambda a: number(a.layers.signal_growth, 3)),
    ("growth of the gradient, last layer to first", lambda a: number(a.layers.gradient_growth, 3)),
    ("JJᵀ: mean", lambda a: number(a.jacobian.numbers[0][2])),
    ("JJᵀ: largest eigenvalue", lambda a: number(a.jacobian.numbers[2][2])),
    ("Θ: largest eigenvalue", lambda a: number(a.fisher.numbers[2][2])),
)
