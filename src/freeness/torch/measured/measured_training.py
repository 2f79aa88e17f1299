"""Real networks trained beside a forecast of their training."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from freeness.advice import MeasuredTraining, TrainingForecast
from freeness.torch.measured.full_batch import FullBatch, drawn_descents
from freeness.training import Loss


def measure_training(forecast: TrainingForecast, seeds: int) -> TrainingForecast:
    """Train networks that are drawn from the forecast's record, one a seed 0, 1, …, and put their losses beside it.

    Example:
        >>> from freeness.advice import ForecastOptions, forecast_training
        >>> from freeness.network import mlp
        >>> told = forecast_training(mlp(2, [4, 200, 1], "tanh"), np.eye(4), np.ones((4, 1)), ForecastOptions(steps=5))
        >>> found = measure_training(told, 2).measured
        >>> found.losses.shape, bool(abs(found.deviations[1]) < 0.1)
        ((2, 6), True)
    """
    training, at, rate = forecast.training, forecast.steps, forecast.rate
    plan = FullBatch(rate, int(at[-1]), at.tolist(), (0, int(at[-1])))
    loss = cast(Loss, training.loss)
    found = drawn_descents(forecast.network, forecast.inputs, training.targets, loss, plan, seeds)
    shortest = min(len(one.loss) for one in found)
    own = [replace(training, start=one.outputs[0]).descent(rate, at[:shortest]).loss for one in found]
    losses = np.array([one.loss[:shortest] for one in found])
    sharpness = tuple(tuple(one.sharpness.tolist()) for one in found)
    return replace(forecast, measured=MeasuredTraining(losses, np.mean(own, axis=0), sharpness))
