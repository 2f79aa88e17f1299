"""Powers of transforms have many sheets: every way to write one long product gives the same density, on every point of a grid."""

import numpy as np
import pytest

from freeness.laws import FussCatalan, MarchenkoPastur, Projection
from freeness.meanfield import derivative_law
from freeness.moves import free_power, free_product
from freeness.network import activation

FACTORS = {
    "projection": Projection(0.97),
    "smooth": derivative_law(activation("tanh"), 0.2),
    "wide": derivative_law(activation("silu"), 1.0),
}


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("order", [10, 30])
def test_all_ways_to_write_a_long_product_agree(name, order):
    """MP^{⊠n} ⊠ D^{⊠(n-1)}: factor by factor, by powers, by the Fuss–Catalan law as base and as factor; no sheet is mistaken."""
    factor, mp = FACTORS[name], MarchenkoPastur(1.0)
    several = [factor] * (order - 1)
    power = free_power(factor, order - 1, "product")
    single = free_product(*[mp] * order, *several)
    ways = [
        free_product(FussCatalan(order), *several),
        free_product(power, FussCatalan(order)),
        free_product(FussCatalan(order), power),
        free_product(free_power(mp, order, "product"), *several),
        free_product(free_power(mp, order, "product"), power),
    ]
    x = single.upper_end * np.concatenate([np.geomspace(1e-6, 1e-2, 60), np.linspace(0.01, 0.99, 400)])
    expected = single.density(x)
    assert (expected > 0).all()
    for law in ways:
        np.testing.assert_allclose(law.density(x), expected, rtol=1e-8)


def test_densities_of_long_products_are_derivatives_of_distribution_functions():
    """Against ∫ of the density, which a point on another sheet would break."""
    law = free_product(FussCatalan(12), free_power(FACTORS["projection"], 11, "product"))
    for low, high in ((0.01, 0.1), (0.1, 0.5), (0.5, 0.99)):
        nodes, weights = np.polynomial.legendre.leggauss(200)
        low, high = low * law.upper_end, high * law.upper_end
        x = (low + high) / 2 + (high - low) / 2 * nodes
        mass = (high - low) / 2 * weights @ law.density(x)
        assert mass == pytest.approx(float(law.cdf(high) - law.cdf(low)), rel=1e-8)
