"""The further laws: all ways to know one agree, and special values of the literature hold."""

from dataclasses import replace
from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import erf, eval_legendre

from freeness.errors import ConvergenceError, InputError
from freeness.laws import Atoms, MarchenkoPastur, PointMass, Projection, Semicircle
from freeness.laws.arcsine import Arcsine
from freeness.laws.bernoulli import Bernoulli
from freeness.laws.cauchy_law import TransformLaw, as_cauchy_law
from freeness.laws.density import Bounded, Density, HardEdges, LeftEdge, RightEdge, SoftEdges, legendre_second_kind
from freeness.laws.fuss_catalan import FussCatalan
from freeness.laws.kesten_mckay import KestenMcKay
from freeness.laws.mirror import Mirror, mirrored
from freeness.laws.mixture import Mixture, symmetrized
from freeness.laws.uniform import Uniform
from freeness.laws.wachter import Wachter
from freeness.moves import compress, free_power, free_product, free_sum


def beta_density(x):
    return 6 * x * (1 - x)


def truncated_gaussian(x):
    return np.exp(-(x**2) / 2) / (np.sqrt(2 * np.pi) * erf(np.sqrt(2)))  # on [-2, 2]


def triangle(x):
    return 1 - np.abs(x)


SOFT_KINK = 2 * quad(lambda t: np.cos(t) ** 2 * np.exp(-np.sin(t)), 0, np.pi / 2, epsabs=1e-14)[0]
DENSITIES = {
    "density beta": Density(beta_density, 0.0, 1.0),
    "density gaussian": Density(truncated_gaussian, -2.0, 2.0),
    "density triangle": Density(triangle, -1.0, 1.0, kinks=(0.0,)),
    "density semicircle": Density(lambda x: np.sqrt((3 - x) * (1 + x)) / (2 * np.pi), -1.0, 3.0),
    "density hard": Density(lambda x: np.sqrt((4 - x) / x) / (2 * np.pi), 0.0, 4.0),
    "density mp": Density(lambda x: np.sqrt((2.25 - x) * (x - 0.25)) / (0.5 * np.pi * x), 0.25, 2.25),
    "density quarter circle": Density(lambda x: 4 / np.pi * np.sqrt(1 - x**2), 0.0, 1.0),
    "density left": Density(lambda x: 1.5 * np.sqrt(x), 0.0, 1.0),
    "density hard left": Density(lambda x: 0.5 / np.sqrt(x), 0.0, 1.0),
    "density soft kink": Density(lambda x: np.sqrt(1 - x**2) * np.exp(-np.abs(x)) / SOFT_KINK, -1.0, 1.0, kinks=[0.0]),
}
LAWS = {
    "arcsine": Arcsine(),
    "arcsine 0.3": Arcsine(0.3),
    "kesten-mckay 2": KestenMcKay(2.0),
    "kesten-mckay 3": KestenMcKay(3.0),
    "kesten-mckay 2.5": KestenMcKay(2.5),
    "kesten-mckay 40": KestenMcKay(40.0),
    "wachter": Wachter(2.0, 3.0),
    "wachter arcsine": Wachter(1.0, 1.0),
    "wachter 0": Wachter(0.6, 1.5),
    "wachter 1": Wachter(1.5, 0.6),
    "wachter 0 1": Wachter(0.7, 0.8),
    "uniform": Uniform(0.0, 3.0),
    "uniform far": Uniform(-5.0, -4.5),
    "fuss-catalan 1": FussCatalan(1),
    "fuss-catalan 3": FussCatalan(3),
    "fuss-catalan 0.4": FussCatalan(0.4),
    **DENSITIES,
    "mirror": Mirror(MarchenkoPastur(0.5)),
    "mixture": Mixture([Semicircle(1.0), MarchenkoPastur(3.0), Uniform(2.0, 3.0)], [0.5, 0.3, 0.2]),
    "symmetrized": symmetrized(MarchenkoPastur(0.5)),
    "mixture with atoms": Mixture([PointMass(1.0), Projection(0.5), Arcsine()], [0.2, 0.4, 0.4]),
}


@pytest.fixture(params=LAWS, scope="module")
def law(request):
    return LAWS[request.param]


def inner_points(law, count=41):
    """Points inside the bands, off atoms, off the ends of components."""
    low, high = law.hull
    x = low + (high - low) * (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5123) / count))
    return x[[all(abs(v - a.position) > 1e-6 for a in law.atoms) for v in x]]


