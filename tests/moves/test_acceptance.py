"""The acceptance set of the spectral engine: densities to 1e-10, masses to 1e-8, edges to 1e-10, atoms, exponents.

Every figure comes from a closed form or from a polynomial whose roots are found without the engine (theory.md §1).
"""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar

from freeness import (
    Atoms,
    Empirical,
    MarchenkoPastur,
    Projection,
    Semicircle,
    compress,
    free_difference,
    free_power,
    free_product,
    free_sum,
    scale,
    shift,
)
from tests.moves.test_stress import LEVELS, matrix_spectrum, total_mass

BULK, MASS, EDGE = 1e-10, 1e-8, 1e-10


def inside(low, high, count=1000):
    """Midpoints of a band without the outermost hundredth at each end."""
    return low + (high - low) * (0.01 + 0.98 * (np.arange(count) + 0.5) / count)


def mass_of_curve(law):
    """Atoms and what the distribution function gains over each band, read just inside its ends, in log x at 0."""
    total = sum(mass for _, mass in law.atoms)
    for low, high in law.bands:
        step = 1e-9 * (high - low)
        ends = law.cdf([1e-150 if low == 0 == law.hull[0] else low + step, high - step])
        total += float(ends[1] - ends[0])
    return total


def assert_support(law, bands, atoms=()):
    """Bands to 1e-10, atoms exactly, and the mass of both together."""
    assert np.array(law.bands) == pytest.approx(np.array(bands), abs=EDGE * max(abs(v) for band in bands for v in band))
    found = dict(law.atoms)
    assert sorted(found) == pytest.approx(sorted(dict(atoms)), abs=1e-13)
    assert [found[x] for x in sorted(found)] == pytest.approx([mass for _, mass in sorted(atoms)], abs=1e-14)
    assert abs(total_mass(law) - 1) < MASS


def kinds(law):
    return [edge.kind for edge in law.edges]


def exponents(law):
    return [edge.exponent for edge in law.edges]


def followed(roots_at, first, x):
    """The root that continues ``first`` from x + i·height down to x: always the nearest, in steps that keep it apart.

    ``roots_at(z)`` gives all roots at one z; ``first(z)`` is the physical one at large z.
    """
    found = np.empty(len(x), complex)
    for k, point in enumerate(x):
        y, ratio = 1e3 * (1 + abs(point)), 0.7
        at = first(point + 1j * y)
        while y > 0:
            lower = y * ratio if y > 1e-9 * abs(point) else 0.0
            distance = np.sort(np.abs(roots_at(point + 1j * lower) - at))
            if lower and len(distance) > 1 and distance[0] > 0.2 * distance[1]:
                ratio = ratio**0.5
                assert ratio < 0.99999
                continue
            roots = roots_at(point + 1j * lower)
            at, y, ratio = roots[np.argmin(np.abs(roots - at))], lower, max(ratio**2, 0.5)
        found[k] = at
    return found


def polished(polynomial, root, steps=3):
    """Newton steps on a polynomial given by its coefficients, highest first."""
    for _ in range(steps):
        root = root - np.polyval(polynomial, root) / np.polyval(np.polyder(polynomial), root)
    return root


def root_below(polynomial):
    """The root in the lower half-plane of a real cubic, of which there is at most one."""
    roots = np.roots(polynomial)
    return polished(polynomial, roots[np.argmin(roots.imag)])


def test_law_1_semicircles_add_their_variances():
    for laws in ([1.0, 1.0], [0.25, 1.0, 0.75]):
        law = free_sum(*map(Semicircle, laws))
        x = inside(*law.hull)
        assert np.allclose(law.density(x), np.sqrt(8 - x**2) / (4 * np.pi), rtol=BULK, atol=0)
        assert_support(law, [(-(8**0.5), 8**0.5)])
        assert mass_of_curve(law) == pytest.approx(1, abs=MASS)
        assert kinds(law) == ["soft", "soft"]


