"""Marchenko–Pastur factors in a row as one step, against the moves one by one."""

import numpy as np
import pytest

from freeness import FussCatalan, MarchenkoPastur, Projection, Uniform, free_product
from freeness.moves.wishart_run import WishartRun, in_runs

RATIOS = (0.3, 1.0, 2.5, 1.0)


@pytest.mark.parametrize("first", [Projection(0.4), Uniform(1.0, 2.0), MarchenkoPastur(0.7)], ids=repr)
def test_a_run_is_its_moves_one_after_the_other(first):
    curve = free_product(first, *map(MarchenkoPastur, RATIOS)).curve
    assert any(isinstance(step, WishartRun) for step in in_runs(curve.moves))
    z = np.array([0.3 + 0.01j, 2.0 + 0.5j, -3.0 + 0.1j])
    parameters = curve.start(z * 40)
    found = curve.evaluate(parameters, 2, True)
    point = curve.base.evaluate(parameters[: curve.base.size], 2, True)
    offset = curve.base.size
    for move in curve.moves:
        point = move.apply(point, parameters[offset : offset + move.size])
        offset += move.size
    for one, other in ((found.z, point.z), (found.g, point.g), (found.u, point.u)):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-13)
        np.testing.assert_allclose(one.change, other.change, rtol=1e-12, atol=1e-13 * np.abs(other.change).max())
    np.testing.assert_allclose(found.potential, point.potential, rtol=1e-13)
    np.testing.assert_allclose(found.margin, point.margin, rtol=1e-11)


def test_equal_factors_are_fuss_catalan_down_to_the_hard_edge():
    law, exact = free_product(*[MarchenkoPastur(1.0)] * 6), FussCatalan(6)
    x = np.geomspace(1e-40, 0.99, 30) * exact.hull[1]
    np.testing.assert_allclose(law.density(x), exact.density(x), rtol=1e-9)
    np.testing.assert_allclose(law.cdf(x), exact.cdf(x), rtol=0, atol=1e-14)