def upper_points(law, seed=0):
    rng = np.random.default_rng(seed)
    low, high = law.hull
    width = high - low
    near = (low + high) / 2 + width * rng.uniform(-0.8, 0.8, 40) + 1j * width * 10 ** rng.uniform(-4, 0.5, 40)
    return np.concatenate([near, width * 10 ** rng.uniform(1, 4, 6) * np.exp(1j * rng.uniform(0.1, 3, 6))])


def continuous_breaks(law):
    """Where quadrature of the density is split."""
    ends = {v for part in getattr(law, "laws", (law,)) for v in (*part.hull, *(b for band in part.bands for b in band))}
    return sorted(ends | {p.low for p in getattr(law, "pieces", ())})


NODES, WEIGHTS = np.polynomial.legendre.leggauss(300)


def stretch(low, high, crowded=1):
    """Nodes and weights for ∫ dx by x = low + (high - low)·sin²(πτ^crowded/2): 1/√ at the ends becomes smooth."""
    tau = (NODES + 1) / 2
    angle = np.pi / 2 * tau**crowded
    slope = (high - low) * np.sin(2 * angle) * np.pi / 2 * crowded * tau ** (crowded - 1)
    return low + (high - low) * np.sin(angle) ** 2, WEIGHTS / 2 * slope


def integral(law, function, breaks=None):
    """∫ function·density by Gauss quadrature between breaks."""
    crowded = 8 if isinstance(law, FussCatalan) and breaks is None else 1  # x^{-s/(s+1)} at 0
    rules = [stretch(low, high, crowded) for low, high in pairwise(breaks or continuous_breaks(law))]
    return sum(w @ (function(x) * law.density(x)) for x, w in rules)


def test_density_is_the_limit_of_the_cauchy_transform_at_the_axis(law):
    x = inner_points(law)
    x = x[np.min(np.abs(x[:, None] - np.array(continuous_breaks(law))), axis=1) > 0.02 * (law.hull[1] - law.hull[0])]
    gaps = np.array(continuous_breaks(law))
    y = 0.004 * np.min(np.abs(x[:, None] - gaps), axis=1) * 2.0 ** -np.arange(5.0)[:, None]
    values = -law.cauchy(x + 1j * y).imag / np.pi  # analytic up to the axis away from ends: Richardson in y
    atoms = sum((mass / (x + 1j * y - p) for p, mass in law.atoms), start=np.zeros(y.shape, complex))
    values = values + atoms.imag / np.pi
    for k in range(1, 5):
        values = (2**k * values[1:] - values[:-1]) / (2**k - 1)
    density = law.density(x)
    assert np.abs(values[0] - density).max() <= 2e-10 * max(density.max(), 1.0)


def test_cdf_is_the_integral_of_the_density_and_atoms(law):
    assert integral(law, lambda x: 1.0) + sum(m for _, m in law.atoms) == pytest.approx(1, abs=1e-9)
    assert law.cdf(law.hull[0] - 1.0) == 0
    assert law.cdf(law.hull[1] + 1.0) == 1
    for left, right in pairwise(inner_points(law, 12)):
        inside = [b for b in continuous_breaks(law) if left < b < right]
        jump = sum(mass for p, mass in law.atoms if left < p <= right)
        area = integral(law, lambda x: 1.0, [left, *inside, right])
        assert law.cdf(right) - law.cdf(left) == pytest.approx(area + jump, abs=1e-10)


def test_moments_are_integrals_of_powers(law):
    scale = max(map(abs, law.hull))
    for k in range(1, 5):
        expected = integral(law, lambda x, k=k: x**k) + sum(mass * p**k for p, mass in law.atoms)
        assert law.moment(k) == pytest.approx(expected, abs=1e-9 * scale**k)
        assert law.moments(4)[k - 1] == pytest.approx(expected, abs=1e-9 * scale**k)
    assert law.moment(0) == pytest.approx(1, abs=1e-12)
    assert law.mean == pytest.approx(law.moment(1), abs=1e-12 * scale)
    assert law.variance == pytest.approx(law.moment(2) - law.mean**2, abs=1e-12 * scale**2)


def test_the_curve_passes_through_the_cauchy_transform(law):
    z = law.mean + np.array([1.0, 1j, -1.0 + 0.5j]) * 3 * (np.abs(law.hull).max() + 1.0)
    curve = law.curve
    parameters = curve.start(z.astype(complex))
    for _ in range(40):
        point = curve.evaluate(parameters, 2)
        parameters = parameters + ((z - point.z.value) / point.z.change[0])[None]
    point = curve.evaluate(parameters, 2)
    assert np.allclose(point.g.value, law.cauchy(z), rtol=1e-12)
    assert np.allclose(point.u.value, z * point.g.value - 1, rtol=1e-10, atol=1e-13)


