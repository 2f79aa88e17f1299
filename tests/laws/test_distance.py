import numpy as np
import pytest

from freeness.errors import InputError
from freeness.laws import Atoms, MarchenkoPastur, PointMass, Projection, Semicircle
from freeness.laws.bernoulli import Bernoulli
from freeness.laws.distance import kolmogorov, wasserstein
from freeness.laws.uniform import Uniform
from freeness.moves import AffineLaw, free_product, free_sum, shift

E = 8 / (3 * np.pi)  # E|x| of the semicircle of variance 1

# first, second, Kolmogorov, Wasserstein
CLOSED = [
    (PointMass(1.0), PointMass(3.0), 1.0, 2.0),
    (Projection(0.5), Projection(0.75), 0.25, 0.25),
    (Bernoulli(), PointMass(0.0), 0.5, 1.0),
    (Uniform(0, 1), Uniform(0, 2), 0.5, 0.5),
    (Uniform(0, 1), Uniform(0.25, 1.25), 0.25, 0.25),
    (Uniform(0, 1), PointMass(0.25), 0.75, 0.3125),
    (Uniform(-1, 1), Atoms([-0.5, 0.5]), 0.25, 0.25),
    (Semicircle(1.0), PointMass(0.0), 0.5, E),
    (Semicircle(1.0), Semicircle(4.0), None, E),
    (MarchenkoPastur(0.5), shift(MarchenkoPastur(0.5), 0.5), None, 0.5),
    (free_sum(Semicircle(1.0), Semicircle(1.0)), Semicircle(2.0), 0.0, 0.0),
    (free_sum(Bernoulli(), Bernoulli()), AffineLaw(free_product(Projection(0.5), Projection(0.5)), 1.0), None, None),
]


@pytest.mark.parametrize(("first", "second", "sup", "mean"), CLOSED)
def test_distances_between_laws_are_those_in_closed_form(first, second, sup, mean):
    for a, b in ((first, second), (second, first)):
        if sup is not None:
            assert kolmogorov(a, b) == pytest.approx(sup, abs=1e-9)
        if mean is not None:
            assert wasserstein(a, b) == pytest.approx(mean, abs=1e-5)
        assert kolmogorov(a, a) < 1e-12 and wasserstein(a, a) < 1e-12
    assert kolmogorov(first, second) == pytest.approx(kolmogorov(second, first), abs=1e-10)


def test_the_supremum_between_smooth_laws_is_zoomed_in_on():
    a, b = Semicircle(1.0), Semicircle(4.0)
    x = np.linspace(-4, 4, 400_001)
    assert kolmogorov(a, b) == pytest.approx(np.abs(a.cdf(x) - b.cdf(x)).max(), abs=1e-9)


LAWS = [Semicircle(1.0), MarchenkoPastur(2.0), free_product(Projection(0.6), Projection(0.7)), Uniform(0, 1)]


@pytest.mark.parametrize("law", LAWS)
def test_data_at_the_quantiles_are_half_a_step_away(law):
    values = law.quantile((np.arange(100) + 0.5) / 100)
    assert kolmogorov(law, values) == pytest.approx(0.005, abs=1e-6)
    low, high = law.hull
    assert wasserstein(law, values) < 0.005 * (high - low)
    assert kolmogorov(law, values[::-1].reshape(10, 10).tolist()) == kolmogorov(law, values)


@pytest.mark.parametrize("law", LAWS)
def test_distances_to_data_are_those_of_a_fine_sum(law):
    values = np.random.default_rng(0).normal(0.5, 1.0, 37)
    x = np.union1d(np.linspace(-4, 6, 200_001), values)
    gap = law.cdf(x, throw=False) - np.searchsorted(np.sort(values), x, side="right") / values.size
    assert wasserstein(law, values) == pytest.approx(np.nansum(np.abs(gap)[:-1] * np.diff(x)), abs=2e-4)
    assert kolmogorov(law, values) == pytest.approx(np.nanmax(np.abs(gap)), abs=2e-4)


def test_rounding_at_an_atom_does_not_count():
    law = free_product(Projection(0.6), Projection(0.7))
    values = law.quantile((np.arange(100) + 0.5) / 100)
    noisy = values + 1e-13 * np.random.default_rng(0).normal(size=100)
    assert kolmogorov(law, noisy) == pytest.approx(kolmogorov(law, values), abs=1e-9)
    assert kolmogorov(Projection(0.5), [1e-14, 1.0]) == 0.0
    assert kolmogorov(Projection(0.5), [1e-3, 1.0]) == 0.5


@pytest.mark.parametrize("values", [[], [np.nan], [1.0, np.inf]])
def test_data_that_are_no_numbers_are_refused(values):
    for distance in (kolmogorov, wasserstein):
        with pytest.raises(InputError, match="finite values"):
            distance(Semicircle(), values)
