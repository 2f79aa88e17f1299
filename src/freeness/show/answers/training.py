"""A forecast of training, with real networks beside it where they were trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from freeness.advice import MeasuredTraining, RatePair, TrainingForecast
from freeness.show.answer import Answer, Part, Section, Sentence, Table, answer_of
from freeness.show.json_values import document_of, picked
from freeness.training import SquaredError

_SHOWN = 8  # steps in the table
_APART = (
    "These rates are of wide networks whose training stays near the start; freeness analyze measures one network and tells the "
    "rate to train it with."
)
_LARGE = 0.05  # a deviation of which something is said


@answer_of.register
def _(record: TrainingForecast) -> Answer:
    training = record.training
    anyhow = "" if isinstance(training.criterion, SquaredError) else ", whatever the outputs"
    parts: list[Part] = [
        Sentence(
            f"Learning rate {record.rate:.4g}. Predicted for this width, λ being the largest eigenvalue of the GGN:"
        ),
        _rates_table(record.rates),
        Sentence(_APART),
        Sentence(f"The predicted curve itself, of infinite width, is stable below {training.stable_rate:.4g}{anyhow}."),
    ]
    directions = record.directions
    if directions is not None:
        quick = int((directions.steps <= int(record.steps[-1])).sum())
        parts.append(
            Sentence(
                f"{quick} of {len(directions.steps)} directions are learnt within these steps; they hold "
                f"{directions.share[:quick].sum():.1%} of the error."
            )
        )
    parts.append(_curve_table(record))
    if record.measured is not None:
        parts += [Sentence(text) for text in _beside(record, record.measured) if text]
    return Answer(f"Training on {len(record.inputs)} inputs, {training.criterion}", (Section("", tuple(parts)),))


def _rates_table(rates: tuple[RatePair, ...]) -> Table:
    header = ("inputs a step", "λ", "± error", "stable below", "start at", "momentum 0.9: below", "start at")
    rows = []
    for one, momentum in rates:
        values = (one.bound, one.recommended, momentum.bound, momentum.recommended)
        error = f"{one.error:.2g}" if one.error > 0 else ""
        rows.append((str(one.batch), f"{one.sharpness:.4g}", error, *(f"{value:.3g}" for value in values)))
    return Table(header, tuple(rows), header)


def _curve_table(record: TrainingForecast) -> Table:
    steps, measured = record.steps, record.measured
    header = ("step", "predicted loss") + (("measured", "± error", "own start", "deviation") if measured else ())
    rows = []
    for k in np.unique(np.geomspace(1, len(steps), _SHOWN).round().astype(int) - 1):
        row = [str(steps[k]), _loss(float(record.loss[k]))]
        rows.append((*row, *(_measured_cells(measured, int(k)) if measured else ())))
    return Table(header, tuple(rows), header)


def _measured_cells(measured: MeasuredTraining, k: int) -> list[str]:
    """The mean over real networks, its standard error, the prediction from their own outputs, and the deviation from it."""
    if k >= measured.losses.shape[1]:
        return ["diverged", "", "", ""]
    column, deviation = measured.losses[:, k], measured.deviations[k]
    error = f"{column.std(ddof=1) / len(column) ** 0.5:.2g}" if len(column) > 1 else ""
    return [
        f"{column.mean():.5g}",
        error,
        _loss(float(measured.own[k])),
        f"{deviation:+.1%}" if np.isfinite(deviation) else "",
    ]


def _loss(value: float) -> str:
    return f"{value:.5g}" if np.isfinite(value) else "overflow"


def _beside(record: TrainingForecast, measured: MeasuredTraining) -> list[str]:
    whole = [row for row in measured.sharpness if len(row) == 2]
    first = np.mean([row[0] for row in measured.sharpness])
    end = f"{np.mean([row[1] for row in whole]):.4g} at the end" if whole else "diverged before the end"
    return [
        "Own start: predicted from the outputs with which these networks started; the deviation is from it.",
        _largest(record, measured),
        f"Sharpness of the real networks: {first:.4g} at the start, {end}.",
    ]


def _largest(record: TrainingForecast, measured: MeasuredTraining) -> str:
    """A sentence where the end is missed by more than a few per cent: how much of the loss is left then, and where it began."""
    off, mean, steps = measured.deviations, measured.losses.mean(axis=0), record.steps
    known = np.flatnonzero(np.isfinite(off))
    if not known.size or len(mean) < len(steps) or abs(off[known[-1]]) <= _LARGE:
        return ""  # diverged ones are told of elsewhere
    last, large = known[-1], np.abs(off) > _LARGE
    first = next(k for k in known if large[k])
    return (
        f"At step {steps[last]} the deviation is {off[last]:+.1%}, with {_left(mean[last] / mean[0])} of the loss left; it "
        f"passes {_LARGE:.0%} at step {steps[first]}, with {_left(mean[first] / mean[0])} left. Small losses miss: what is left "
        "of a direction is a factor to the power of the steps, which multiplies a small error of the kernel. It is less in wider "
        "networks (docs/training-dynamics.md)."
    )


def _left(share: float) -> str:
    return f"1/{1 / share:.3g}" if share < 1 / 3 else f"{share:.0%}"


@document_of.register
def _(record: TrainingForecast) -> dict[str, Any]:
    measured = record.measured
    return {
        "inputs": len(record.inputs),
        "loss": record.training.criterion.name,
        "stable_learning_rate_at_infinite_width": record.training.stable_rate,
        "learning_rate": record.rate,
        "steps": record.steps,
        "predicted_loss": record.loss,
        "predicted_loss_from_own_outputs": None if measured is None else measured.own,
        "measured_loss": None if measured is None else measured.losses,
        "sharpness_first_and_last": None if measured is None else measured.sharpness,
        "rates": [
            picked(plain, "batch sharpness")
            | {"sharpness_error": plain.error, "stable": plain.bound, "stable_with_momentum": momentum.bound}
            | {"recommended": plain.recommended, "recommended_with_momentum": momentum.recommended}
            | picked(plain, "evidence assumptions")
            for plain, momentum in record.rates
        ],
    }