def test_transforms_are_accurate_with_their_derivatives_everywhere(law):
    own = as_cauchy_law(law)
    z = upper_points(law)
    (g, dg), (u, du) = own.transforms(z)
    assert np.allclose(g, law.cauchy(z), rtol=1e-11)
    assert np.abs(u - (z * g - 1)).max() <= 1e-12 * (1 + np.abs(z * g)).max()
    step = 1e-3 * np.minimum(z.imag, np.abs(z))
    for slope, row in ((dg, 0), (du, 1)):
        f = [own.transforms(z + k * step)[row][0] for k in (-2, -1, 1, 2)]
        numeric = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step)
        assert np.abs(numeric - slope).max() <= 1e-7 * np.abs(slope).max()
        assert np.allclose(numeric, slope, rtol=1e-6, atol=1e-8 * np.abs(f[1] / step))
    far = z[-6:]
    u_far = law.mean / far + law.moment(2) / far**2 + law.moment(3) / far**3
    reach = (max(map(abs, law.hull)) / np.abs(far)) ** 4
    assert np.all(np.abs(u[-6:] - u_far) <= 2 * reach + 4e-16 * np.abs(law.mean / far) * 10 + 1e-15 / np.abs(far))


def test_transforms_of_lower_and_real_points_continue_those_of_the_upper_half_plane(law):
    own = as_cauchy_law(law)
    z = upper_points(law)
    assert np.allclose(law.cauchy(z.conj()), law.cauchy(z).conj(), rtol=1e-12)
    low, high = law.hull
    x = np.concatenate(
        [high + (high - low) * np.geomspace(1e-6, 1e6, 25), low - (high - low) * np.geomspace(1e-6, 1e6, 25)]
    )
    real, above = own.transforms(x), own.transforms(x + 0j)
    for (value, slope), (expected, tangent) in zip(real, above, strict=True):
        assert value.dtype == float
        assert np.allclose(value, expected.real, rtol=1e-9, atol=0)
        assert np.allclose(slope, tangent.real, rtol=1e-6, atol=0)


def test_the_potential_has_derivative_g_and_its_branch(law):
    own = as_cauchy_law(law)
    z = upper_points(law, 1)[:40]
    step = 1e-3 * z.imag
    f = [own.potential(z + k * step) for k in (-2, -1, 1, 2)]
    numeric = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step)
    assert np.allclose(numeric, law.cauchy(z), rtol=1e-9, atol=5e-15 / step.min() * 10)
    low, high = law.hull
    outside = law.boundary(np.array([low - 1.0, high + 1.0])).potential
    assert np.allclose(outside.imag, [np.pi, 0.0], atol=1e-13)
    x = inner_points(law)
    boundary = law.boundary(x)
    assert boundary.converged.all()
    assert np.all(np.diff(boundary.potential.imag) <= 1e-12)
    assert np.allclose(own.potential(x + 1e-13j * (high - low)), boundary.potential, rtol=1e-6, atol=1e-6)
    far = 1e6 * max(1.0, high, -low) * np.exp(0.4j)
    assert own.potential(np.array([far]))[0] == pytest.approx(np.log(far) - law.mean / far, abs=1e-11)


def test_quantile_inverts_the_distribution_function(law):
    p = np.array([0.0, 0.003, 0.2, 0.5, 0.77, 0.99, 1.0])
    x = law.quantile(p)
    assert np.all(np.diff(x) >= 0)
    assert np.all(law.cdf(x) >= p - 1e-9)


# --- special values -------------------------------------------------------------------------------------------------


def test_symmetric_laws_say_so_and_are():
    for law in (Bernoulli(), Arcsine(), KestenMcKay(3.0), Uniform(-1.0, 1.0), LAWS["symmetrized"]):
        assert law.symmetric
        assert law.mean == 0
        assert np.all(np.abs(law.moments(5)[::2]) < 1e-14 * law.hull[1] ** np.array([1, 3, 5]))
    assert not Uniform(0.0, 1.0).symmetric
    assert not LAWS["mixture"].symmetric


def test_kesten_mckay_of_degree_two_is_arcsine():
    x = np.linspace(-1.99, 1.99, 101)
    assert np.allclose(KestenMcKay(2.0).density(x), Arcsine(2.0).density(x), rtol=1e-13)
    assert np.allclose(KestenMcKay(2.0).cdf(x), 0.5 + np.arcsin(x / 2) / np.pi, atol=1e-14)


