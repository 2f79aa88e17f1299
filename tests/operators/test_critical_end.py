"""Ends of laws by values of G about them, against ends in closed form and those of walks along the axis."""

import numpy as np
import pytest

from freeness import free_product, free_sum
from freeness.laws import Empirical, MarchenkoPastur
from freeness.network import mlp
from freeness.operators import WiredLaw
from freeness.operators.critical_end import critical_end
from freeness.spectra import wired_equation

LAWS = {
    "product": free_product(MarchenkoPastur(0.5), MarchenkoPastur(0.8)),
    "sum": free_sum(MarchenkoPastur(0.5), Empirical(np.array([0.0, 0, 0, 0, 1, 1, 1, 8]))),
}


@pytest.mark.parametrize("name", LAWS)
def test_the_end_of_a_law_is_told_by_points_about_it(name):
    """Also where the uppermost band holds an eighth; R has other critical points near, so closer points tell more."""
    law = LAWS[name]
    errors = []
    for around in (0.03, 0.01):
        z = np.exp(np.log(1.01 * law.upper_end) + around * np.linspace(-1, 1.5, 8) + 0.5j * around)
        found = critical_end(z, law.cauchy(z), (4, 2)) or 0.0
        errors.append(abs(found / law.upper_end - 1))
    assert errors[1] < 1e-5 and errors[1] < 0.2 * errors[0]


def test_errors_of_fields_move_the_end_by_as_much_at_most():
    law, rng = LAWS["product"], np.random.default_rng(0)
    z = np.exp(np.log(law.upper_end) + 0.03 * np.linspace(-1, 1.5, 8) + 0.015j)
    noisy = law.cauchy(z) * (1 + 1e-5 * rng.standard_normal(8))
    assert critical_end(z, noisy, (3, 2)) == pytest.approx(law.upper_end, rel=2e-5)


def test_points_far_above_tell_no_end():
    z = 50 * np.exp(0.03 * np.linspace(-1, 1.5, 8) + 0.015j)
    assert critical_end(z, 1 / (z - 1), (3, 2)) is None


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 3])
def test_a_linear_chain_ends_where_fuss_and_catalan_say(depth):
    law = WiredLaw(wired_equation(mlp(depth, 40, "linear", "gaussian"), samples=np.ones((1, 40))))
    assert law.upper_end == pytest.approx((depth + 1) ** (depth + 1) / depth**depth, rel=1e-4)
