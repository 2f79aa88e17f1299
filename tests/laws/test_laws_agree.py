"""Every law, all ways to know it: closed form = Cauchy inversion = moments = cdf = curve."""

import numpy as np
import pytest
from scipy.integrate import quad

from freeness import (
    Atoms,
    Density,
    Empirical,
    GaussianPushforward,
    Inverse,
    MarchenkoPastur,
    Mixture,
    PointMass,
    Projection,
    Semicircle,
    Square,
    Uniform,
    classical_product,
    classical_sum,
    free_poisson,
    truncated,
)
from freeness.moves import AffineLaw, free_product, resize, scale, shift

LAWS = {
    "point mass": PointMass(1.5),
    "projection": Projection(0.3, 2.0),
    "atoms": Atoms([0.5, 1.0, 3.0], [0.2, 0.5, 0.3]),
    "empirical": Empirical(np.random.default_rng(0).gamma(2.0, size=50)),
    "marchenko-pastur 1": MarchenkoPastur(1.0),
    "marchenko-pastur 0.3": MarchenkoPastur(0.3),
    "marchenko-pastur 3": MarchenkoPastur(3.0),
    "tanh'^2": GaussianPushforward(lambda h: np.cosh(h) ** -4, 0.5),
    "elu'^2": GaussianPushforward(lambda h: np.where(h > 0, 1.0, np.exp(2 * np.minimum(h, 0))), 1.0, (0.0,)),
    "affine": AffineLaw(MarchenkoPastur(0.5), 2.0, 0.3),
    "projections": free_product(Projection(0.6), Projection(0.7)),
    "mp * atoms": free_product(MarchenkoPastur(0.5), Atoms([0.5, 2.0])),
    "atoms * atoms": free_product(Atoms([0.5, 1.0, 2.0]), Atoms([1.0, 4.0])),
    "shifted chain": shift(scale(free_product(MarchenkoPastur(0.4), Projection(0.8)), 3.0), 0.5),
    "nested chain": free_product(
        shift(free_product(MarchenkoPastur(0.4), Projection(0.8)), 0.5), shift(MarchenkoPastur(1.0), 1.0)
    ),
    "resized": resize(free_product(MarchenkoPastur(0.5), Projection(0.5)), 1.5),
    "inverse mp": Inverse(MarchenkoPastur(0.5)),
    "inverse of two signs": Inverse(Mixture([shift(Semicircle(0.1), 2.0), shift(Semicircle(0.1), -1.0)], [0.7, 0.3])),
    "square of mp": Square(shift(MarchenkoPastur(0.5), -0.7)),
    "square of a density": Square(Density(lambda x: 0.75 * (1 - (x - 0.4) ** 2), -0.6, 1.4)),
    "truncated semicircle": truncated(Semicircle(1.0), -0.5, 1.5),
    "truncated chain": truncated(free_product(MarchenkoPastur(0.5), Projection(0.7)), -1.0, 1.5),
    "free poisson of jumps": free_poisson(1.7, Atoms([-1.0, 0.5, 2.0], [0.3, 0.5, 0.2])),
    "classical sum": classical_sum(Uniform(0.0, 1.0), Semicircle(0.5)),
    "classical product": classical_product(MarchenkoPastur(2.0), Uniform(-1.0, 2.0)),
    "tanh'^2 * mp": free_product(GaussianPushforward(lambda h: np.cosh(h) ** -4, 0.5), MarchenkoPastur(1.0)),
}


@pytest.fixture(params=LAWS, scope="module")
def law(request):
    return LAWS[request.param]


def continuous_mass(law):
    return 1 - sum(mass for _, mass in law.atoms)


def test_masses_of_atoms_and_the_rest_sum_to_one(law):
    low, high = law.hull
    margin = 1e-3 * max(high - low, 1.0)
    assert law.cdf(low - margin) == 0
    assert law.cdf(high + margin) == 1
    inside = law.cdf(np.linspace(low, high, 301))
    assert np.all(np.diff(inside) >= -1e-9)
    assert abs(inside[-1] - 1) < 1e-8