@pytest.mark.parametrize("degree", [2.0, 2.7, 4.0, 11.0])
def test_kesten_mckay_density_and_free_power_of_bernoulli(degree):
    law = KestenMcKay(degree)
    x = np.linspace(*law.hull, 60)[1:-1]
    formula = degree * np.sqrt(4 * (degree - 1) - x**2) / (2 * np.pi * (degree**2 - x**2))
    assert np.allclose(law.density(x), formula, rtol=1e-12)
    power = free_power(Bernoulli(), degree)
    assert np.allclose(power.density(x), formula, rtol=1e-10)
    assert np.allclose(power.cdf(x), law.cdf(x), atol=1e-11)


def test_kesten_mckay_moments_count_closed_walks_on_the_tree():
    assert np.allclose(KestenMcKay(3.0).moments(8), [0, 3, 0, 15, 0, 87, 0, 543], rtol=1e-12, atol=1e-10)


def test_bernoulli_plus_bernoulli_is_arcsine():
    total = free_sum(Bernoulli(), Bernoulli())
    x = np.linspace(-1.95, 1.95, 40)
    assert np.allclose(total.density(x), Arcsine(2.0).density(x), rtol=1e-10)


@pytest.mark.parametrize("ratios", [(2.0, 3.0), (0.7, 1.6), (1.4, 0.5), (0.7, 0.8), (1.0, 2.0)])
def test_wachter_density_and_compressed_projection(ratios):
    law, s = Wachter(*ratios), sum(ratios)
    low, high = law.ends
    x = np.linspace(low, high, 60)[1:-1]
    formula = s * np.sqrt((high - x) * (x - low)) / (2 * np.pi * x * (1 - x))
    assert np.allclose(law.density(x), formula, rtol=1e-11)
    other = compress(Projection(ratios[0] / s), 1 / s)
    assert np.allclose(other.density(x), formula, rtol=1e-9)
    assert np.allclose([a.mass for a in other.atoms], [a.mass for a in law.atoms], atol=1e-14)
    assert other.variance == pytest.approx(law.variance, rel=1e-13)


@pytest.mark.parametrize("ratios", [(2.0, 3.0), (0.6, 1.5), (0.75, 0.75)])
def test_wachter_against_sampled_manova_matrices(ratios):
    rng, p = np.random.default_rng(3), 400
    x, y = (rng.standard_normal((p, round(ratio * p))) for ratio in ratios)
    a, b = x @ x.T, y @ y.T
    root = np.linalg.cholesky(a + b)
    values = np.linalg.svd(np.linalg.solve(root, x), compute_uv=False) ** 2
    values = np.sort(np.concatenate([values, np.zeros(p - values.size)]))
    law = Wachter(*ratios)
    grid = np.linspace(0.013, 0.987, 80)
    observed = np.searchsorted(values, grid, side="right") / p
    assert np.abs(law.cdf(grid) - observed).max() < 5 / p
    assert (values < 1e-10).mean() == pytest.approx(max(0, 1 - ratios[0]), abs=1e-12)
    assert (values > 1 - 1e-10).mean() == pytest.approx(max(0, 1 - ratios[1]), abs=1e-12)


def test_wachter_of_ones_is_arcsine_on_the_unit_interval():
    x = np.linspace(0.01, 0.99, 33)
    assert np.allclose(Wachter(1.0, 1.0).density(x), 1 / (np.pi * np.sqrt(x * (1 - x))), rtol=1e-12)


@pytest.mark.parametrize("order", [*range(1, 11), 50])
def test_fuss_catalan_density_and_cdf_against_the_parametrisation(order):
    s = order
    phi = np.pi / (s + 1) * np.concatenate([np.linspace(0.02, 0.95, 60), 1 - np.geomspace(1e-4, 0.05, 30)])
    # written with logs: the factors themselves under- and overflow at s = 50
    sines = [np.sin(phi), np.sin(s * phi), np.sin((s + 1) * phi)]
    log_x = (s + 1) * np.log(sines[2]) - np.log(sines[0]) - s * np.log(sines[1])
    log_density = 2 * np.log(sines[0]) + (s - 1) * np.log(sines[1]) - s * np.log(sines[2]) - np.log(np.pi)
    x, law = np.exp(log_x), FussCatalan(s)
    assert x.min() < (1e-100 if s == 50 else 1e-4)
    # log x carries (s+1) roundings of a sine and its own; the density falls like x^{-s/(s+1)}
    away = np.minimum(1, law.hull[1] / x - 1)
    assert np.all(np.abs(np.log(law.density(x)) - log_density) <= 1e-12 * (1 + np.abs(log_x) / 10) / away)
    assert law.moments(6) == pytest.approx([_fuss_catalan_number(s, k) for k in range(1, 7)], rel=1e-14)


