"""Inverse, square, truncation, free Poisson and free Cauchy laws against closed forms, matrices and other laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import cauchy

from freeness import (
    Arcsine,
    Atoms,
    CauchySmoothed,
    FreeCauchy,
    InputError,
    Inverse,
    MarchenkoPastur,
    Mixture,
    PointMass,
    PolynomialLaw,
    Projection,
    Semicircle,
    Square,
    Uniform,
    free_deconvolution,
    free_poisson,
    free_product,
    free_sum,
    inverse,
    mirror,
    scale,
    shift,
    symmetric_root,
    symmetric_square,
    truncated,
)
from tests.orthogonal import haar


def cube(law):
    """Of X³ - 1."""
    return PolynomialLaw(law, (-1.0, 0.0, 0.0, 1.0))


@given(st.floats(0.05, 0.9), st.floats(-0.9, 4.0))
def test_the_inverse_has_the_density_of_a_change_of_variables(ratio, place):
    law = MarchenkoPastur(ratio)
    low, high = law.ends
    t = (low + high) / 2 + place / 4.5 * (high - low) / 2
    image = Inverse(law)
    assert image.density(1 / t) == pytest.approx(t**2 * law.density(t), rel=1e-11)
    assert image.cdf(1 / t) == pytest.approx(1 - law.cdf(t), abs=1e-13)
    assert image.mean == pytest.approx(1 / (1 - ratio), rel=1e-12)
    assert image.variance == pytest.approx(ratio / (1 - ratio) ** 3, rel=1e-9)


def test_the_inverse_combines_as_an_inverted_matrix():
    """X⁻¹ ⊠ Y = F matrices: Wachter in other words, with S of one ratio inverted; here against a matrix."""
    law = free_product(Inverse(MarchenkoPastur(0.3)), MarchenkoPastur(0.5))
    rng, n = np.random.default_rng(0), 600
    levels = (np.arange(n) + 0.5) / n
    x, y = 1 / MarchenkoPastur(0.3).quantile(levels), MarchenkoPastur(0.5).quantile(levels)
    values = np.sort(np.linalg.svd(np.sqrt(x)[:, None] * haar(n, n, rng) * np.sqrt(y), compute_uv=False) ** 2)
    assert np.abs(law.cdf(values) - levels).max() < 5 / n
    ratio, c = 0.5, 0.3  # Silverstein (1985): edges of the F matrix law
    root = np.sqrt(c + ratio - c * ratio)
    assert law.hull == pytest.approx((((1 - root) / (1 - c)) ** 2, ((1 + root) / (1 - c)) ** 2), rel=1e-11)


def test_the_inverse_of_both_signs_and_of_a_chain():
    both = Mixture([shift(Semicircle(0.1), 2.0), shift(Semicircle(0.1), -2.0)], [0.7, 0.3])
    assert Inverse(both).cdf(0.0) == pytest.approx(0.3, abs=1e-12)
    chain = shift(free_product(MarchenkoPastur(0.5), Projection(0.7)), 1.0)
    x = np.array([0.4, 0.6, 0.9])
    assert np.allclose(inverse(chain).density(x), chain.density(1 / x) / x**2, rtol=1e-11)
    assert inverse(inverse(chain)) is chain
    assert inverse(Atoms([-1.0, 2.0])).atoms == ((-1.0, 0.5), (0.5, 0.5))
    with pytest.raises(InputError, match="support does not hold 0"):
        Inverse(MarchenkoPastur(1.0))
    with pytest.raises(InputError, match="support does not hold 0"):
        inverse(Projection(0.5))


@given(st.floats(-1.5, 1.5), st.floats(0.01, 0.99))
def test_the_square_has_the_density_of_both_roots(constant, share):
    law = shift(Semicircle(1.0), constant)
    image = Square(law)
    low, high = image.hull
    x = low + share * (high - low)
    root = np.sqrt(x)
    assert image.density(x) == pytest.approx((law.density(root) + law.density(-root)) / (2 * root), rel=1e-9, abs=1e-9)
    assert image.cdf(x) == pytest.approx(law.cdf(root) - law.cdf(-root), abs=1e-12)
    assert image.mean == pytest.approx(1 + constant**2, rel=1e-12)


def test_the_square_of_a_symmetric_law_is_the_move_of_its_curve():
    x = np.linspace(0.1, 0.9, 9)
    for law in (Semicircle(1.0), Uniform(-1.0, 1.0)):
        assert np.allclose(Square(law).density(x), symmetric_square(law).density(x), rtol=1e-9)
    both = free_sum(Square(Uniform(-1.0, 1.0)), MarchenkoPastur(0.5))
    same = free_sum(symmetric_square(Uniform(-1.0, 1.0)), MarchenkoPastur(0.5))
    assert np.allclose(both.density(x + 0.5), same.density(x + 0.5), rtol=1e-9)
    assert np.array(Square(Atoms([-1.0, 1.0, 2.0])).atoms) == pytest.approx(np.array([(1.0, 2 / 3), (4.0, 1 / 3)]))


@given(st.floats(-1.9, 0.5), st.floats(0.1, 1.3))
def test_truncation_is_conditioning(low, width):
    high = low + width
    law, whole = truncated(Semicircle(1.0), low, high), Semicircle(1.0)
    mass = whole.cdf(high) - whole.cdf(low)
    x = np.linspace(low, high, 7)[1:-1]
    assert np.allclose(law.density(x), whole.density(x) / mass, rtol=1e-8)
    assert np.allclose(law.cdf(x), (whole.cdf(x) - whole.cdf(low)) / mass, atol=1e-9)
    assert law.moment(0) == pytest.approx(1, abs=1e-12)


def test_truncation_keeps_atoms_and_gaps():
    law = free_sum(Semicircle(0.01), Atoms([-1.0, 1.0]))
    half = truncated(law, 0.0, 3.0)
    assert half.mean == pytest.approx(float(half.moments(1)[0]))
    assert np.array(half.bands) == pytest.approx(np.array(law.bands[1:]))
    product = free_product(MarchenkoPastur(0.5), Projection(0.7))
    kept = truncated(product, -1.0, 1.0)
    share = float(product.cdf(1.0))
    assert dict(kept.atoms)[0.0] == pytest.approx(0.3 / share, rel=1e-12)
    assert kept.cdf(0.5) == pytest.approx(float(product.cdf(0.5)) / share, abs=1e-8)
    with pytest.raises(InputError, match="holds mass"):
        truncated(law, -0.2, 0.2)
    with pytest.raises(InputError, match="low < high"):
        truncated(law, 1.0, -1.0)
    assert truncated(Atoms([0.0, 1.0, 2.0]), 0.5, 1.5) == PointMass(1.0)


@settings(max_examples=12)
@given(
    st.floats(0.2, 4.0), st.lists(st.floats(-3, 3).filter(lambda t: abs(t) > 0.1), min_size=1, max_size=4, unique=True)
)
def test_free_cumulants_of_a_free_poisson_law_are_moments_of_its_jumps(rate, jumps):
    law = free_poisson(rate, Atoms(jumps))
    expected = rate * np.array([np.mean(np.array(jumps) ** k) for k in range(1, 6)])
    size = rate * max(abs(t) for t in jumps) ** np.arange(1, 6)
    assert np.abs((law.free_cumulants(5) - expected) / size).max() < 1e-11


def test_free_poisson_is_the_law_of_random_directions():
    rng, n = np.random.default_rng(1), 800
    jumps = np.repeat([-1.0, 0.5, 2.0], [400, 600, 200])
    directions = rng.standard_normal((n, jumps.size)) / n**0.5
    values = np.linalg.eigvalsh(directions * jumps @ directions.T)
    law = free_poisson(1.5, Atoms(jumps))
    assert np.abs(law.cdf(values) - (np.arange(n) + 0.5) / n).max() < 0.01
    assert np.allclose(free_poisson(2.0).density([1.0, 3.0]), scale(MarchenkoPastur(0.5), 2.0).density([1.0, 3.0]))
    assert free_poisson(0.4, PointMass(-2.0)).atoms == ((0.0, pytest.approx(0.6)),)
    with pytest.raises(InputError, match="rate > 0"):
        free_poisson(0.0)


@given(st.floats(-3, 3), st.floats(0.01, 10), st.floats(-20, 20))
def test_the_free_cauchy_law_is_the_cauchy_law(location, width, x):
    law = FreeCauchy(location, width)
    assert law.density(x) == pytest.approx(cauchy.pdf(x, location, width), rel=1e-11)
    assert law.cdf(x) == pytest.approx(cauchy.cdf(x, location, width), abs=1e-12)
    p = float(cauchy.cdf(x, location, width))
    if 1e-3 < p < 1 - 1e-3:
        assert law.quantile(p) == pytest.approx(x, rel=1e-6, abs=1e-6 * width)


def test_a_free_sum_with_a_cauchy_law_is_a_classical_one():
    """Both smooth by the Poisson kernel; the classical sum is integrated here over the quantiles."""
    for law in (Semicircle(1.0), free_sum(MarchenkoPastur(0.5), Projection(0.4)), Atoms([0.0, 2.0])):
        smooth = free_sum(law, FreeCauchy(1.0, 0.5), mirror(FreeCauchy(0.0, 0.2)))
        nodes = law.quantile((np.arange(20_000) + 0.5) / 20_000)
        for x in (-1.0, 0.3, 2.5):
            assert smooth.density(x) == pytest.approx(np.mean(cauchy.pdf(x, nodes + 1.0, 0.7)), rel=1e-6)
            assert smooth.cdf(x) == pytest.approx(np.mean(cauchy.cdf(x, nodes + 1.0, 0.7)), abs=1e-6)
    assert scale(FreeCauchy(1.0, 0.5), -2.0) == FreeCauchy(-2.0, 1.0)
    assert shift(FreeCauchy(), 3.0) == FreeCauchy(3.0, 1.0)
    with pytest.raises(InputError, match="non-negative laws"):
        free_product(FreeCauchy(2.0), MarchenkoPastur(1.0))
    with pytest.raises(InputError, match="with moments"):
        FreeCauchy().moment(1)
    with pytest.raises(InputError, match="width > 0"):
        FreeCauchy(0.0, 0.0)
    with pytest.raises(InputError, match=r"inside \(0, 1\)"):
        FreeCauchy().quantile(0.0)
    with pytest.raises(InputError, match="finite points"):
        free_sum(Semicircle(1.0), FreeCauchy()).cdf(np.inf)


def test_squares_of_squares_and_left_of_a_square():
    law = Square(shift(Semicircle(1.0), 0.5))
    x = np.array([1.0, 3.0, 20.0])
    assert np.allclose(Square(law).cdf(x), law.cdf(np.sqrt(x)), atol=1e-12)
    values = Semicircle(1.0).quantile((np.arange(4000) + 0.5) / 4000)
    assert Square(Semicircle(1.0)).log_potential(-1.0) == pytest.approx(np.mean(np.log(1 + values**2)), rel=1e-4)
    left = Square(Semicircle(1.0))
    assert left.boundary(np.array([-1.0])).g[0].real == pytest.approx(left.cauchy(-1.0).real, rel=1e-12)


def test_tails_of_the_cauchy_law_and_gaps_of_a_truncated_one():
    assert FreeCauchy().quantile([1e-4, 1e-6]) == pytest.approx(cauchy.ppf([1e-4, 1e-6]), rel=1e-6)
    assert FreeCauchy(1e5, 1e-3).quantile(0.5) == pytest.approx(1e5, rel=1e-12)
    gapped = free_sum(Atoms([-1.0, 1.0]), Semicircle(0.1))
    kept = truncated(gapped, -1.0, 1.2)
    assert np.array(kept.bands) == pytest.approx(np.array([(-1.0, gapped.bands[0][1]), (gapped.bands[1][0], 1.2)]))
    with pytest.raises(InputError, match="holds mass"):
        truncated(Semicircle(1.0), 0.0, 1e-8)
    with pytest.raises(InputError, match="finite interval"):
        truncated(FreeCauchy(), -np.inf, 1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: free_deconvolution(1.0, Semicircle(1.0)),
        lambda: inverse(None),
        lambda: truncated(3.0, 0.0, 1.0),
        lambda: free_poisson(2.0, 3.0),
        lambda: Square("a"),
        lambda: CauchySmoothed(None, 1.0),
        lambda: free_sum(Semicircle(1.0), 3.0),
        lambda: free_product(MarchenkoPastur(1.0), 2.0),
        lambda: shift(2.0, 1.0),
    ],
)
def test_what_is_no_law_is_refused_in_one_sentence(wrong):
    with pytest.raises(InputError, match="expected laws"):
        wrong()


IMAGES = {
    "affine": (lambda x: 2 * x - 0.7, lambda law: shift(scale(law, 2.0), -0.7)),
    "mirror": (lambda x: -x, mirror),
    "square": (lambda x: x**2, Square),
    "inverse": (lambda x: 1 / x, lambda law: inverse(law)),
    "cubic": (lambda x: 0.5 - x + 0.3 * x**3, lambda law: PolynomialLaw(law, (0.5, -1.0, 0.0, 0.3))),
    "quartic": (lambda x: x**4 - x, lambda law: PolynomialLaw(law, (0.0, -1.0, 0.0, 0.0, 1.0))),
}


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("solved", [False, True])
def test_transforms_of_an_image_are_integrals_over_the_law_before(name, solved):
    """G, u, their slopes and the potential against Gauss's rule over the density of X; a law by its curve as well."""
    image, make = IMAGES[name]
    nodes, weights = np.polynomial.legendre.leggauss(400)
    if solved:
        before = free_sum(Semicircle(0.1), Semicircle(0.1), PointMass(2.0))
        x, mass = 2.0 + 0.8**0.5 * nodes, weights * np.sqrt(1 - nodes**2) * 2 / np.pi
    else:
        before, x, mass = Uniform(0.5, 2.0), 1.25 + 0.75 * nodes, weights / 2
    law, mass = make(before), mass / mass.sum()
    low, high = law.hull
    size = high - low
    z = np.array([low + 0.3j * size, (low + high + 1j * size) / 2, low - 0.4 + 0j, high + 1 + 0j, high + 3 + 1j])
    (g, dg), (u, du) = law.transforms(z)
    kernel = 1 / (z[:, None] - image(x))
    tolerance = {"rel": 1e-5 if solved else 1e-9}  # the rule at the ends of a semicircle
    assert g == pytest.approx(kernel @ mass, **tolerance) and dg == pytest.approx(-(kernel**2) @ mass, **tolerance)
    assert u == pytest.approx(kernel @ (image(x) * mass), **tolerance)
    assert du == pytest.approx(-(kernel**2) @ (image(x) * mass), **tolerance)
    logs = np.log(z[:, None] - image(x)) @ mass
    assert law.potential(z) == pytest.approx(logs, **tolerance)


