"""Forecasts of training: the rates, the curve, and what is refused."""

import numpy as np
import pytest

from freeness.advice import ForecastOptions, Training, batch_learning_rate, forecast_training
from freeness.errors import InputError
from freeness.meanfield import kernels
from freeness.network import mlp
from freeness.training import LinearTraining

NETWORK = mlp(2, [6, 40, 2], "tanh")
INPUTS = np.random.default_rng(0).standard_normal((8, 6))
TARGETS = np.eye(2)[np.arange(8) % 2]


def test_rates_are_those_of_batches_and_the_curve_that_of_the_kernel():
    told = forecast_training(NETWORK, INPUTS, TARGETS, ForecastOptions(steps=12, batch=4))
    assert [pair.plain.batch for pair in told.rates] == [8, 4]
    for pair in told.rates:
        for rate, optimizer in ((pair.plain, "sgd"), (pair.momentum, "momentum")):
            how = Training("half_squared_error", optimizer, batch=rate.batch)
            assert rate.bound == batch_learning_rate(NETWORK, INPUTS, how).bound
    assert told.rate == told.rates[0].plain.recommended
    found = kernels(NETWORK, INPUTS, parametrisation="standard")
    expected = LinearTraining(found.ntk, TARGETS).averaged(found.nngp, told.rate, np.arange(13))
    np.testing.assert_allclose(told.loss, expected)
    assert told.steps.tolist() == list(range(13)) and told.measured is None


def test_the_curve_of_cross_entropy_is_the_mean_over_starts_and_has_no_directions():
    told = forecast_training(NETWORK, INPUTS, TARGETS, ForecastOptions("cross_entropy", rate=0.2, steps=3))
    assert told.directions is None and told.rate == 0.2
    found = kernels(NETWORK, INPUTS, parametrisation="standard")
    starts = [found.drawn_outputs(2, np.random.default_rng(seed)) for seed in range(400)]
    first = np.mean([LinearTraining(found.ntk, TARGETS, f, "cross_entropy").descent(0.2, [0]).loss[0] for f in starts])
    assert told.loss[0] == pytest.approx(first, rel=0.15)  # a mean over 16 starts


def test_a_long_curve_is_told_at_a_hundred_steps():
    told = forecast_training(NETWORK, INPUTS, TARGETS, ForecastOptions(steps=5000))
    assert len(told.steps) == 101 and told.steps[[0, -1]].tolist() == [0, 5000]


def test_one_class_is_refused():
    with pytest.raises(InputError, match="at least two classes"):
        forecast_training(mlp(2, [6, 9, 1], "tanh"), INPUTS, np.ones((8, 1)), ForecastOptions("cross_entropy"))