def test_law_2_a_semicircle_and_two_atoms_touch_in_a_cusp():
    law = free_sum(Semicircle(1.0), Atoms([-1.0, 1.0]))
    edge = 27**0.5 / 2
    x = np.concatenate([inside(0.0, edge, 500), -inside(0.0, edge, 500)])
    exact = np.array([-root_below([1, -2 * v, v * v, -v]).imag / np.pi for v in x])
    assert np.allclose(law.density(x), exact, rtol=BULK, atol=0)
    assert_support(law, [(-edge, 0.0), (0.0, edge)])
    assert mass_of_curve(law) == pytest.approx(1, abs=MASS)
    assert kinds(law) == ["soft", "cusp", "cusp", "soft"]
    assert exponents(law) == pytest.approx([1 / 2, 1 / 3, 1 / 3, 1 / 2], abs=1e-3)


def fuss_catalan(s, phi):
    """x and density of MP(1)^{⊠s} at the angles φ in (0, π/(s+1)), x falling (3)."""
    x = np.sin((s + 1) * phi) ** (s + 1) / (np.sin(phi) * np.sin(s * phi) ** s)
    return x, np.sin(phi) ** 2 * np.sin(s * phi) ** (s - 1) / (np.pi * np.sin((s + 1) * phi) ** s)


def fuss_catalan_above(s, phi):
    """1 - cdf, by Gauss–Legendre in the angle, in which the integrand is smooth."""
    node, weight = np.polynomial.legendre.leggauss(80)
    angle = phi[:, None] * (node + 1) / 2
    slope = (s + 1) ** 2 / np.tan((s + 1) * angle) - 1 / np.tan(angle) - s**2 / np.tan(s * angle)
    x, density = fuss_catalan(s, angle)
    return -(density * x * slope) @ weight * phi / 2


@pytest.mark.parametrize("s", [*range(1, 11), 1.5, 2.7, 50])
def test_law_3_products_of_square_wishart_matrices_are_fuss_catalan(s):
    """Of s = 50 more than 1e-6 of the mass lies below the smallest double, so there it is only the closed form."""
    law = (
        free_product(*[MarchenkoPastur(1.0)] * s)
        if isinstance(s, int)
        else free_power(MarchenkoPastur(1.0), s, "product")
    )
    edge = (s + 1) * (1 + 1 / s) ** s
    phi = (np.arange(1000) + 0.5) / 1000 * np.pi / (s + 1)
    bulk = phi[10:990]
    x, exact = fuss_catalan(s, bulk)
    assert np.allclose(law.density(x), exact, rtol=BULK, atol=0)
    assert np.allclose(1 - law.cdf(x), fuss_catalan_above(s, bulk), rtol=0, atol=1e-10)
    assert law.atoms == ()
    assert law.hull == pytest.approx((0.0, edge), rel=EDGE, abs=EDGE)
    if s == 50:
        return
    assert_support(law, [(0.0, edge)])
    assert mass_of_curve(law) == pytest.approx(1, abs=MASS)
    assert kinds(law) == ["hard", "soft"]
    assert exponents(law) == pytest.approx([-s / (s + 1), 0.5], abs=2e-3)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (0.3, 0.6), (0.7, 0.8), (0.9, 0.2), (0.95, 0.97), (0.4, 0.6)])
def test_law_4_a_product_of_projections_has_atoms_at_0_and_1(a, b):
    law = free_product(Projection(a), Projection(b))
    centre, half = a + b - 2 * a * b, 2 * np.sqrt(a * b * (1 - a) * (1 - b))
    low, high = centre - half, min(centre + half, 1.0)
    low = 0.0 if a == b else low
    high = 1.0 if abs(a + b - 1) < 1e-12 else high
    x = inside(low, high)
    exact = np.sqrt((high - x) * (x - low)) / (2 * np.pi * x * (1 - x))
    assert np.allclose(law.density(x), exact, rtol=BULK, atol=0)
    atoms = [(0.0, 1 - min(a, b))] + ([(1.0, a + b - 1)] if a + b > 1 + 1e-12 else [])
    assert_support(law, [(low, high)], atoms)
    assert exponents(law)[0] == pytest.approx(-0.5 if low == 0 else 0.5, abs=1e-3)
    assert exponents(law)[1] == pytest.approx(-0.5 if high == 1 else 0.5, abs=1e-3)


