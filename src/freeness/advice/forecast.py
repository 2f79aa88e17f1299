"""Training on given data before it is done: its curve, the rates that are stable, and real networks beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from freeness.advice.batch_rate import batch_learning_rate
from freeness.advice.theory_rates import Training
from freeness.errors import InputError
from freeness.meanfield import Kernels, kernels
from freeness.network import Network
from freeness.shown import Plotted
from freeness.training import CrossEntropy, Directions, LinearTraining, Loss, Rate, SquaredError, loss_of

_DRAWS = 16  # of initial outputs, for cross-entropy
_RECORDS = 100  # steps at which the curve is told
_LEARNED = 1e-12  # of the first loss


class RatePair(NamedTuple):
    """Of plain gradient descent and with momentum 0.9."""

    plain: Rate
    momentum: Rate


@dataclass(frozen=True)
class ForecastOptions:
    """What is trained with.

    Args:
        loss: mean over the inputs.
        rate: η; where to start, as it is predicted, when left out.
        steps: of gradient descent on all inputs.
        batch: rates are told for batches of so many inputs as well.
    """

    loss: Loss | str = "half_squared_error"
    rate: float | None = None
    steps: int = 500
    batch: int | None = None


@dataclass(frozen=True, eq=False)
class MeasuredTraining:
    """Losses of real networks at the recorded steps, (seeds, records).

    ``own``: the losses predicted from each network's own outputs at the start, averaged; the scatter of these outputs is no
    part of its deviation from the measured ones. ``sharpness``: λ_max of each at the start and, where it got there, at the end.
    """

    losses: Float[np.ndarray, "seeds records"]
    own: Float[np.ndarray, " records"]
    sharpness: tuple[tuple[float, ...], ...]

    @property
    def deviations(self) -> Float[np.ndarray, " records"]:
        """Mean measured loss over the one predicted from the networks' own outputs, less 1; NaN where that is rounding."""
        with np.errstate(all="ignore"):
            known = np.isfinite(self.own) & (self.own > _LEARNED * self.own[0])
            return np.where(known, self.losses.mean(axis=0) / self.own - 1, np.nan)


@dataclass(frozen=True, eq=False)
class TrainingForecast(Plotted):
    """Gradient descent on all inputs at the learning rate ``rate``: the mean ``loss`` of wide networks after the ``steps``.

    ``rates``: for all inputs, then for batches; ``measured``: of real networks, where these were trained.
    """

    network: Network
    inputs: Num[np.ndarray, "samples ..."]
    training: LinearTraining
    rate: float
    steps: Int[np.ndarray, " records"]
    loss: Float[np.ndarray, " records"]
    rates: tuple[RatePair, ...]
    measured: MeasuredTraining | None = None

    @property
    def directions(self) -> Directions | None:
        """Which eigen-directions are learnt when; None for cross-entropy, whose directions do not stay apart."""
        return self.training.directions(self.rate) if isinstance(self.training.criterion, SquaredError) else None


def forecast_training(
    network: Network,
    inputs: Num[np.ndarray, "samples ..."],
    targets: Num[np.ndarray, "samples outputs"],
    options: ForecastOptions | None = None,
) -> TrainingForecast:
    """Predict full-batch gradient descent, in standard parametrisation, and the rates at which it is stable.

    The curve is that of :class:`~freeness.training.LinearTraining`, averaged over initial outputs; the rates are those of
    :func:`~freeness.advice.batch_learning_rate`.

    Args:
        network: of which there are kernels.
        inputs: (n, N₀).
        targets: (n, C) numbers; for cross-entropy each row a distribution over classes.
        options: loss, rate, steps and batch.

    Raises:
        InputError: cross-entropy with one class, or what the kernels and the training refuse.

    Example:
        >>> from freeness.network import mlp
        >>> found = forecast_training(mlp(2, [4, 30, 1], "tanh"), np.eye(4), np.ones((4, 1)), ForecastOptions(steps=20))
        >>> found.rate == found.rates[0].plain.recommended, bool(found.loss[-1] < found.loss[0]), found.steps[-1]
        (True, True, np.int64(20))
    """
    how = options or ForecastOptions()
    if isinstance(loss_of(how.loss), CrossEntropy) and np.ndim(targets) == 2 and np.shape(targets)[1] < 2:
        raise InputError(
            "expected at least two classes for cross_entropy, got one, which is learnt already; add another."
        )
    found = kernels(network, inputs, parametrisation="standard")
    training = LinearTraining(found.ntk, targets, loss=how.loss)

    def rate(optimizer: str, size: int) -> Rate:
        return batch_learning_rate(network, inputs, Training(how.loss, optimizer, batch=size), found=found)

    sizes = [len(inputs)] if how.batch is None else [len(inputs), how.batch]
    rates = tuple(RatePair(rate("sgd", size), rate("momentum", size)) for size in sizes)
    used = rates[0].plain.recommended if how.rate is None else how.rate
    at = np.unique(np.linspace(0, how.steps, min(how.steps, _RECORDS) + 1).round().astype(int))
    return TrainingForecast(network, inputs, training, used, at, _averaged(training, found, used, at), rates)


def _averaged(training: LinearTraining, found: Kernels, rate: float, at: np.ndarray) -> np.ndarray:
    """The training loss averaged over initial outputs of wide networks."""
    if isinstance(training.criterion, SquaredError):
        return training.averaged(found.nngp, rate, at)
    rng = np.random.default_rng(0)
    curves: list[np.ndarray] = []
    for _ in range(_DRAWS):
        start = found.drawn_outputs(training.outputs, rng)
        curves.append(LinearTraining(training.kernel, training.targets, start, training.loss).descent(rate, at).loss)
    return np.mean(curves, axis=0)
