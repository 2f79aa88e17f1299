import numpy as np
import pytest

from freeness.show import plot_cdf

from . import cases


def lines(ax):
    return {line.get_gid(): line.get_data() for line in ax.lines}


@pytest.mark.parametrize("make", [cases.hardtanh, cases.relu])
@pytest.mark.parametrize("spectrum", ["jacobian", "fisher"])
def test_lines_are_the_two_distribution_functions(make, spectrum):
    comparison = getattr(make(), spectrum)
    drawn = lines(plot_cdf(comparison))
    x, theory = drawn["theory-cdf"]
    np.testing.assert_allclose(theory, comparison.predicted.law.cdf(x, throw=False))
    assert theory[-1] == 1.0
    steps, share = drawn["measured-cdf"]
    for value in comparison.measured.eigenvalues[::7]:
        if value > steps[0]:
            at = np.searchsorted(steps, value, side="right") - 1
            assert share[at] == pytest.approx(np.mean(comparison.measured.eigenvalues <= value))


def test_theory_and_measurement_agree_where_they_should():
    drawn = lines(plot_cdf(cases.hardtanh(300).fisher))
    x, theory = drawn["theory-cdf"]
    steps, share = drawn["measured-cdf"]
    measured = share[np.clip(np.searchsorted(steps, x, side="right") - 1, 0, None)]
    assert np.abs(theory - measured).max() < 0.02


def test_an_atom_is_a_vertical_jump():
    comparison = cases.hardtanh().fisher
    x, theory = lines(plot_cdf(comparison))["theory-cdf"]
    jump = int(np.argmax(np.diff(theory)))
    assert x[jump + 1] - x[jump] < 1e-6 * x[jump]
    assert np.diff(theory)[jump] == pytest.approx(comparison.predicted.edge.mass, abs=1e-3)
