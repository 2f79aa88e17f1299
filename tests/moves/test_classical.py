"""Classical sums and products of laws against closed forms, quadrature in many digits, eigenvalues, and exact moments."""

from math import comb

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import ellipk

from freeness import (
    Arcsine,
    Atoms,
    Density,
    FreeCauchy,
    FussCatalan,
    GaussianPushforward,
    InputError,
    Law,
    MarchenkoPastur,
    Mixture,
    PointMass,
    Projection,
    Semicircle,
    Uniform,
    classical_product,
    classical_sum,
    free_sum,
    kolmogorov,
)
from freeness.laws import GradedDensity
from freeness.laws.parts import smooth_parts

TO_TEN_DIGITS = 1e-10


def between(law, count=200):
    low, high = law.hull
    return low + (high - low) * (np.arange(count) + 0.5) / count


def test_sum_of_two_uniform_variables_has_the_density_of_a_trapezium():
    law = classical_sum(Uniform(0.0, 1.0), Uniform(-1.0, 2.0))
    x = between(law)
    assert np.abs(law.density(x) - np.clip(np.minimum(x + 1, 3 - x), 0, 1) / 3).max() < TO_TEN_DIGITS
    assert law.hull == (-1.0, 3.0)


def test_product_of_uniform_variables_has_logarithmic_densities():
    law = classical_product(Uniform(0.0, 1.0), Uniform(0.0, 1.0))
    x = np.geomspace(1e-8, 0.999, 200)
    assert np.abs(law.density(x) + np.log(x)).max() < TO_TEN_DIGITS
    assert np.abs(law.cdf(x) - x * (1 - np.log(x))).max() < TO_TEN_DIGITS
    three = classical_product(law, Uniform(0.0, 1.0))
    assert np.abs(three.density(x) - np.log(x) ** 2 / 2).max() < TO_TEN_DIGITS
    both_signs = classical_product(Uniform(-1.0, 1.0), Uniform(-1.0, 1.0))
    assert np.abs(both_signs.density(-x) + np.log(x) / 2).max() < TO_TEN_DIGITS


def test_sum_of_arcsine_laws_is_a_complete_elliptic_integral():
    law = classical_sum(Arcsine(2.0), Arcsine(2.0))
    x = between(law)
    assert np.abs(law.density(x) - ellipk(1 - (x / 4) ** 2) / (2 * np.pi**2)).max() < TO_TEN_DIGITS


def quadrature(first, second, low, high):
    """∫ of a product over an interval at whose ends it may be singular, to 25 digits."""
    middle = (low + high) / 2
    return mpmath.quad(lambda s: first(s) * second(s), [low, middle, high])


def semicircle(variance):
    return lambda t: mpmath.sqrt(max(4 * variance - t * t, 0)) / (2 * mpmath.pi * variance)


def marchenko_pastur(c):
    low, high = (1 - mpmath.sqrt(c)) ** 2, (1 + mpmath.sqrt(c)) ** 2
    return lambda t: mpmath.sqrt(max((high - t) * (t - low), 0)) / (2 * mpmath.pi * c * t), low, high


@pytest.mark.parametrize("x", [0.1, 0.8284, 2.0, 4.5])
def test_sum_of_semicircles_against_quadrature(x):
    law = classical_sum(Semicircle(1.0), Semicircle(2.0))
    with mpmath.workdps(25):
        radius = 2 * mpmath.sqrt(2)
        exact = quadrature(
            semicircle(1),
            lambda s: semicircle(2)(x - s),
            max(mpmath.mpf(-2), x - radius),
            min(mpmath.mpf(2), x + radius),
        )
    assert law.density(x) == pytest.approx(float(exact), abs=TO_TEN_DIGITS)


@pytest.mark.parametrize("x", [0.03, 0.5, 2.0, 6.0])
def test_product_of_marchenko_pastur_laws_against_quadrature(x):
    ratios = (mpmath.mpf("0.5"), mpmath.mpf("0.25"))
    law = classical_product(*(MarchenkoPastur(float(c)) for c in ratios))
    with mpmath.workdps(25):
        (f, low, high), (g, least, most) = map(marchenko_pastur, ratios)
        exact = quadrature(f, lambda s: g(x / s) / s, max(low, x / most), min(high, x / least))
    assert law.density(x) == pytest.approx(float(exact), abs=TO_TEN_DIGITS)