def test_the_square_of_a_law_beside_0_is_smooth_at_0():
    """G(0) = -E x⁻², G'(0) = -E x⁻⁴, to be met where √z is all rounding."""
    law = Uniform(0.5, 2.0)
    x = np.linspace(0.5, 2.0, 200_001)
    exact = [-np.trapezoid(x**-power, x) / 1.5 for power in (2, 4)]
    (g, dg), _ = Square(law).transforms(np.array([1e-30 + 0j, 1e-20j, -1e-15 + 0j, 1e-12 - 1e-12j]))
    np.testing.assert_allclose(g, exact[0], rtol=1e-9)
    np.testing.assert_allclose(dg, exact[1], rtol=1e-4)


def test_a_law_that_begins_at_the_smallest_number_has_the_products_of_one_that_begins_at_0():
    """(As the jumps of one sign do in a free Poisson law.) In units of a wider product the number is 0."""
    ends = [free_product(truncated(Semicircle(4.0), low, 4.0), MarchenkoPastur(0.5)).hull for low in (5e-324, 0.0)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-12)


@pytest.mark.parametrize("name", IMAGES)
def test_the_distribution_function_rises_over_the_ends_of_parts_inside(name):
    """Where G is infinite there may be no answer, but none from the other side."""
    part = Uniform(0.957, 2.549)
    image, make = IMAGES[name]
    law = make(Mixture([part, Atoms([0.1, 4.0])], [0.5, 0.5]))
    for end in part.hull:
        x = image(end) + np.spacing(abs(image(end))) * np.arange(-8, 9)
        value = law.cdf(x, throw=False)
        assert np.ptp(value[np.isfinite(value)]) < 1e-12


