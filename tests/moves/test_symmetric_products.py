"""Products with a symmetric factor: at their centre, and in sums with laws that are not symmetric."""

import numpy as np
import pytest

from freeness import (
    Arcsine,
    Bernoulli,
    ConvergenceError,
    FussCatalan,
    MarchenkoPastur,
    Mixture,
    Projection,
    Semicircle,
    Uniform,
    free_product,
    free_sum,
    shift,
)
from tests.orthogonal import rotated

REGULAR = {
    "semicircle": free_product(MarchenkoPastur(0.3), Semicircle(1.0)),
    "arcsine": free_product(MarchenkoPastur(0.5), Arcsine(1.0)),
    "atom": free_product(Projection(0.3), Semicircle(1.0)),
}


@pytest.mark.parametrize("name", REGULAR)
def test_the_density_at_the_centre_is_the_slope_of_the_distribution_function(name):
    law = REGULAR[name]
    step = 1e-3
    slope = (law.cdf(2 * step) - law.cdf(step)) / step
    assert law.density(0.0) == pytest.approx(slope, rel=1e-4)
    mass = sum(mass for x, mass in law.atoms if x == 0)
    assert law.cdf(0.0) == pytest.approx(0.5 + mass / 2, abs=1e-9)
    low, middle, high = law.quantile([0.1, 0.5, 0.9])
    assert middle == 0.0 and low == pytest.approx(-high, rel=1e-14)
    assert law.cdf(high) == pytest.approx(0.9, abs=1e-13)


def test_a_gap_around_the_centre_is_dark_and_a_pole_there_has_no_density():
    gap = free_product(MarchenkoPastur(0.3), Bernoulli())
    assert gap.density(0.0) == 0.0 and gap.cdf(0.0) == 0.5
    pole = free_product(MarchenkoPastur(1.0), Semicircle(1.0))
    assert pole.cdf(0.0) == 0.5 and pole.quantile(0.5) == 0.0
    with pytest.raises(ConvergenceError, match="expected all 1 points"):
        pole.density(0.0)


@pytest.mark.slow
def test_a_shifted_product_has_its_mirrored_half():
    """P X P + 1 for a semicircular X: the law below 1 is that above it, reflected."""
    law = shift(REGULAR["atom"], 1.0)
    x = np.array([0.1, 0.4, 0.8])
    np.testing.assert_allclose(law.cdf(1 + x), 1 - law.cdf(1 - x), rtol=0, atol=1e-12)
    total = free_sum(law, Projection(0.5))
    size, levels = 300, (np.arange(300) + 0.5) / 300
    rng = np.random.default_rng(0)
    eigenvalues = np.linalg.eigvalsh(np.diag(law.quantile(levels)) + rotated(Projection(0.5).quantile(levels), rng))
    points = np.array([0.3, 1.2, 1.4, 1.8, 2.3])
    np.testing.assert_allclose(total.cdf(points), [(eigenvalues <= x).mean() for x in points], rtol=0, atol=6 / size)


@pytest.mark.slow
def test_a_mixture_with_a_fuss_catalan_law_is_combined_as_with_the_same_law_in_closed_form():
    found, exact = (
        free_sum(Arcsine(1.745), Mixture([law, Uniform(0.614, 2.152)], [0.5, 0.5]))
        for law in (FussCatalan(1.0), MarchenkoPastur(1.0))
    )
    np.testing.assert_allclose(found.hull, exact.hull, rtol=1e-10)
    np.testing.assert_allclose(found.cdf([-1.0, 1.0]), exact.cdf([-1.0, 1.0]), rtol=0, atol=1e-12)