def test_law_5_the_anticommutator_of_semicirculars():
    """XY + YX = A² - B² for the free semicirculars A = (X + Y)/√2 and B = (X - Y)/√2."""
    law = free_difference(MarchenkoPastur(1.0), MarchenkoPastur(1.0))
    edge = np.sqrt((11 + 5 * 5**0.5) / 2)
    x = inside(-edge, edge)
    exact = np.array([-root_below([v, 1, -v, 1]).imag / np.pi for v in x])
    assert np.allclose(law.density(x), exact, rtol=BULK, atol=0)
    assert law.density(0.0) == pytest.approx(1 / np.pi, rel=BULK)
    assert_support(law, [(-edge, edge)])
    assert mass_of_curve(law) == pytest.approx(1, abs=MASS)
    assert kinds(law) == ["soft", "soft"]


def test_law_6_two_symmetric_bernoulli_laws_add_to_the_arcsine_law():
    law = free_sum(Atoms([-1.0, 1.0]), Atoms([-1.0, 1.0]))
    x = inside(-2, 2)
    assert np.allclose(law.density(x), 1 / (np.pi * np.sqrt(4 - x**2)), rtol=BULK, atol=0)
    assert np.allclose(law.cdf(x), 0.5 + np.arcsin(x / 2) / np.pi, rtol=0, atol=BULK)
    assert_support(law, [(-2, 2)])
    assert kinds(law) == ["hard", "hard"]
    assert exponents(law) == pytest.approx([-0.5, -0.5], abs=1e-3)


def test_law_7_two_half_ratio_wishart_matrices():
    """z = (1+u)(1+u/2)²/u, so that dz/du = 0 is u² + u/2 - 1 = 0."""
    law = free_product(MarchenkoPastur(0.5), MarchenkoPastur(0.5))
    critical = (-0.5 + np.array([-1, 1]) * np.sqrt(4.25)) / 2
    edges = (1 + critical) * (1 + critical / 2) ** 2 / critical
    assert edges == pytest.approx([0.02835014, 4.40914986], abs=1e-8)
    x = inside(*edges)
    polynomials = [[0.25, 1.25, 2 - v, 1] for v in x]
    exact = np.array([-((1 + root_below(p)) / v).imag / np.pi for p, v in zip(polynomials, x, strict=True)])
    assert np.allclose(law.density(x), exact, rtol=BULK, atol=0)
    assert_support(law, [tuple(edges)])
    assert mass_of_curve(law) == pytest.approx(1, abs=MASS)
    assert kinds(law) == ["soft", "soft"]


def moments_of_cumulants(kappa):
    """m_1, … by m_n = Σ_s κ_s [z^{n-s}] M(z)^s, exactly."""
    m = [Fraction(1)]
    for n in range(1, len(kappa) + 1):
        total, power = Fraction(0), [Fraction(1)] + [Fraction(0)] * n
        padded = m + [Fraction(0)] * (n + 1 - len(m))
        for s in range(1, n + 1):
            power = [sum(power[i] * padded[k - i] for i in range(k + 1)) for k in range(n + 1)]
            total += kappa[s - 1] * power[n - s]
        m.append(total)
    return m[1:]


def coefficient_of_power(t, exponent, order):
    power = [Fraction(1)] + [Fraction(0)] * order
    for _ in range(exponent):
        power = [sum(power[i] * (t[k - i] if k - i < len(t) else 0) for i in range(k + 1)) for k in range(order + 1)]
    return power[order]


def inverse_s_of_moments(moments):
    """The series of 1/S(u), from m_k = [u^{k-1}] ((1+u)/S)^k/k (Lagrange), exactly."""
    t = []
    for k, m in enumerate(moments, 1):
        if k == 1:
            t.append(m)
        else:
            t.append((k * m - coefficient_of_power([*t, Fraction(0)], k, k - 1)) / (k * t[0] ** (k - 1)))
    inverse = []  # t/(1 + u)
    for value in t:
        inverse.append(value - (inverse[-1] if inverse else 0))
    return inverse


def moments_of_inverse_s(inverse):
    t = [value + (inverse[k - 1] if k else 0) for k, value in enumerate(inverse)]
    return [coefficient_of_power(t, k, k - 1) / k for k in range(1, len(t) + 1)]


def composite():
    return free_product(MarchenkoPastur(0.5), free_sum(MarchenkoPastur(1 / 3), shift(Semicircle(1.0), 3.0)))


