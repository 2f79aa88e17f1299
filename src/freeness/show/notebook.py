"""What records show in a notebook, and the ``plot`` that they bring: attached here, below the wall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freeness.advice import Design
from freeness.advice.analysis import Analysis, Comparison
from freeness.laws import Law
from freeness.show.answer import Table, brief_of
from freeness.show.html import answer_html, html_table
from freeness.show.pictures import PICTURED, picture_of
from freeness.spectra import Measurement, Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def attach() -> None:
    """Give records their ``_repr_html_``, and those that have a picture their ``plot``."""
    for record in (Law, Prediction, Measurement, Comparison, Analysis, Design):
        _give(record, "_repr_html_", _shown)
    _give(Table, "_repr_html_", _table)
    for record in PICTURED:
        _give(record, "plot", _plot)


def _give(record: type, name: str, method: Any) -> None:
    setattr(record, name, method)


def _shown(record: Any) -> str:
    return answer_html(brief_of(record))


def _table(table: Table) -> str:
    return html_table("", table.rows, table.header)


def _plot(record: Any, ax: Axes | None = None, **options: Any) -> Axes:
    """Draw the record into axes of matplotlib, or into those of a new figure.

    Args:
        record: itself.
        ax: axes to draw into.
        **options: as of the picture's function in :mod:`freeness.show`, for instance ``title``.
    """
    from freeness.show.static import draw  # loads matplotlib

    return draw(picture_of(record, **options), ax)
