"""Transforms of many panels by Gauss' rules and Legendre functions: beside closed forms and the series of single panels."""

import numpy as np
import pytest

import freeness as fr
from freeness.laws import GradedDensity
from freeness.laws.density import PiecewiseDensity
from freeness.laws.legendre_panels import LegendrePanels


def triangle(z):
    """G of the sum of two uniform variables on (0, 1), and its derivative; z off its support."""
    logs = [np.log(z - k) for k in range(3)]
    return z * logs[0] - 2 * (z - 1) * logs[1] + (z - 2) * logs[2], logs[0] - 2 * logs[1] + logs[2]


@pytest.mark.parametrize("height", [1e-12, 1e-5, 1e-2, 0.3, 4.0])
def test_transforms_are_those_of_a_triangle(height):
    law = fr.classical_sum(fr.Uniform(0.0, 1.0), fr.Uniform(0.0, 1.0))
    z = np.linspace(-0.5, 2.5, 101) + 0.0123 + 1j * height
    (g, dg), (u, du) = law.transforms(z)
    exact, slope = triangle(z)
    assert g == pytest.approx(exact, rel=1e-11) and dg == pytest.approx(slope, rel=1e-9, abs=1e-10)
    assert u == pytest.approx(z * exact - 1, abs=1e-11) and du == pytest.approx(exact + z * slope, abs=1e-9)


def test_every_rule_agrees_with_the_series_of_each_panel():
    law = GradedDensity(lambda x: -np.log(x), [0.0, 1.0])
    rng = np.random.default_rng(0)
    z = 10.0 ** rng.uniform(-12, 1, 200) * np.exp(1j * rng.uniform(0, np.pi, 200))
    assert {0, 1, 2, 3} == set(np.unique(LegendrePanels(law.pieces)._levels(z)))
    mine, series = law.transforms(z), PiecewiseDensity.transforms(law, z)
    for k in range(2):
        assert mine[k][0] == pytest.approx(series[k][0], rel=1e-10, abs=1e-12)
    assert law.potential(z) == pytest.approx(PiecewiseDensity.potential(law, z), abs=1e-12)


def test_real_points_outside_stay_real():
    law = GradedDensity(lambda x: -np.log(x), [0.0, 1.0])
    z = 1 + np.geomspace(1e-10, 10, 40)
    (g, _), _ = law.transforms(z)
    assert np.isrealobj(g) and g == pytest.approx(law.transforms(z + 0j)[0][0].real, rel=1e-12)