def test_product_with_atoms_at_zero_has_the_atom_and_the_scaled_density_of_the_rest():
    law, rest = classical_product(MarchenkoPastur(2.0), MarchenkoPastur(0.5)), MarchenkoPastur(0.5)
    assert dict(law.atoms)[0.0] == pytest.approx(0.5, abs=1e-14)
    whole = classical_product(rest, rest)  # what is not 0 of ratio 2 is twice the law of ratio ½
    x = between(law)
    assert np.abs(law.density(x) - whole.density(x / 2) / 4).max() < TO_TEN_DIGITS
    assert law.cdf(0.0) == pytest.approx(0.5, abs=1e-12)


def test_atoms_shift_and_scale_the_other_law():
    two = Atoms([-1.0, 2.0], [0.25, 0.75])
    moved, scaled = classical_sum(two, Semicircle(1.0)), classical_product(Semicircle(1.0), two)
    x = np.linspace(-4.5, 4.5, 101)
    one = Semicircle(1.0)
    assert np.allclose(moved.density(x), one.density(x + 1) / 4 + 3 * one.density(x - 2) / 4, atol=1e-13)
    assert np.allclose(scaled.density(x), one.density(x) / 4 + 3 * one.density(x / 2) / 8, atol=1e-13)
    assert classical_sum(two, two).atoms == Atoms([-2.0, 1.0, 4.0], [1 / 16, 6 / 16, 9 / 16]).atoms
    assert classical_sum(PointMass(1.0), PointMass(2.0)) == PointMass(3.0)
    assert classical_product(PointMass(0.0), Semicircle(1.0)) == PointMass(0.0)
    assert dict(classical_product(Projection(0.5), Projection(0.5)).atoms) == {0.0: 0.75, 1.0: 0.25}


LAWS = [
    Uniform(-0.5, 1.0),
    Semicircle(0.7),
    MarchenkoPastur(0.3),
    MarchenkoPastur(1.0),
    MarchenkoPastur(2.5),
    Arcsine(1.0),
    Atoms([-1.0, 0.0, 2.0], [0.2, 0.3, 0.5]),
    Density(lambda x: 1 - np.abs(x), -1.0, 1.0, (0.0,)),
    Mixture([Semicircle(1.0), PointMass(0.5)], [0.5, 0.5]),
    free_sum(Semicircle(0.3), MarchenkoPastur(0.5)),
]
CHOSEN = st.sampled_from(LAWS)
COMBINED = [(classical_sum, np.add), (classical_product, np.multiply)]


@settings(max_examples=4)
@given(CHOSEN, CHOSEN, st.sampled_from(COMBINED))
def test_classical_combinations_are_laws_of_combined_quantiles(first, second, how):
    combined, joined = how
    law = combined(first, second)
    p = (np.arange(80) + 0.5) / 80
    values = joined.outer(first.quantile(p), second.quantile(p)).ravel()
    assert kolmogorov(law, np.sort(values)) < 0.02
    corners = joined.outer(first.hull, second.hull)
    assert law.hull == pytest.approx((corners.min(), corners.max()), abs=1e-12)


@settings(max_examples=3)
@given(CHOSEN, CHOSEN)
def test_densities_hold_the_exact_moments(first, second):
    a, b = (np.concatenate([[1.0], law.moments(4)]) for law in (first, second))
    sums = [sum(comb(n, k) * a[k] * b[n - k] for k in range(n + 1)) for n in range(1, 5)]
    for law, exact in ((classical_sum(first, second), sums), (classical_product(first, second), a[1:] * b[1:])):
        assert law.moments(4) == pytest.approx(exact, rel=1e-10, abs=1e-12)
        assert (law.mean, law.mean**2 + law.variance) == pytest.approx(exact[:2], rel=1e-10, abs=1e-12)
        assert Law.moments(law, 4) == pytest.approx(exact, rel=1e-9, abs=1e-10)  # of the density, along a contour


