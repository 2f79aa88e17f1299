"""The law of p(X) against the closed ones, quantiles and the matrix method."""

from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

from freeness import (
    Arcsine,
    Atoms,
    InputError,
    MarchenkoPastur,
    PolynomialLaw,
    Semicircle,
    Square,
    Uniform,
    free_sum,
    free_variables,
    scale,
    shift,
)
from freeness.expressions.route import law_of

CASES = [
    (Semicircle(1.0), (0.0, 0.0, 0.0, 1.0)),
    (Arcsine(1.0), (0.0, -1.0, 0.0, 0.0, 4.0)),
    (Uniform(-1.0, 1.0), (1.0, -3.0, 0.0, 2.0)),
    (MarchenkoPastur(2.0), (0.0, 1.0, -2.0, 0.5)),
    (MarchenkoPastur(1.0), (0.0, 0.0, 0.0, 1.0)),
    (Atoms([0.0, 1.0, 2.0], [0.2, 0.3, 0.5]), (0.0, -1.0, 1.0)),
]


@pytest.mark.parametrize(("law", "coefficients"), CASES, ids=repr)
def test_distribution_function_is_that_of_images(law, coefficients):
    """P(p(X) ≤ t) is a sum of the distribution function of X over the intervals where p ≤ t."""
    found = PolynomialLaw(law, coefficients)
    low, high = found.hull
    for t in low + (high - low) * np.array([0.13, 0.37, 0.52, 0.71, 0.93]):
        roots = np.roots([*reversed(coefficients[1:]), coefficients[0] - t])
        ends = np.sort(roots.real[np.abs(roots.imag) < 1e-9])
        ends = np.concatenate([[-1e9], ends, [1e9]])
        exact = 0.0
        for left, right in pairwise(ends):
            middle = (max(left, -100.0) + min(right, 100.0)) / 2
            if np.polynomial.Polynomial(coefficients)(middle) < t:
                exact += float(law.cdf(right)) - float(law.cdf(left))
        assert float(found.cdf(t)) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(("law", "coefficients"), CASES[:5], ids=repr)
def test_moments_and_transforms_are_those_of_the_density_of_x(law, coefficients):
    found = PolynomialLaw(law, coefficients)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    p = np.polynomial.Polynomial(coefficients)
    levels = (nodes + 1) / 2
    x = law.quantile(levels)
    z = np.array([0.3 + 0.4j, -2.0 + 0.3j, 50.0 + 1j])
    np.testing.assert_allclose(found.cauchy(z), [np.sum(weights / 2 / (w - p(x))) for w in z], rtol=1e-4)
    (g, _), (u, _) = found.transforms(z)
    np.testing.assert_allclose(u, z * g - 1, atol=1e-12)
    np.testing.assert_allclose(g, found.cauchy(z), rtol=1e-12)
    np.testing.assert_allclose(
        found.moments(3), [np.sum(weights / 2 * p(x) ** k) for k in (1, 2, 3)], rtol=1e-4, atol=1e-9
    )


def test_squares_are_squares():
    law = shift(MarchenkoPastur(0.5), -0.7)
    points = np.linspace(0.01, 4.0, 30)
    found = PolynomialLaw(law, (0.0, 0.0, 1.0))
    np.testing.assert_allclose(found.density(points), Square(law).density(points), rtol=1e-10)
    np.testing.assert_allclose(found.bands, Square(law).bands, atol=1e-12)


def test_it_is_an_operand_of_sums():
    """X³ + Y by moves of curves and by a linearisation."""
    x, y = free_variables(Semicircle(), Semicircle(0.5))
    scalar, operator = law_of(x**3 + y, "scalar"), law_of(x**3 + y, "operator")
    points = np.linspace(-7.5, 7.5, 16)
    np.testing.assert_allclose(scalar.law.density(points), operator.law.density(points), rtol=1e-9)
    assert scalar.method == "scalar"


def test_a_law_known_by_its_curve_only():
    law = free_sum(Semicircle(), MarchenkoPastur(0.5))
    x, y = free_variables(Semicircle(), MarchenkoPastur(0.5))
    found = PolynomialLaw(law, (0.0, 1.0, 0.0, 1.0))
    total = x + y
    exact = law_of(total**3 + total, "operator").law
    points = np.linspace(-8.0, 60.0, 9)
    np.testing.assert_allclose(found.density(points), exact.density(points), rtol=1e-8, atol=1e-12)


def test_negative_last_coefficients_and_constants_in_expressions():
    (x,) = free_variables(Uniform(0.0, 1.0))
    law = (3 - 2 * x**3 + x).law()
    assert law.hull == pytest.approx((2.0, 3 + np.sqrt(1 / 6) * 2 / 3), abs=1e-12)
    assert law.mean == pytest.approx(3.0)
    assert scale(law, -1.0).hull[0] == pytest.approx(-law.hull[1])


@pytest.mark.parametrize("coefficients", [(0.0, 1.0), (0.0, 0.0, -1.0), (0.0, np.nan, 1.0), ()])
def test_bad_coefficients_are_refused(coefficients):
    with pytest.raises(InputError, match="polynomial of degree"):
        PolynomialLaw(Semicircle(), coefficients)


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=4),
    st.sampled_from([0.0, 1e-24, -1e-24, 1e-60, -1e-300, 1e-9, -1e-9, 0.1]),
)
def test_the_distribution_function_where_the_polynomial_turns(turns, beside):
    """p' has integer roots, often double ones, and 0 among them; P(p(X) ≤ z) is counted over quantiles of X.

    Where five roots meet, rounding of p moves them by 1e-16^(1/5).
    """
    polynomial = Polynomial.fromroots([0.0, *turns]).integ()
    x = Semicircle(2.0).quantile((np.arange(20_000) + 0.5) / 20_000)
    z = beside + polynomial(np.array([0.0, *map(float, turns)]))
    counted = (polynomial(x)[None] < z[:, None]).mean(axis=1)
    found = PolynomialLaw(Semicircle(2.0), tuple(polynomial.coef)).cdf(z)
    np.testing.assert_allclose(found, counted, atol=len(polynomial.coef) / x.size + 1e-16 ** (1 / (2 + len(turns))))


def test_mass_beside_0_however_near_it_is_asked_for():
    """An odd power of a symmetric law: half of the mass lies below 0, where the density is infinite."""
    law = PolynomialLaw(Semicircle(1.0), (0.0, 0.0, 0.0, 1.0))
    x = np.array([1e-12, 1e-24, 1e-60, 1e-300])
    np.testing.assert_allclose(law.cdf(x), Semicircle(1.0).cdf(x ** (1 / 3)), rtol=1e-14)
    assert law.cdf(0.0) == 0.5 and law.quantile(0.5) == 0.0


@pytest.mark.parametrize("degree", [3, 6, 12])
def test_moments_survive_powers_that_cancel(degree):
    """Of Chebyshev's polynomials of an arcsine law all are arcsine again: moments binom(2k, k)/4^k."""
    coefficients = np.polynomial.chebyshev.cheb2poly([0.0] * degree + [1.0])
    law = PolynomialLaw(Arcsine(1.0), tuple(coefficients.tolist()))
    exact = np.array([comb(k, k // 2) / 2.0**k if k % 2 == 0 else 0.0 for k in range(1, 21)])
    assert law.moments(20) == pytest.approx(exact, abs=1e-12)
    assert law.variance == pytest.approx(0.5, abs=1e-12)
