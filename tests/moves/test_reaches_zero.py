"""Products whose mass is known to come down to 0 without a walk: as the walk says, and not behind what cuts that mass away."""

import numpy as np
import pytest

import freeness as fr
from freeness.laws import FussCatalan, GaussianPushforward
from freeness.laws.outside import walk_end
from freeness.moves import Resize, moved, scale, shift
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


def test_a_scaled_law_keeps_its_digits_near_an_atom_at_0():
    """Half of 2·FussCatalan(3) beside as many zeros: cdf ½ + ½F(x/2), much of whose mass is below 10⁻⁹ of the upper end."""
    law, plain = moved(scale(FussCatalan(3), 2.0), Resize(0.5)), FussCatalan(3)
    x = law.hull[1] * np.array([1e-13, 1e-11, 1e-9, 1e-3])
    assert law.cdf(x) == pytest.approx(0.5 + 0.5 * plain.cdf(x / 2), rel=1e-12)
    assert law.quantile([0.501, 0.6]) == pytest.approx(2 * plain.quantile([0.002, 0.2]), rel=1e-9)


def test_beside_an_atom_what_lies_close_to_it_is_seen():
    """The same law moved to 1: 2.5 % of the mass lie within 1e-6 of the atom."""
    law, plain = shift(moved(scale(FussCatalan(3), 2.0), Resize(0.5)), 1.0), FussCatalan(3)
    distance = law.hull[1] * np.array([1e-12, 1e-11, 1e-10, 1e-8])
    assert law.cdf(1 + distance) == pytest.approx(0.5 + 0.5 * plain.cdf(distance / 2), abs=2e-5)
    assert law.cdf(1.0) == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_at_an_atom_all_mass_beside_it_is_counted_on_its_side(sign):
    """Mass mounts towards the upper atom from one side, and 18 % of that side's lie within 1e-12 of it."""
    near = fr.Mixture([fr.PointMass(0.0), scale(FussCatalan(8), sign)], [0.8, 0.2])
    law = fr.free_sum(near, fr.Atoms([0.0, sign], [0.7, 0.3]))
    assert law.cdf(sign) == pytest.approx(0.8 if sign > 0 else 0.3, abs=2e-5)