def _fuss_catalan_number(s, k):
    return comb((s + 1) * k, k) / (s * k + 1)


@pytest.mark.parametrize("order", [1, 2, 50])
def test_fuss_catalan_cdf_is_the_integral_in_log_x_and_quantile_inverts_it(order):
    law = FussCatalan(order)
    x = np.geomspace(1e-250, law.hull[1] * 0.999, 7)
    for left, right in pairwise(x):
        log_x, weights = stretch(np.log(left), np.log(right))
        area = weights @ (law.density(np.exp(log_x)) * np.exp(log_x))
        assert law.cdf(right) - law.cdf(left) == pytest.approx(area, abs=1e-10)
    p = np.array([1e-3, 0.1, 0.5, 0.9, 0.999])
    assert np.allclose(law.cdf(law.quantile(p)), p, rtol=1e-12)
    assert law.quantile([0.0, 1.0]).tolist() == [0.0, law.hull[1]]


@pytest.mark.parametrize("order", [3, 10])
def test_quantiles_at_a_hard_edge_keep_their_relative_digits(order):
    """Six hundredths of MP(1)^{⊠10} lie below 1e-13 of its upper end."""
    levels = np.array([0.0, 1e-6, 1e-3, 0.01, 0.05, 0.3, 0.9, 1.0])
    found = free_power(MarchenkoPastur(1.0), order, "product").quantile(levels)
    assert np.allclose(found, FussCatalan(order).quantile(levels), rtol=1e-8, atol=0)


def test_fuss_catalan_of_order_one_is_marchenko_pastur_and_two_a_free_product():
    x = np.linspace(0.01, 3.99, 40)
    assert np.allclose(FussCatalan(1).density(x), MarchenkoPastur(1.0).density(x), rtol=1e-13)
    assert np.allclose(FussCatalan(1).cdf(x), MarchenkoPastur(1.0).cdf(x), atol=1e-14)
    product = free_product(MarchenkoPastur(1.0), MarchenkoPastur(1.0))
    assert np.allclose(FussCatalan(2).density(x), product.density(x), rtol=1e-11)
    assert np.allclose(free_product(FussCatalan(1.5), FussCatalan(0.5)).density(x), product.density(x), rtol=1e-11)


def test_fuss_catalan_cauchy_transform_of_order_fifty_solves_its_equation():
    law = FussCatalan(50)
    z = np.array([1e-3 + 1e-3j, 1 + 1j, 100 + 5j, -3 + 0.1j])
    base = z * law.cauchy(z)
    assert np.allclose(base**51, z * (base - 1), rtol=1e-11)
    assert np.all(law.cauchy(z).imag < 0)


@pytest.mark.parametrize(
    ("name", "kind", "exact"),
    [
        ("density semicircle", SoftEdges, lambda z: 2 / ((z - 1) + np.sqrt(z - 3) * np.sqrt(z + 1))),
        ("density hard", HardEdges, MarchenkoPastur(1.0).cauchy),
        ("density mp", SoftEdges, MarchenkoPastur(0.25).cauchy),
        (
            "density beta",
            Bounded,
            lambda z: 6 * z * (1 - z) * (np.log(z) - np.log(z - 1)) + 6 * z - 3,
        ),
    ],
)
def test_densities_choose_their_basis_and_have_the_exact_transform(name, kind, exact):
    law = DENSITIES[name]
    assert [type(piece) for piece in law.pieces] == [kind]
    z = law.mean + np.array([0.1, -0.3, 0.2j, 1.0]) * 0.4 + np.array([0, 1e-12, 1e-3, 0.3])[:, None] * 1j
    z = np.where(z.imag == 0, z.real + 0j, z)
    assert np.allclose(law.cauchy(z), exact(z), rtol=2e-12)