@pytest.mark.slow
def test_cubic_singularities_keep_their_mass():
    law = classical_product(FussCatalan(2), Uniform(0.0, 1.0))  # x^(-2/3) at 0
    low, step = 1e-9, 1e-12
    assert law.density(low) == pytest.approx(np.diff(law.cdf([low - step, low + step]))[0] / (2 * step), rel=1e-3)
    assert law.moment(1) == 0.5
    p = (np.arange(2000) + 0.5) / 2000
    assert law.quantile(p).mean() == pytest.approx(0.5, rel=1e-3)


@pytest.mark.slow
def test_a_narrow_peak_inside_is_integrated_over():
    """1/(x² + w²) on [-1, 1] and a uniform variable: the density is a difference of arcus tangents."""
    width = 0.05
    below = lambda x: np.arctan(np.clip(x, -1, 1) / width) / (2 * np.arctan(1 / width))  # noqa: E731
    peak = GradedDensity(lambda x: width / (x**2 + width**2) / (2 * np.arctan(1 / width)), [-1.0, 1.0])
    x = np.array([-0.5, 0.01, 0.7, 1.49, 2.0])
    found = classical_sum(peak, Uniform(0.0, 1.5)).density(x)
    np.testing.assert_allclose(found, (below(x) - below(x - 1.5)) / 1.5, atol=1e-9)


@pytest.mark.slow
def test_a_band_that_is_nearly_pinched_off_is_summed_to_twelve_digits():
    """Of semicircle ⊞ ±1, whose two bands meet at variance 1 (Biane 1997): at 1.01 no series of a density reaches over 0."""
    law = free_sum(Atoms([-1.0, 1.0]), Semicircle(1.01))
    found = classical_sum(law, Semicircle(1.0))
    for x in (-0.3, 2.0):
        exact, _ = integrate.quad(
            lambda s, x=x: float(law.density(s)) * np.sqrt(max(4 - (x - s) ** 2, 0.0)) / (2 * np.pi),
            max(law.hull[0], x - 2),
            min(law.hull[1], x + 2),
            points=[0.0],
            limit=400,
            epsabs=1e-12,
        )
        assert found.density(x) == pytest.approx(exact, abs=1e-10)


def test_densities_that_are_solved_for_are_tabulated_first():
    law, other = GaussianPushforward(lambda h: np.cosh(h) ** -4, 0.5), Uniform(0.0, 1.0)
    total = classical_sum(law, other)
    x = np.linspace(0.1, 1.9, 10)
    assert np.abs(total.density(x) - (law.cdf(x) - law.cdf(x - 1))).max() < 1e-8


def test_classical_laws_are_operands_of_free_ones():
    inner = classical_sum(Uniform(-1.0, 1.0), Semicircle(0.5))
    law = free_sum(inner, Semicircle(1.0))
    assert law.variance == pytest.approx(1 / 3 + 1.5, rel=1e-12)
    fourth = 1 / 5 + 6 * 0.5 / 3 + 2 * 0.25  # of the inner law
    kappa = fourth - 2 * inner.variance**2
    assert law.moment(4) == pytest.approx(kappa + 2 * law.variance**2, rel=1e-9)


def test_laws_without_bounded_support_are_refused():
    with pytest.raises(InputError, match="bounded support"):
        classical_sum(FreeCauchy(1.0), Semicircle(1.0))
    with pytest.raises(InputError, match="expected laws"):
        classical_product(2.0, Semicircle(1.0))


def test_a_sum_of_laws_whose_widths_are_far_apart_is_refused_by_their_widths():
    with pytest.raises(InputError, match="expected laws of widths within a factor of 1e"):
        classical_sum(Uniform(0.0, 1.0), Uniform(0.0, 1e-12))


def test_rounding_at_the_end_of_a_density_asks_for_no_panels():
    """Of a law that is solved for, the last 1e-10 of a band may be dark."""
    rounded = GradedDensity(
        lambda x: np.where(x > 2 - 1e-10, 0.0, np.sqrt(np.maximum(4 - x**2, 0.0))) / (2 * np.pi), [-2.0, 2.0]
    )
    assert [part.panels for part in smooth_parts(rounded)] == [1]