def test_a_product_with_a_sum_has_the_density_of_its_polynomial():
    """With g of the sum: Z = 1/g + 1/(1-g/3) + g + 3, u = Zg - 1 and z = Z(1 + u/2)."""
    law = composite()
    third, g = np.poly1d([-1 / 3, 1]), np.poly1d([1, 0])
    top = third + g + (g**2 + 3 * g) * third
    left, right = top * (third + top), 2 * g * third**2

    def roots_at(z):
        return (left - z * right).roots

    bands = law.bands
    assert len(bands) == 1
    x = inside(*bands[0], 60)
    at = followed(roots_at, lambda z: 4 / z, x)
    at = np.array([polished((left - v * right).coeffs, w) for v, w in zip(x, at, strict=True)])
    big = top(at) / (at * third(at))
    assert np.allclose(law.density(x), -(big * at / x).imag / np.pi, rtol=BULK, atol=0)
    slope = (left.deriv() * right - left * right.deriv()).roots
    real = slope[np.abs(slope.imag) < 1e-9].real
    critical = np.array([polished((left.deriv() * right - left * right.deriv()).coeffs, v) for v in real])
    with np.errstate(divide="ignore", invalid="ignore"):
        values = left(critical) / right(critical)
    for edge in bands[0]:
        assert np.min(np.abs(values - edge)) < EDGE * bands[0][1]
    assert law.atoms == ()
    assert abs(total_mass(law) - 1) < MASS
    assert mass_of_curve(law) == pytest.approx(1, abs=MASS)


def test_a_product_with_a_sum_has_the_exact_moments_and_the_spectrum_of_a_matrix():
    law, order = composite(), 10
    half = moments_of_cumulants([Fraction(1, 2) ** n for n in range(order)])
    inner = [Fraction(1, 3) ** n for n in range(order)]
    inner[0] += 3
    inner[1] += 1
    left, right = inverse_s_of_moments(half), inverse_s_of_moments(moments_of_cumulants(inner))
    assert left == [1, Fraction(1, 2)] + [0] * (order - 2)  # S of MP(½) is 1/(1 + u/2): the helper is right
    product = [sum(left[i] * right[k - i] for i in range(k + 1)) for k in range(order)]
    exact = [float(m) for m in moments_of_inverse_s(product)]
    assert law.moments(order) == pytest.approx(exact, rel=1e-11)
    rng = np.random.default_rng(3)
    middle = matrix_spectrum("sum", MarchenkoPastur(1 / 3).quantile(LEVELS), 3 + Semicircle(1.0).quantile(LEVELS), rng)
    eigenvalues = matrix_spectrum("product", MarchenkoPastur(0.5).quantile(LEVELS), middle, rng)
    assert np.abs(law.cdf(eigenvalues) - LEVELS).max() < 5 / len(LEVELS)


def test_a_five_fold_relu_network():
    """S = (½ + u)^{-5}, z = (1+u)(½+u)⁵/u, and dz/du = 0 at 5u² + 4u - ½ = 0."""
    law = free_product(*[MarchenkoPastur(1.0), Projection(0.5)] * 5)
    critical = (-4 + np.sqrt(26)) / 10
    edge = (1 + critical) * (0.5 + critical) ** 5 / critical
    phi = np.linspace(0.03, 0.97, 60)
    x = edge * phi**6  # the density is unbounded at 0

    def equation(z):
        """v⁵(v+½) - z(v-½) with v = u + ½, which keeps its digits near v = 0."""
        return [1, 0.5, 0, 0, 0, -z, z / 2]

    at = followed(lambda z: np.roots(equation(z)), lambda z: 0.5 + 1 / (32 * z), x)
    u = np.array([polished(equation(v), w) for v, w in zip(x, at, strict=True)]) - 0.5
    assert np.allclose(law.density(x), -((1 + u) / x).imag / np.pi, rtol=BULK, atol=0)
    assert_support(law, [(0.0, edge)], [(0.0, 0.5)])
    assert mass_of_curve(law) == pytest.approx(1, abs=MASS)
    assert exponents(law) == pytest.approx([-0.8, 0.5], abs=2e-3)