@pytest.mark.parametrize("name", ["density quarter circle", "density left", "density hard left"])
def test_ends_of_two_types_have_their_own_basis(name):
    law = DENSITIES[name]
    assert [type(piece) for piece in law.pieces] == [RightEdge if "circle" in name else LeftEdge]
    nodes, weights = np.polynomial.legendre.leggauss(400)
    s, weights = (nodes + 1) / 2, weights / 2  # x = e ± s² w makes the integrand smooth
    low, high = law.hull
    x = high - (high - low) * s**2 if "circle" in name else low + (high - low) * s**2
    z = np.array([0.5 + 0.1j, 1.1 + 0j, -0.2 + 0.001j, 3j])
    expected = (1 / (z[:, None] - x)) @ (weights * 2 * s * (high - low) * law.density(x))
    assert np.allclose(law.cauchy(z), expected, rtol=1e-12)


def test_legendre_functions_of_the_second_kind_against_quadrature():
    zeta = np.array([1.2, -1.5, 3.0 + 0j, 0.3 + 0.2j, -0.9 + 0.3j, 50j])
    for points in (zeta, zeta[:2].real):
        found = legendre_second_kind(points, 9)
        for k, column in enumerate(found):
            expected = [
                quad(lambda x, k=k, z=z: eval_legendre(k, x) / (z - x) / 2, -1, 1, complex_func=True, epsabs=1e-15)[0]
                for z in points
            ]
            assert np.abs(column - expected).max() < 1e-14
    assert abs(legendre_second_kind(np.array([50j]), 9)[8, 0]) == pytest.approx(50.0**-9 / 109395 * 128, rel=2e-3)


def test_legendre_functions_far_away_cost_as_few_steps_whatever_limit_is_given():
    """From the limit alone, so near 1, the backward recurrence would begin 10¹³ orders up."""
    points = np.array([3.0 + 0.5j, -2.0, 1e4j])
    assert legendre_second_kind(points, 20, 1 + 1e-12) == pytest.approx(
        legendre_second_kind(points, 20, 1.5), rel=1e-13
    )


def test_long_legendre_series_keep_their_digits_at_every_distance():
    wavy = Density(lambda x: (1 + np.sin(150 * x) / 2) / 2, -1.0, 1.0)
    nodes, weights = np.polynomial.legendre.leggauss(2000)
    density = (1 + np.sin(150 * nodes) / 2) / 2
    z = np.array([0.3, 1.001, -0.99, 2.0])[:, None] + 1j * np.array([0.02, 0.05, 0.2, 1.0, 30.0])
    expected = np.einsum("k,ijk->ij", weights * density, 1 / (z[..., None] - nodes))
    assert np.allclose(wavy.cauchy(z), expected, rtol=1e-12)


def test_mixtures_are_weighted_sums_and_merge_atoms():
    law = LAWS["mixture with atoms"]
    assert [round(a.mass, 15) for a in law.atoms] == [0.2, 0.4]
    assert law.cdf(0.0) == pytest.approx(0.4 * 0.5 + 0.4 * 0.5, abs=1e-12)
    assert law.bands == ((-2.0, 2.0),)
    x = np.array([0.5, 0.9])
    assert np.allclose(law.density(x), 0.4 * Arcsine().density(x), rtol=1e-13)


def test_mixture_of_atoms_convolves_as_the_atoms_do():
    parts = Mixture([Projection(0.5), PointMass(1.0)], [0.5, 0.5])
    x = np.linspace(0.1, 2.5, 31)
    assert np.allclose(
        free_product(parts, MarchenkoPastur(0.5)).density(x),
        free_product(Projection(0.75), MarchenkoPastur(0.5)).density(x),
        rtol=1e-10,
    )


@pytest.mark.parametrize("name", ["uniform", "density triangle", "mixture", "symmetrized", "arcsine", "mirror"])
def test_sums_with_a_semicircle_keep_mass_and_solve_the_subordination_equation(name):
    law = LAWS[name]
    total = free_sum(law, Semicircle(0.25))
    x = np.linspace(*total.hull, 401)
    assert np.all(np.diff(total.cdf(x)) >= -1e-10)
    inner = total.quantile(np.linspace(0.05, 0.95, 13))
    g = total.boundary(inner).g
    assert np.allclose(law.cauchy(inner - 0.25 * g), g, rtol=1e-9)  # G(z) = G_X(z - σ²G(z))


def test_products_with_new_laws_keep_mass():
    for law in (FussCatalan(2), Wachter(2.0, 0.6), Uniform(0.0, 1.0), DENSITIES["density beta"]):
        product = free_product(law, MarchenkoPastur(0.5))
        assert product.mean == pytest.approx(law.mean, rel=1e-12)
        zero = sum(mass for x, mass in product.atoms if x == 0)
        width = product.hull[1]
        assert product.cdf(width * 0.999999) == pytest.approx(1, abs=1e-5)
        assert product.cdf(width * 1e-7) >= zero - 1e-9


