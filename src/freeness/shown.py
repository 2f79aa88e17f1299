"""What a record shows in a notebook and by ``print``, and the ``plot`` that it brings.

Records derive from these; ``freeness.show`` is loaded when one of the methods is called, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Shown:
    """A record that a notebook shows as a table."""

    def _repr_html_(self) -> str:
        from freeness.show import answer_html, brief_of

        return answer_html(brief_of(self))


class Printed:
    """A record that ``print`` and IPython show in words and tables, as the command line does; its ``repr`` has all fields."""

    def __str__(self) -> str:
        from freeness.show import answer_text, brief_of

        return answer_text(brief_of(self))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Where IPython has no page to show a table on."""
        printer.text(str(self))


class Plotted:
    """A record that has a picture."""

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the record into axes of matplotlib, or into those of a new figure.

        Args:
            ax: axes to draw into.
            **options: as of the picture's function in :mod:`freeness.show`, for instance ``title``.
        """
        from freeness.show import draw, picture_of

        return draw(picture_of(self, **options), ax)