def test_on_a_hard_edge_of_the_law_behind_inside_a_band_the_distribution_function_is_known():
    """G is infinite there and the potential is not, also where an image is taken of an image."""
    behind = Arcsine(1.625)
    low = 0.74 - 1.625
    square = Square(shift(behind, 0.74))
    held = behind.cdf(-low - 0.74) - behind.cdf(low - 0.74)
    assert square.cdf(low**2) == pytest.approx(held, abs=1e-12)
    assert Square(shift(square, 0.72)).cdf((low**2 + 0.72) ** 2) == pytest.approx(held, abs=1e-12)


@pytest.mark.parametrize(
    "image", [(Inverse, lambda x: 1 / x), (Square, np.square), (cube, lambda x: x**3 - 1)], ids=["1/X", "X²", "X³ - 1"]
)
@pytest.mark.parametrize(
    "parts", [((1.0, 2.0), (1.0, 2.0)), ((-2.0, -1.0), (1.0, 3.0))], ids=["one side", "both sides"]
)
def test_g_keeps_its_digits_where_points_behind_it_meet_in_a_gap(image, parts):
    of, function = image
    x, weights = np.polynomial.legendre.leggauss(40)
    nodes = np.concatenate([(low + high + (high - low) * x) / 2 for low, high in parts])
    law, critical = of(Mixture([Uniform(*part) for part in parts], [0.5, 0.5])), -1.0 if of is cube else 0.0
    for z in critical + np.array([0.0, 1e-30, -1e-12, 1e-7, 1e-4j]):
        expected = np.concatenate([weights, weights]) / 4 @ (1 / (z - function(nodes)))
        assert law.cauchy(z) == pytest.approx(expected, rel=1e-12)
    if of is Inverse:
        assert law.boundary(np.zeros(1)).g[0] == pytest.approx(law.cauchy(0.0), rel=1e-12)


def test_the_r_transform_of_a_law_without_a_real_axis_on_one_side_is_told():
    law = symmetric_root(free_sum(MarchenkoPastur(0.5), Uniform(1.0, 2.0)))
    g = np.real(law.cauchy(np.array([-3.0, 3.0])))
    assert law.r_transform(g) + 1 / g == pytest.approx([-3.0, 3.0], rel=1e-12)
    with pytest.raises(InputError, match="real domain of the R-transform"):
        law.r_transform(-1e3)
