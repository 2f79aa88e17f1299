"""Mean and largest eigenvalue that part from theory are told; networks that are as theory takes them are left in peace."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from freeness import ConvergenceError, Empirical, Measurement
from freeness.advice import Comparison, verdict
from freeness.advice.departures import departures, largest_by_chance
from freeness.network import mlp
from freeness.spectra import predict_fisher, predict_jacobian
from freeness.spectra.drawn import drawn_spectrum
from freeness.spectra.records import UNSEEN

NETWORK = mlp(3, [60, 60, 60, 30], "hardtanh", "gaussian", sigma_w=1.1)
X = np.random.default_rng(0).standard_normal(60) * 0.5


@cache
def predicted(fisher: bool):
    return (predict_fisher if fisher else predict_jacobian)(NETWORK, float((X**2).mean()))


def compared(fisher: bool, seed: int, scale: float = 1.0) -> Comparison:
    values = scale * drawn_spectrum(NETWORK, X, np.random.default_rng(seed), fisher=fisher)
    return Comparison(predicted(fisher), Measurement(values, Empirical(values), "drawn", 0.0), 0.0)


@pytest.mark.parametrize("fisher", [False, True])
def test_networks_that_are_drawn_as_theory_takes_them_raise_no_warning(fisher):
    for seed in range(10):
        assert departures("Fisher", compared(fisher, seed)) == ()


@pytest.mark.parametrize("fisher", [False, True])
def test_a_wrong_size_is_told_with_both_numbers(fisher):
    comparison = compared(fisher, 0, 6.0)
    mean, top = departures("Fisher", comparison)
    law, values = comparison.predicted.law, comparison.measured.eigenvalues
    assert f"mean of the Fisher spectrum is {values.mean():.4g} where theory says {law.mean:.4g}: by " in mean
    assert f"is {values[-1]:.4g} where theory says {comparison.predicted.expected_largest:.4g}: by " in top
    told = verdict((), compared(False, 1), comparison).warnings
    assert [mean, top] == [line for line in told if "stated scatter" in line]


def test_one_eigenvalue_outside_is_no_fault_of_the_mean_and_none_where_it_is_not_looked_for():
    comparison = compared(False, 0)
    values = comparison.measured.eigenvalues.copy()
    values[-1] = 5 * values[-1]
    lonely = replace(comparison, measured=replace(comparison.measured, eigenvalues=values))
    (top,) = departures("Jacobian", lonely)
    assert "a direction stands out" in top
    blind = replace(comparison.predicted, assumptions=(f"{UNSEEN} with positions",))
    assert departures("Jacobian", replace(lonely, predicted=blind)) == ()


def test_a_law_whose_end_does_not_converge_costs_no_verdict(monkeypatch):
    def fails(*_):
        raise ConvergenceError("expected all points to converge, one did not.")

    monkeypatch.setattr("freeness.advice.departures.largest_by_chance", fails)
    assert departures("Fisher", compared(True, 0, 6.0)) == ()


def test_the_range_of_the_largest_eigenvalue_narrows_with_their_number():
    theory = predict_jacobian(mlp(2, 400, "linear", "gaussian"))
    narrow, wide = (largest_by_chance(theory, count) for count in (400, 10))
    assert wide.low < narrow.low < theory.top < narrow.high < wide.high