def test_the_distribution_function_jumps_by_the_mass_of_each_atom(law):
    width = max(law.hull[1] - law.hull[0], 1.0)
    for position, mass in law.atoms[:20]:
        left, right = law.cdf([position - 1e-7 * width, position + 1e-7 * width])
        assert abs(right - left - mass) < 1e-4  # a continuous part may go on beside the atom
        assert abs(law.cdf(position) - right) < 1e-4


def test_density_is_the_derivative_of_the_distribution_function(law):
    if continuous_mass(law) < 1e-9:
        assert not law.density(np.linspace(*law.hull, 7)[1:-1] + 1e-3).any()
        return
    x = law.quantile(np.linspace(0.05, 0.95, 19) * 0.999)
    x = np.array([v for v in x if all(abs(v - a.position) > 1e-2 for a in law.atoms)])
    step = 1e-5
    numeric = (law.cdf(x + step) - law.cdf(x - step)) / (2 * step)
    assert np.allclose(law.density(x), numeric, rtol=2e-5, atol=2e-5)


def test_moments_of_mass_and_density_are_mean_and_variance(law):
    assert abs(law.moment(0) - 1) < 1e-12
    assert law.moment(1) == pytest.approx(law.mean, rel=1e-10)
    assert law.moment(2) - law.mean**2 == pytest.approx(law.variance, rel=1e-8, abs=1e-10)


def test_the_cauchy_transform_is_the_integral_of_density_and_atoms(law):
    z = law.mean + 1j * (law.hull[1] - law.hull[0] + 0.5)
    p = (np.arange(1000) + 0.5) / 1000
    if len(law.atoms) > 20 or continuous_mass(law) < 1e-9:
        expected = sum(mass / (z - x) for x, mass in law.atoms)
        assert abs(law.cauchy(z) - expected) < 1e-12
        return
    expected = np.mean(1 / (z - law.quantile(p)))
    assert abs(law.cauchy(z) - expected) < 1e-3 * abs(expected)


def test_the_curve_passes_through_the_cauchy_transform(law):
    z = law.mean + np.array([1.0, 1j, -1.0 + 0.5j]) * 3 * (law.hull[1] + 1.0)
    curve = law.curve
    parameters = curve.start(z.astype(complex))
    for _ in range(40):
        point = curve.evaluate(parameters, 2)
        base = (z - point.z.value - point.z.change[1]) / point.z.change[0]
        parameters = parameters + np.stack([base, *(row[0] * base + row[1] for row in point.updates)])
    point = curve.evaluate(parameters, 2)
    assert np.allclose(point.g.value, law.cauchy(z), rtol=1e-11)
    assert np.allclose(point.u.value, z * point.g.value - 1, rtol=1e-9, atol=1e-12)


def test_quantile_inverts_the_distribution_function(law):
    p = np.array([0.0, 0.01, 0.2, 0.5, 0.77, 0.99, 1.0])
    x = law.quantile(p)
    assert np.all(np.diff(x) >= -1e-12)
    assert np.all(law.cdf(x) >= p - 1e-8)
    width = max(law.hull[1] - law.hull[0], 1e-3)
    below = law.cdf(x - 1e-5 * width)
    assert np.all(below <= p + 1e-3)


@pytest.mark.parametrize("ratio", [0.2, 1.0, 4.0])
def test_marchenko_pastur_against_its_density_formula(ratio):
    law = MarchenkoPastur(ratio)
    low, high = law.ends

    def density(x):
        return np.sqrt(max((high - x) * (x - low), 0)) / (2 * np.pi * ratio * x)

    x = np.linspace(low, high, 200)[1:-1]
    assert np.allclose(law.density(x), [density(v) for v in x], rtol=1e-12)
    middle = (low + high) / 2
    upper = quad(density, middle, high, epsabs=1e-13)[0]
    assert 1 - law.cdf(middle) == pytest.approx(upper, abs=1e-11)
