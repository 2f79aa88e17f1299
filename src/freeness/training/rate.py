"""A learning rate, whatever it was found by: value, interval, reason, evidence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from freeness.shown import Printed, Shown

USUAL_BATCH = 64  # samples of a step, where nobody says how many
_WIDE = 10.0  # high over low


class LayerRate(NamedTuple):
    """The rates of one layer's weights and biases in torch's own parametrisation (one group of the optimiser each)."""

    name: str
    weights: float
    biases: float


@dataclass(frozen=True)
class Rate(Shown, Printed):
    """The learning rate of one loss, optimiser and batch.

    ``recommended`` is to start from; from ``low`` to ``high`` the best rate lay in 9 of 10 networks of families that were not
    fitted (None where nobody looked).
    ``bound`` is where training that is linearised at the start stops contracting, by ``sharpness``, λ_max of the batch GGN
    (preconditioned for adam), and ``sharpness_error``, its error. ``reason`` says in up to three sentences where to start and
    why, ``details`` all the rest, one line each: λ and 2/λ, the rule with its numbers, what theory says of the same inputs.
    ``evidence`` is what the recommendation rests on, ``assumptions`` what a prediction does; ``formula`` is its leading terms.

    ``early`` and ``limit`` told where training broke; they are None since an interval is told, see
    :func:`~freeness.training.breaking_rate`.

    What theory says beside a measurement: ``theory_bound``, by the predicted spectrum of one sample, and ``predicted_sharpness``,
    by the tangent kernel of the same inputs (None where it has none). What a prediction says besides: ``mean``, that of λ over
    the outputs; ``samples``, in the data; and in a ``parametrisation`` the rates of each of the ``layers``.

    ``trials``: the command, or the call in Python, that narrows a wide interval down by short trials; "" elsewhere.

    Where no rate was found, ``known`` is False, the rates are NaN, and ``reason`` says why.

    Example:
        >>> from freeness.training import measured_rate, Curvature
        >>> rate = measured_rate(Curvature(4.0, 0.0, 1), "half_squared_error", "sgd")
        >>> rate.bound, rate.recommended, rate.known
        (0.5, 0.175, True)
    """

    recommended: float
    bound: float
    sharpness: float
    reason: str
    loss: str
    optimizer: str
    batch: int
    evidence: str = ""
    sharpness_error: float = 0.0
    low: float | None = None
    high: float | None = None
    early: float | None = None
    limit: float | None = None
    theory_bound: float | None = None
    predicted_sharpness: float | None = None
    mean: float | None = None
    samples: int | None = None
    formula: str = ""
    details: tuple[str, ...] = ()
    trials: str = ""
    layers: tuple[LayerRate, ...] = ()
    parametrisation: str = "standard"
    assumptions: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is a rate; otherwise ``reason`` is why not."""
        return not math.isnan(self.recommended)

    @property
    def error(self) -> float:
        """Of the sharpness."""
        return self.sharpness_error

    @property
    def wide(self) -> bool:
        """Whether the interval spans more than a factor of 10, so that the rate alone says little."""
        return self.low is not None and self.high is not None and self.high > _WIDE * self.low

    @property
    def outlook(self) -> str:
        """In words, between which rates the best one is expected."""
        if self.low is None or self.high is None:
            return "how far from it the best rate may lie was not tried for this kind of training"
        if self.wide:
            return (
                f"the best rate may lie anywhere from {self.low:.3g} to {self.high:.3g}: freeness rate, or find_rate in Python, "
                "tries some of them for short"
            )
        return f"in 9 of 10 networks that nobody fitted it to, the best rate lay between {self.low:.3g} and {self.high:.3g}"

    @property
    def outlook_sentence(self) -> str:
        """The same as a sentence.

        Example:
            >>> from freeness.training import StartFacts, start_rate
            >>> start_rate(StartFacts(100.0, 1.0, 0.01, 0.5, 10_000, batch=1), "half_squared_error").outlook_sentence
            'In 9 of 10 networks that nobody fitted it to, the best rate lay between 0.00508 and 0.0302.'
        """
        return f"{self.outlook[0].upper()}{self.outlook[1:]}."
