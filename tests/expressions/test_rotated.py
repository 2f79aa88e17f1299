"""Quadratic expressions in semicircular variables by rotation, against the operator method."""

import numpy as np
import pytest

from freeness import MarchenkoPastur, Projection, Semicircle, free_variables
from freeness.expressions import law_of
from freeness.expressions.rotated import rotated_form

x, y, z, p, m = free_variables(
    Semicircle(1.0), Semicircle(0.5), Semicircle(2.0), Projection(0.5), MarchenkoPastur(0.5), names="x y z p m"
)
QUADRATIC = {
    "anticommutator": x * y + y * x,
    "shifted": 3 - 2 * (x * y + y * x),
    "three": 0.3 * (x * y + y * x) - (y * z + z * y) + x**2,
    "degenerate": x**2 + 0.5 * (x * z + z * x) + 0.25 * z**2 + y,  # (x + z/2)² + y
}


@pytest.mark.parametrize("name", QUADRATIC)
def test_a_rotation_gives_the_law_of_the_linearisation(name):
    routed, exact = law_of(QUADRATIC[name]), law_of(QUADRATIC[name], "operator").law
    assert routed.method == "scalar" and "rotation" in routed.reason
    low, high = routed.law.hull
    at = low + (high - low) * np.array([0.03, 0.2, 0.5, 0.8, 0.97])
    np.testing.assert_allclose(routed.law.density(at), exact.density(at), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(routed.law.cdf(at), exact.cdf(at), rtol=0, atol=1e-10)
    np.testing.assert_allclose(routed.law.moments(2), QUADRATIC[name].moments(2), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    "expression",
    [
        1j * (x * y - y * x),
        x * p + p * x,
        x * y * x,
        x * m + m * x + y**2,
        x * y * z + z * y * x,
        x * y + y * x + z - x,
    ],
    ids=repr,
)
def test_other_expressions_are_not_rotated(expression):
    assert rotated_form(expression) is None