def test_mirrors_undo_themselves():
    law = MarchenkoPastur(0.5)
    assert mirrored(mirrored(law)) is law
    assert mirrored(Arcsine()) == Arcsine()
    assert mirrored(Atoms([1.0, 2.0])).hull == (-2.0, -1.0)
    x = np.linspace(-2.9, -0.1, 20)
    assert np.allclose(Mirror(law).density(x), law.density(-x), rtol=1e-13)
    assert np.allclose(Mirror(law).cdf(x), 1 - law.cdf(-x), atol=1e-13)


# --- properties over parameters -------------------------------------------------------------------------------------

ratios = st.floats(0.05, 20.0)


@settings(max_examples=40)
@given(first=ratios, second=ratios)
def test_wachter_is_mirrored_by_exchanging_its_ratios(first, second):
    if first + second <= 1.01:
        return
    law, other = Wachter(first, second), Wachter(second, first)
    low, high = law.ends
    x = low + (high - low) * np.linspace(0.05, 0.95, 9)
    assert np.allclose(law.density(x), other.density(1 - x), rtol=1e-9)
    assert np.allclose(law.cdf(x), 1 - other.cdf(1 - x), atol=1e-11)


@settings(max_examples=20)
@given(order=st.floats(0.1, 60.0), p=st.floats(0.001, 0.999))
def test_fuss_catalan_density_is_the_slope_of_its_cdf_in_log_x(order, p):
    law = FussCatalan(order)
    t, h = np.log(law.quantile(p)), 1e-3 * (1 - p)
    f = [float(law.cdf(np.exp(t + k * h))) for k in (-2, -1, 1, 2)]
    numeric = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * h)
    assert float(law.density(np.exp(t))) * np.exp(t) == pytest.approx(numeric, rel=1e-5, abs=1e-11 / h)


@settings(max_examples=30)
@given(low=st.floats(-50, 50), width=st.floats(0.01, 100))
def test_uniform_transform_is_the_logarithm(low, width):
    law = Uniform(low, low + width)
    z = law.mean + width * np.array([0.1 + 0.1j, 0.7 + 1e-3j, -0.4 + 1j])
    expected = (np.log(z - law.low) - np.log(z - law.high)) / (law.high - law.low)
    assert np.allclose(law.cauchy(z), expected, rtol=1e-11)


@settings(max_examples=25)
@given(
    a=st.floats(-0.9, 0.9),
    b=st.floats(-0.4, 0.4),
    frequency=st.floats(0.5, 30.0),
    shift=st.floats(-5, 5),
    width=st.floats(0.1, 10),
)
def test_any_smooth_density_has_mass_one_and_its_own_density(a, b, frequency, shift, width):
    def raw(x):
        t = (x - shift) / width
        return 1 + a * t * (1 - abs(b)) * 0.5 + 0.5 * b * np.sin(frequency * t)

    nodes, weights = np.polynomial.legendre.leggauss(200)
    total = width * (weights @ raw(shift + width * nodes))
    law = Density(lambda x: raw(x) / total, shift - width, shift + width)
    x = shift + width * np.linspace(-0.99, 0.99, 23)
    assert np.allclose(law.density(x), raw(x) / total, rtol=1e-10)
    assert np.allclose(-law.boundary(x).g.imag / np.pi, law.density(x), rtol=1e-10)
    assert law.moment(1) == pytest.approx(law.mean, abs=1e-11 * (abs(shift) + width))


# --- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Bernoulli(0.0),
        lambda: Bernoulli(np.nan),
        lambda: Arcsine(-1.0),
        lambda: KestenMcKay(1.5),
        lambda: Wachter(0.4, 0.6),
        lambda: Wachter(-1.0, 3.0),
        lambda: Uniform(1.0, 1.0),
        lambda: Uniform(0.0, np.inf),
        lambda: FussCatalan(0),
        lambda: FussCatalan(2).quantile(1.2),
        lambda: Mixture([], []),
        lambda: Mixture([Arcsine()], [0.5]),
        lambda: Mixture([Arcsine(), Uniform()], [1.5, -0.5]),
        lambda: Mixture([1.0], [1.0]),
        lambda: Density(lambda x: 2 * beta_density(x), 0.0, 1.0),
        lambda: Density(lambda x: beta_density(x) * (1 + 1e-7), 0.0, 1.0),
        lambda: Density(lambda x: np.where(x > 0.5, np.nan, 1.0), 0.0, 1.0),
        lambda: Density(lambda x: 1 + 3 * (x - 0.5), 0.0, 1.0),
        lambda: Density(lambda x: 1.0, 0.0, 1.0),
        lambda: Density(beta_density, 1.0, 0.0),
        lambda: Density(beta_density, 0.0, np.inf),
        lambda: Density(beta_density, 0.0, 1.0, kinks=[2.0]),
    ],
)
def test_bad_input_is_refused_in_one_sentence(make):
    with pytest.raises(InputError, match=r"^expected .* got ") as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_kink_without_its_place_is_refused_with_the_remedy():
    with pytest.raises(ConvergenceError, match="pass its kinks"):
        Density(triangle, -1.0, 1.0)


