"""Bands of chains of smooth activations: one where the distribution function says so, with all the mass."""

from __future__ import annotations

import numpy as np
import pytest

from freeness import fisher_law, jacobian_law, mlp

CASES = {
    "tanh, Haar": lambda: jacobian_law(mlp(3, 300, "tanh", "haar", sigma_w=1.05, sigma_b=0.05), 0.1),
    "sine, Fisher": lambda: fisher_law(mlp(2, [300, 300, 600], "sin", sigma_w=0.952, sigma_b=0.607), 1.0),
    "erf, Fisher": lambda: fisher_law(mlp(3, [100, 200, 100, 200], "erf", "haar", sigma_w=1.003, sigma_b=0.623), 1.0),
    "near-isometric": lambda: jacobian_law(
        mlp(5, 700, "tanh", "haar", sigma_w=1.17757**0.5, sigma_b=0.00083**0.5), 0.085
    ),
}
SLOW = {
    "sigmoid, Gaussian": lambda: jacobian_law(mlp(4, [400, 600, 500, 300, 600], "sigmoid", sigma_w=1.099), 1.0),
}


@pytest.mark.parametrize("name", [*CASES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_chain_of_smooth_activations_has_one_band_with_all_its_mass(name):
    law = (CASES | SLOW)[name]()
    ((low, high),) = law.bands
    atoms = sum(mass for _, mass in law.atoms)
    assert law.cdf(high) - law.cdf(low) == pytest.approx(1 - atoms, abs=1e-9)
    assert low >= 0 and law.cdf(low + 1e-3 * (high - low)) > law.cdf(low)


def test_behind_a_hard_edge_the_distribution_function_is_a_root_of_the_distance_however_near():
    """Θ of Haar weights begins at its last ‖x‖²; there the slope of mish passes 0, and one unknown is rounding."""
    law = fisher_law(mlp(4, 240, "mish", "haar", sigma_w=1.107, sigma_b=0.483), 0.407)
    low, high = law.hull
    x = low + (high - low) * np.geomspace(3e-15, 1e-6, 12)
    reached = law.cdf(x, throw=False) / np.sqrt(x - low)
    assert np.nanmax(np.abs(reached / reached[-4] - 1)) < 5e-3


def test_behind_a_hard_edge_densities_fall_with_the_root_of_the_distance_however_near():
    """Some hundred units of the last place behind it the way down gets stuck farther above the axis than they are away."""
    law = fisher_law(mlp(4, 240, "mish", "haar", sigma_w=1.107, sigma_b=0.483), 0.407)
    low = law.hull[0]
    x = low + np.spacing(low) * np.array([136, 275, 556, 1e8])
    level = law.density(x) * np.sqrt(x - low)
    assert np.abs(level / level[-1] - 1).max() < 5e-3