class TestSemicircleOfVariance03AndTwoHundredAtoms:
    """z = w + σ²G(w), the subordination of Biane (1997): everything follows from w in the upper half-plane."""

    variance = 0.3
    rng = np.random.default_rng(11)
    atoms = np.concatenate([rng.normal(-3, 0.5, 100), rng.normal(2, 0.3, 60), rng.uniform(6, 7, 40)])
    law = free_sum(Semicircle(variance), Empirical(atoms))

    def slope(self, w):
        """dz/dw."""
        return 1 - self.variance * np.mean((w - self.atoms) ** -2.0)

    def image(self, w):
        return w + self.variance * np.mean(1 / (w - self.atoms))

    def exact_bands(self):
        """z at the zeros of dz/dw, which is concave between atoms."""
        a = np.sort(self.atoms)
        ends = [self.image(brentq(self.slope, a[0] - 9, a[0] - 1e-9, xtol=1e-14))]
        for left, right in pairwise(a):
            margin = 1e-7 * (right - left)
            left, right = left + margin, right - margin
            top = minimize_scalar(lambda w: -self.slope(w), bounds=(left, right), method="bounded").x
            if self.slope(top) > 0:
                ends += [self.image(brentq(self.slope, *side, xtol=1e-14)) for side in ((left, top), (top, right))]
        ends.append(self.image(brentq(self.slope, a[-1] + 1e-9, a[-1] + 9, xtol=1e-14)))
        return list(zip(ends[::2], ends[1::2], strict=True))

    def test_bands_and_mass(self):
        bands = self.exact_bands()
        assert len(bands) == 3
        assert_support(self.law, bands)
        assert mass_of_curve(self.law) == pytest.approx(1, abs=MASS)
        weights = [self.law.cdf(high - 1e-9) - self.law.cdf(low + 1e-9) for low, high in bands]
        assert weights == pytest.approx([0.5, 0.3, 0.2], abs=MASS)

    def test_density_on_the_axis(self):
        """w is the eigenvalue in the upper half-plane of a complex symmetric arrow matrix; there is at most one."""
        x = np.concatenate([inside(*band, 8) for band in self.exact_bands()])
        n = len(self.atoms)
        arrow = np.diag(np.concatenate([[0.0], self.atoms])).astype(complex)
        arrow[0, 1:] = arrow[1:, 0] = 1j * np.sqrt(self.variance / n)
        exact = []
        for point in x:
            arrow[0, 0] = point
            values = np.linalg.eigvals(arrow)
            w = values[np.argmax(values.imag)]
            for _ in range(4):
                w = w - (self.image(w) - point) / self.slope(w)
            exact.append(w.imag / (np.pi * self.variance))
        assert np.allclose(self.law.density(x), exact, rtol=BULK, atol=0)

    def test_a_point_has_the_same_density_alone_and_in_company(self):
        """A continuation that starts at another height must not end in another root of the same equation."""
        points = np.array([-4.2541, -4.253, 2.91, 7.17, 7.19, 7.232])
        assert np.allclose(self.law.density(points), [self.law.density(x) for x in points], rtol=BULK, atol=0)
        assert (self.law.density(points) > 0.01).all()

    def test_cauchy_transform_off_the_axis(self):
        """Pastur's fixed point G = Σ 1/(n(z - a - σ²G)), which contracts there."""
        z = np.linspace(-6, 9, 40) + 0.9j
        g = 1 / z
        for _ in range(300):
            g = np.mean(1 / (z[:, None] - self.atoms - self.variance * g[:, None]), axis=1)
        assert np.allclose(self.law.cauchy(z), g, rtol=1e-12, atol=0)


@pytest.mark.parametrize("s", [1.0001, 1.7, 2.5, 13.3])
def test_additive_powers_at_real_exponents(s):
    law = free_power(Semicircle(1.0), s)
    edge = 2 * s**0.5
    x = inside(-edge, edge)
    assert np.allclose(law.density(x), np.sqrt(4 * s - x**2) / (2 * np.pi * s), rtol=BULK, atol=0)
    assert_support(law, [(-edge, edge)])
    law, ratio = free_power(MarchenkoPastur(0.4), s), 0.4 / s
    low, high = s * (1 - ratio**0.5) ** 2, s * (1 + ratio**0.5) ** 2
    x = inside(low, high)
    exact = np.sqrt((high - x) * (x - low)) / (2 * np.pi * ratio * s * x)
    assert np.allclose(law.density(x), exact, rtol=BULK, atol=0)
    assert_support(law, [(low, high)])
    assert mass_of_curve(law) == pytest.approx(1, abs=MASS)


