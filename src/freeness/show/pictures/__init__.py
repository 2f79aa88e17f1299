"""Pictures of laws, results and records: one file a kind, none of which knows what draws it."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from freeness.advice import Analysis, Comparison, Design, TradeOff, TrainingForecast, TransformerPhases
from freeness.errors import InputError
from freeness.laws import Law
from freeness.meanfield import PhaseDiagram
from freeness.show.picture import Picture
from freeness.show.pictures.dynamics import forecast_picture
from freeness.show.pictures.found_rate import found_rate_picture
from freeness.show.pictures.law import law_picture
from freeness.show.pictures.layers import layers_picture
from freeness.show.pictures.phase import phase_picture
from freeness.show.pictures.spectrum import spectrum_picture
from freeness.show.pictures.trade_off import design_picture, trade_off_picture
from freeness.show.pictures.transformer import transformer_picture
from freeness.training import FoundRate

PICTURED = {
    Law: law_picture,
    Comparison: spectrum_picture,
    Analysis: layers_picture,
    Design: design_picture,
    TradeOff: trade_off_picture,
    PhaseDiagram: phase_picture,
    TrainingForecast: forecast_picture,
    FoundRate: found_rate_picture,
    TransformerPhases: transformer_picture,
}


@singledispatch
def picture_of(record: Any, *args: Any, **options: Any) -> Picture:
    """The picture of a record.

    There is one of a law, a comparison, an analysis (its layers), a design and its trade-off, a phase diagram, a forecast of
    training and the trials of a rate.

    Args:
        record: one of these.
        *args: as of the function for its kind, for instance :func:`~freeness.show.law_picture`.
        **options: the same.

    Raises:
        InputError: nothing is registered for the record.

    Example:
        >>> from freeness.laws import Projection
        >>> picture_of(Projection(0.25)).sentence
        'Spectrum from 0 to 1, mean 0.25, atoms: 75 % at 0, 25 % at 1.'
    """
    raise InputError(
        f"expected a record that has a picture, got {type(record).__name__}; register a function for it by picture_of.register."
    )


for kind, make in PICTURED.items():
    picture_of.register(kind, make)
