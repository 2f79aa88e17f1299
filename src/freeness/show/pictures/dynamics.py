"""Predicted and measured loss along training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num

from freeness.advice import TrainingForecast
from freeness.numerics import HUGE
from freeness.show import style
from freeness.show.picture import Appearance, Axis, Drawing, Picture, Series


def dynamics_picture(
    steps: Num[np.ndarray, " steps"],
    predicted: Float[np.ndarray, " steps"],
    measured: Sequence[tuple[Num[np.ndarray, " _"], Float[np.ndarray, " _"]]] = (),
    *,
    title: str = "",
) -> Picture:
    """The predicted training loss as a line and measured ones beside it, on a logarithmic axis.

    Args:
        steps: of the prediction, ascending.
        predicted: losses there.
        measured: steps and losses of real networks, a pair each.
        title: above the picture.
    """
    drawn: list[Drawing] = []
    for place, (at, losses) in enumerate(measured):
        name = f"measured ({len(measured)} network{'' if len(measured) == 1 else 's'})" if place == 0 else ""
        drawn.append(Series(at, _shown(losses), Appearance(style.MEASURED, 1, opacity=0.8), name, "measured"))
    drawn.append(Series(steps, _shown(predicted), Appearance(style.THEORY), "predicted from the kernel", "predicted"))
    return Picture(
        tuple(drawn),
        Axis("step of full-batch gradient descent"),
        Axis("training loss (log scale)", log=True),
        title=title,
        sentence=f"Predicted training loss: {predicted[0]:.4g} at the start, {predicted[-1]:.4g} after {steps[-1]} steps.",
    )


def forecast_picture(record: TrainingForecast, *, title: str = "") -> Picture:
    """The predicted training loss of a forecast, over that of the real networks which were trained beside it."""
    losses = () if record.measured is None else record.measured.losses
    curves = [(record.steps[: len(row)], row) for row in losses]
    return dynamics_picture(record.steps, record.loss, curves, title=title)


def _shown(losses: np.ndarray) -> np.ndarray:
    return np.where(np.abs(losses) < HUGE, losses, np.nan)