@pytest.mark.parametrize("s", [1.2, 1.9, 2.0, 2.5, 7.3])
def test_additive_powers_of_the_bernoulli_law_are_kesten_mckay(s):
    law = free_power(Atoms([-1.0, 1.0]), s)
    edge = 2 * np.sqrt(s - 1)
    x = inside(-edge, edge)
    assert np.allclose(law.density(x), s * np.sqrt(edge**2 - x**2) / (2 * np.pi * (s**2 - x**2)), rtol=BULK, atol=0)
    assert_support(law, [(-edge, edge)], [(-s, 1 - s / 2), (s, 1 - s / 2)] if s < 2 else [])


@pytest.mark.parametrize(("a", "t"), [(0.5, 0.5), (0.3, 0.6), (0.7, 0.8), (0.4, 0.2), (0.9, 0.3)])
def test_compressed_projections_are_jacobi_laws(a, t):
    """What exact law 4 leaves in the corner of trace t; the arcsine law on [0, 1] at ½, ½."""
    law = compress(Projection(a), t)
    centre, half = a + t - 2 * a * t, 2 * np.sqrt(a * t * (1 - a) * (1 - t))
    low, high = 0.0 if a == t else centre - half, 1.0 if abs(a + t - 1) < 1e-12 else centre + half
    x = inside(low, high)
    exact = np.sqrt((high - x) * (x - low)) / (2 * np.pi * t * x * (1 - x))
    assert np.allclose(law.density(x), exact, rtol=BULK, atol=0)
    atoms = [(0.0, 1 - a / t)] if a < t else []
    assert_support(law, [(low, high)], atoms + ([(1.0, (a + t - 1) / t)] if a + t > 1 + 1e-12 else []))
    if a == t == 0.5:
        assert np.allclose(law.density(x), 1 / (np.pi * np.sqrt(x * (1 - x))), rtol=BULK, atol=0)


@pytest.mark.parametrize("ratio", [0.3, 1.0, 1.6])
@pytest.mark.parametrize("t", [0.2, 0.5, 0.97])
def test_a_compressed_wishart_matrix_is_a_wishart_matrix(ratio, t):
    law = compress(MarchenkoPastur(ratio), t)
    c = ratio * t
    low, high = (1 - c**0.5) ** 2, (1 + c**0.5) ** 2
    x = inside(low, high)
    assert np.allclose(law.density(x), np.sqrt((high - x) * (x - low)) / (2 * np.pi * c * x), rtol=BULK, atol=0)
    assert_support(law, [(low, high)], [(0.0, 1 - 1 / c)] if c > 1 else [])
    assert mass_of_curve(law) == pytest.approx(1, abs=MASS)


def test_compression_of_a_scaled_shifted_law_scales_and_shifts():
    law = compress(shift(scale(MarchenkoPastur(0.5), 2.0), -1.0), 0.4)
    exact = MarchenkoPastur(0.2)
    x = inside(*exact.hull)
    assert np.allclose(law.density(2 * x - 1), exact.density(x) / 2, rtol=BULK, atol=0)


@pytest.mark.parametrize("x", [1e-10, 1e-20, 1e-60, 1e-200])
def test_hard_edges_keep_their_digits_however_close(x):
    """Leading orders at 0: sin(π/(s+1))·x^{-s/(s+1)}/π of Fuss–Catalan, x^{-½}/π of the arcsine law on [0, 1]."""
    square = free_product(Projection(0.5), Projection(0.5))
    assert square.density(x) == pytest.approx(x**-0.5 / (2 * np.pi), rel=10 * x**0.5 + 1e-13)
    assert square.cdf(x) == pytest.approx(0.5 + x**0.5 / np.pi, abs=1e-15 + x)
    corner = compress(Projection(0.5), 0.5)
    assert corner.density(x) == pytest.approx(x**-0.5 / np.pi, rel=10 * x**0.5 + 1e-13)
    for s in (2, 5, 10):
        law = free_product(*[MarchenkoPastur(1.0)] * s)
        leading = np.sin(np.pi / (s + 1)) / np.pi * x ** (-s / (s + 1))
        assert law.density(x) == pytest.approx(leading, rel=10 * x ** (1 / (s + 1)) + 1e-13)
