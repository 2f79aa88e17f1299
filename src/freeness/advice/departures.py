"""Whether a measured spectrum parts from its prediction by more than chance: its mean, and its largest eigenvalue.

A mean over C eigenvalues scatters by the error that the prediction states. The largest of C eigenvalues lies near the end of the
law, about where it leaves 1/C of its mass outside.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np

from freeness.advice.analysis import Comparison
from freeness.errors import ConvergenceError
from freeness.laws import Law
from freeness.spectra import Measurement, Prediction

_LOG = logging.getLogger(__name__)
_SCATTERS = 4.0  # stated scatters of the mean that are left to chance
_OUTSIDE = 4.0  # eigenvalues that the law would have above the largest one
_FINEST = 0.02  # relative; corrections to wide layers are not told from wrong predictions below it
_POINTS = 40  # at which the law's distribution function is read


class _Range(NamedTuple):
    """Where the largest eigenvalue of one network lies by chance."""

    low: float
    high: float


def departures(name: str, comparison: Comparison) -> tuple[str, ...]:
    """Sentences about mean and largest eigenvalue of a spectrum that part from theory by more than the stated scatter.

    Example:
        >>> from freeness.laws import Empirical
        >>> from freeness.network import mlp
        >>> from freeness.spectra import Measurement, predict_jacobian
        >>> theory, values = predict_jacobian(mlp(2, 100, "linear", "haar")), np.full(100, 2.0)
        >>> departures("Jacobian", Comparison(theory, Measurement(values, Empirical(values), "", 0.0), 0.2))[0][:64]
        'The mean of the Jacobian spectrum is 2 where theory says 1: by 7'
    """
    theory, measured = comparison.predicted, comparison.measured
    if theory is None or measured is None or measured.eigenvalues.size < 2 or not theory.law.mean > 0:
        return ()
    try:
        expected = largest_by_chance(theory, measured.eigenvalues.size)
    except ConvergenceError as error:  # the prediction stands, its scatter is not known
        _LOG.info("no departures of the %s spectrum: %s", name, error)
        return ()
    return (*_of_mean(name, theory, measured, expected), *_of_top(name, theory, measured, expected))


def _of_mean(name: str, theory: Prediction, measured: Measurement, expected: _Range) -> tuple[str, ...]:
    values, law = measured.eigenvalues, theory.law.mean
    mean = float(values.mean())
    single = max(0.0, float(values[-1]) - expected.high) / values.size  # what one eigenvalue outside the law adds
    scatter = max(theory.finite_width_error, _FINEST / 2)
    apart = max(0.0, abs(mean - law) - single - _SCATTERS * measured.mean_error) / (scatter * law)
    if apart <= _SCATTERS:
        return ()
    return (
        f"The mean of the {name} spectrum is {mean:.4g} where theory says {law:.4g}: by {apart:.2g} of its stated scatter. The "
        "weights are not as random as theory takes them, or the layers are too narrow; go by the measured spectrum.",
    )


def _of_top(name: str, theory: Prediction, measured: Measurement, expected: _Range) -> tuple[str, ...]:
    top, high = float(measured.eigenvalues[-1]), expected.high if theory.knows_outliers else np.inf
    if expected.low - measured.top_error <= top <= high + measured.top_error:
        return ()
    middle, half = (expected.low + expected.high) / 2, (expected.high - expected.low) / 2
    why = "a direction stands out that theory does not see" if top > high else "the end of the law is not reached"
    return (
        f"The largest eigenvalue of the {name} spectrum is {top:.4g} where theory says {theory.expected_largest:.4g}: by "
        f"{abs(top - middle) / half:.2g} of its stated scatter. So {why}; trust the measured one, and the rate from it.",
    )


def largest_by_chance(theory: Prediction, count: int) -> _Range:
    """The range of the largest of ``count`` eigenvalues of one network, beyond which chance does not lead.

    Example:
        >>> from freeness.network import mlp
        >>> from freeness.spectra import predict_jacobian
        >>> largest_by_chance(predict_jacobian(mlp(2, 100, "linear", "gaussian")), 100).high > 4
        True
    """
    scale = _SCATTERS * max(theory.finite_width_error, _FINEST / 2)
    end = theory.law.upper_end
    inner, last = _leaving(theory.law, min(_OUTSIDE / count, 0.5), min(1 / count, 0.5))
    return _Range(inner / (1 + scale), max(2 * end - last, theory.top) * (1 + scale))


def _leaving(law: Law, *shares: float) -> list[float]:
    """About the points above which these shares of the law lie."""
    low, high = law.mean, law.upper_end
    if not high > low:
        return [high] * len(shares)
    x = high - (high - low) * np.linspace(1, 0, _POINTS) ** 2  # close together at the end
    above = 1 - np.asarray(law.cdf(x))
    return [float(x[above >= share].max(initial=low)) for share in shares]