def test_a_mixture_of_solved_laws_has_its_density_and_is_an_operand():
    """Free cumulants add; those of the mixture are of its moments, which are sums."""
    solved = free_product(MarchenkoPastur(0.5), MarchenkoPastur(0.5))
    law = Mixture([solved, Arcsine()], [0.5, 0.5])
    assert law.density(1.0) == pytest.approx(0.5 * solved.density(1.0) + 0.5 * Arcsine().density(1.0), rel=1e-14)
    found = free_sum(law, Semicircle(0.3)).free_cumulants(4)
    assert found == pytest.approx(law.free_cumulants(4) + np.array([0.0, 0.3, 0.0, 0.0]), rel=1e-9, abs=1e-9)


def test_every_law_known_by_transforms_is_final():
    for kind in (Arcsine, KestenMcKay, Uniform, Density, Mixture, Mirror):
        assert issubclass(kind, TransformLaw)
        assert not kind.__subclasses__()


@pytest.mark.parametrize("position", [0.0, 2.0])
def test_there_is_no_density_in_the_gap_around_an_atom_however_close(position):
    """G is w/(x - position) there, and its rounding has an imaginary part: 1e32 at 1e-14 from the first of these."""
    law = free_product(Projection(0.5), Uniform(1, 2)) if position == 0 else free_sum(Projection(0.7), Projection(0.8))
    assert position in dict(law.atoms)
    near = np.array([1e-20, 1e-16, 1e-14, 1e-13, 1e-12, 1e-9])
    assert not law.density(position + np.concatenate([near, -near])).any()


def test_no_point_beside_a_narrow_band_is_lost():
    """Bands of 6e-5 around 100 atoms under a small semicircle; Biane's boundary has v∫|w - x|⁻² dμ = 1, for a density."""
    atoms, variance = np.sort(np.random.default_rng(100).normal(size=100)), 1e-7
    law = free_sum(Atoms(atoms), Semicircle(variance))
    x = np.array([-1.9756425, -1.7041125, -1.3379475, -1.19775, -1.1923725, -0.68889, 0.4746975, 1.1042925])
    density = law.density(x)  # raises where a point is lost
    w = x - variance * law.boundary(x).g
    assert np.allclose(law.boundary(x).g, np.mean(1 / (w[:, None] - atoms), axis=1), rtol=1e-9)
    assert (variance * np.mean(np.abs(w[:, None] - atoms) ** -2.0, axis=1) <= 1 + 1e-9).all()
    assert (density >= 0).all()


@pytest.mark.parametrize(("lost", "asked"), [(1e-12, 5), (1e-5, 9)])
def test_a_lost_point_is_told_by_the_nearest_known_ones_around_it(lost, asked, monkeypatch):
    exact, count = KestenMcKay(3).cdf([0.5]), _losing(lost, monkeypatch)
    value = KestenMcKay(3).cdf([0.5], throw=False)
    assert value == pytest.approx(exact, abs=1e-12) if asked == 5 else np.isnan(value)
    assert sum(count) == asked


def test_of_a_crowd_of_lost_points_one_says_that_nothing_around_is_known(monkeypatch):
    law, x = KestenMcKay(3), 0.5 + 1e-8 * np.arange(-50, 51)
    exact, count = law.cdf(x), _losing(1e-5, monkeypatch)
    assert np.isnan(law.cdf(x, throw=False)).all() and sum(count) == 101 + 4
    _losing(1e-12, monkeypatch)
    assert law.cdf(x) == pytest.approx(exact, abs=1e-12)


def _losing(near, monkeypatch):
    """Loses points so near to ½ for this law; how many are asked for is appended to what is returned."""
    count, known = [], TransformLaw.boundary

    def boundary(law, x):
        count.append(x.size)
        return replace(known(law, x), converged=np.abs(x - 0.5) > near)

    monkeypatch.setattr(KestenMcKay, "boundary", boundary)
    return count
