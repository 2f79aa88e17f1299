"""Products whose mass is known to come down to 0 without a walk: as the walk says, and not behind what cuts that mass away."""

import numpy as np
import pytest

import freeness as fr
from freeness.laws import GaussianPushforward
from freeness.laws.outside import walk_end
from freeness.network import mlp


@pytest.fixture(scope="module")
def factor():
    return GaussianPushforward(lambda h: np.cos(h) ** 2, 0.7)


@pytest.mark.parametrize("name", ["gelu", "erf"])
def test_a_chain_ends_where_the_walk_does(name):
    law = fr.jacobian_law(mlp(3, 100, name, "haar", sigma_w=1.1, sigma_b=0.1), 0.8)
    assert law.curve.reaches_zero and law.hull[0] == 0
    assert abs(walk_end(law.curve, -1, "u").position) < 1e-15 * law.hull[1]


def test_mass_near_zero_is_there(factor):
    law = fr.free_product(factor, fr.MarchenkoPastur(0.3))
    assert law.curve.reaches_zero and law.hull[0] == 0
    assert 0 < law.cdf(1e-9) < law.cdf(1e-6) < 1e-2


def test_a_projection_lifts_the_end_off_zero(factor):
    law = fr.free_product(factor, fr.Projection(0.5))
    assert not law.curve.reaches_zero
    assert law.continuous_hull[0] > 1e-3 and law.cdf(law.continuous_hull[0] / 2) == pytest.approx(0.5, abs=1e-9)


def test_a_shift_moves_it_away(factor):
    law = fr.shift(fr.free_product(factor, fr.MarchenkoPastur(0.3)), 0.5)
    assert not law.curve.reaches_zero and law.hull[0] == pytest.approx(0.5, abs=1e-9)
