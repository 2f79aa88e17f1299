"""The verdict on networks whose phase is known."""

import numpy as np
import pytest

from freeness import mlp, predict_fisher, predict_jacobian, signals
from freeness.advice import Comparison
from freeness.advice.chain_rows import layer_rows
from freeness.advice.verdicts import jacobian_spread, verdict
from freeness.laws import Empirical
from freeness.spectra import Measurement

from ..show.cases import compare, simulate


def judged(net, qhat0, factor=1.0):
    found = signals(net, qhat0)
    comparisons = []
    for predict in (predict_jacobian, predict_fisher):
        predicted = predict(net, realised=found)
        values = np.sort(predicted.law.quantile((np.arange(40) + 0.5) / 40)) * factor
        measured = Measurement(values, Empirical(values), "quantiles of the law", 0.0)
        comparisons.append(Comparison(predicted, measured, float(abs(factor - 1) * predicted.law.mean)))
    return verdict(layer_rows(net, found), *comparisons)


@pytest.mark.parametrize(("sigma_w", "phase"), [(0.6, "ordered"), (1.012920, "critical"), (2.5, "chaotic")])
def test_phases_of_hard_tanh_networks(sigma_w, phase):
    net = mlp(12, 200, "hardtanh", "haar", sigma_w=sigma_w, sigma_b=0.0636)
    assert judged(net, 0.19098).phase == phase


def test_of_a_batch_the_measured_factor_is_told_first_and_that_of_theory_beside_it():
    net = mlp(12, 200, "tanh", "haar", sigma_w=0.8)
    rows, comparison = layer_rows(net, signals(net, 1.0)), Comparison(None, None, None)
    theory = np.prod([row.chi for row in rows[:-1]])
    told = verdict(rows, comparison, comparison, 0.0123).sentences[0]
    assert f"by a factor of 0.0123 (in theory {theory:.3g})" in told
    assert f"by a factor of {theory:.3g} in theory" in verdict(rows, comparison, comparison).sentences[0]


def test_isometry_needs_orthogonal_weights_and_the_advice_says_so():
    good = judged(mlp(10, 200, "hardtanh", "haar", sigma_w=1.01292, sigma_b=0.06361), 0.19098)
    bad = judged(mlp(10, 200, "hardtanh", "gaussian", sigma_w=1.01292, sigma_b=0.06361), 0.19098)
    assert good.isometric and not good.advice
    assert not bad.isometric and any("Haar" in sentence for sentence in bad.advice)


def test_spread_of_the_jacobian_is_its_law_s_relative_variance():
    for weights in ("haar", "gaussian"):
        net = mlp(6, 100, "tanh", weights, sigma_w=1.3)
        found = signals(net, 0.5)
        law = predict_jacobian(net, realised=found).law
        rows = layer_rows(net, found)
        assert jacobian_spread(rows) == pytest.approx(law.variance / law.mean**2, rel=1e-12)


@pytest.mark.slow
@pytest.mark.always
def test_a_spectrum_off_theory_is_a_warning():
    net = mlp(4, 100, "tanh", "haar", sigma_w=1.3)
    assert not judged(net, 0.5).warnings
    assert any("off theory" in sentence for sentence in judged(net, 0.5, factor=1.6).warnings)


@pytest.mark.slow
@pytest.mark.always
def test_few_outputs_off_theory_by_chance_are_no_alarm_and_by_more_are():
    """Five outputs of drawn networks whose weights are free; the mean of the sixth is off by 15 scatters."""
    network = mlp(6, [40, *[128] * 5, 5], "tanh", "gaussian", sigma_w=1.2)
    distances = []
    for seed in range(2):
        found, squares, gram = simulate(network, 1.0, seed)
        rows = layer_rows(network, found)
        jacobian = compare(predict_jacobian(network, realised=found), squares)
        fisher = compare(predict_fisher(network, realised=found), gram)
        distances.append(jacobian.distance / squares[-1])
        assert not [warning for warning in verdict(rows, jacobian, fisher).warnings if "off theory" in warning]
    assert max(distances) > 0.1
    far = compare(jacobian.predicted, squares * (1 + 15 * jacobian.predicted.finite_width_error))
    assert any("chance with 5 eigenvalues" in warning for warning in verdict(rows, far, fisher).warnings)


@pytest.mark.parametrize(("sigma_w", "depth"), [(1.0, 3), (1.2, 8), pytest.param(2.0, 12, marks=pytest.mark.slow)])
def test_the_word_for_isometry_begins_the_sentence(sigma_w, depth):
    found = judged(mlp(depth, 100, "tanh", "haar", sigma_w=sigma_w), 0.1)
    assert found.sentences[1].lower().startswith(f"{found.isometry}: ")
    assert found.isometric == (found.isometry == "isometric")
