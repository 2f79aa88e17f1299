"""What records show in a notebook and the ``plot`` that they bring, given to them here, so that the wall holds.

``freeness.show`` is loaded when one of these is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freeness.advice import (
    Analysis,
    Comparison,
    Design,
    ResidualDesign,
    TradeOff,
    TrainingForecast,
    TransformerDesign,
    TransformerPhases,
    Verdict,
)
from freeness.laws import Law
from freeness.meanfield import PhaseDiagram
from freeness.network import Network
from freeness.spectra import Measurement, Prediction
from freeness.training import FoundRate, Rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = (
    Law,
    Prediction,
    Measurement,
    Comparison,
    Analysis,
    Design,
    Network,
    Verdict,
    Rate,
    FoundRate,
    ResidualDesign,
    TransformerDesign,
)
_PLOTTED = (Law, Comparison, Analysis, Design, TradeOff, PhaseDiagram, TrainingForecast, FoundRate, TransformerPhases)


def attach() -> None:
    """Give records their ``_repr_html_``, and those that have a picture their ``plot``."""
    for record in _SHOWN:
        _give(record, "_repr_html_", _shown)
    for record in _PLOTTED:
        _give(record, "plot", _plot)


def _give(record: type, name: str, method: Any) -> None:
    setattr(record, name, method)


def _shown(record: Any) -> str:
    from freeness.show import answer_html, brief_of

    return answer_html(brief_of(record))


def _plot(record: Any, ax: Axes | None = None, **options: Any) -> Axes:
    """Draw the record into axes of matplotlib, or into those of a new figure.

    Args:
        record: itself.
        ax: axes to draw into.
        **options: as of the picture's function in :mod:`freeness.show`, for instance ``title``.
    """
    from freeness.show import draw, picture_of

    return draw(picture_of(record, **options), ax)
