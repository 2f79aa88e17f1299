"""Bands, gaps and cusps too narrow for a scan of the support, against critical points in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from freeness import (
    Atoms,
    MarchenkoPastur,
    Projection,
    Semicircle,
    Uniform,
    free_power,
    free_product,
    free_sum,
    inverse,
    shift,
)
from freeness.laws import support


@settings(max_examples=3)
@given(st.floats(-7, -2), st.sampled_from([-1, 1]))
def test_two_atoms_and_a_semicircle_part_in_a_gap_however_narrow(logarithm, sign):
    """z = w + v·w/(w² - 1) has dz/dw = 0 at (w² - 1)² = v(w² + 1); the inner two are real for v < 1."""
    below = sign * 10.0**logarithm
    v = 1 - below
    bands = free_sum(Atoms([-1.0, 1.0]), Semicircle(v)).bands
    root = np.sqrt((2 + v) ** 2 - 4 * below)
    outer, inner = (2 + v + root) / 2, 2 * below / (2 + v + root)

    def image(square):
        return np.sqrt(square) * abs(1 + v / (square - 1))

    assert bands[0][0] == pytest.approx(-image(outer), rel=1e-12)
    assert bands[-1][1] == pytest.approx(image(outer), rel=1e-12)
    assert len(bands) == (2 if sign > 0 else 1)
    if sign > 0:
        gap = np.sqrt(inner) * (below - inner) / (1 - inner)
        assert (-bands[0][1], bands[1][0]) == pytest.approx((gap, gap), rel=1e-5, abs=2e-11)


@pytest.mark.parametrize(("count", "variance"), [(3, 1e-10), (36, 1e-5), (100, 1e-4), (100, 1e-7)])
def test_every_atom_under_a_small_semicircle_has_its_band(count, variance):
    """Biane (1997): the ends are z(w) = w + vG(w) where v∫(w - x)⁻² dμ = 1, two beyond each cluster of atoms."""
    atoms = np.sort(np.random.default_rng(count).normal(size=count))

    def excess(w):
        return variance * np.mean((w - atoms) ** -2.0) - 1

    ends = []
    for left, right in zip([-10.0, *atoms], [*atoms, 10.0], strict=True):
        near = (right - left) / 2 * np.geomspace(1e-9, 1, 2000)
        w = np.concatenate([left + near, (right - near)[::-1]])
        values = np.array([excess(v) for v in w])
        for i in np.flatnonzero(values[1:] * values[:-1] < 0):
            root = brentq(excess, w[i], w[i + 1], xtol=1e-15)
            ends.append(root + variance * np.mean(1 / (root - atoms)))
    law = free_sum(Atoms(atoms), Semicircle(variance))
    assert len(law.bands) == len(ends) // 2
    assert np.array(law.bands).ravel() == pytest.approx(np.sort(ends), abs=1e-12)


@pytest.mark.parametrize("weight", [0.1, 1e-3, 1e-5])
def test_a_light_and_narrow_band_far_away_is_found(weight):
    """Width 4√(v·weight) at 30, mass ``weight``."""
    rest = (1 - weight) / 2
    law = free_sum(Atoms([-1.0, 1.0, 30.0], [rest, rest, weight]), Semicircle(1e-4))
    low, high = law.bands[-1]
    assert len(law.bands) == 3
    assert high - low == pytest.approx(4 * np.sqrt(1e-4 * weight), rel=1e-4)
    assert float(np.diff(law.cdf([low - 0.1, high + 0.1]))[0]) == pytest.approx(weight, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_bands_and_atoms_hold_all_the_mass(seed):
    """Distribution function between the bands: flat, and what the bands and atoms before hold."""
    rng = np.random.default_rng(seed)
    atoms = Atoms(rng.normal(size=12) + 4 * (seed % 2), rng.dirichlet(np.ones(12)))
    law = free_product(atoms, Projection(0.9)) if seed % 2 else free_sum(atoms, Projection(0.9))
    mass = sum(mass for _, mass in law.atoms)
    for low, high in law.bands:
        step = 1e-9 * (high - low)
        inside = [x for x, _ in law.atoms if low < x < high]
        assert not inside
        mass += float(np.diff(law.cdf([low + step, high - step]))[0])
    assert mass == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("trace", "power"), [(0.3, 1.1), (0.9, 1.5)])
def test_what_rounding_leaves_beside_an_atom_is_no_band(trace, power):
    """Belinschi, Bercovici (2005): the atom at the top keeps 1 - power·(1 - trace); the rest without 0 is one band below it."""
    law = free_power(Projection(trace, 1.416), power, "product")
    ((low, high),) = law.bands
    zero, top = (atom.mass for atom in law.atoms)
    assert (zero, top) == pytest.approx((1 - trace, 1 - power * (1 - trace)))
    assert law.bands_error <= 1e-9 and low == 0.0 and high < 1.416**power
    assert law.cdf(high) == pytest.approx(1 - top, abs=1e-12)


def test_behind_a_gap_as_narrow_as_ranks_are_apart_a_band_is_found():
    """Kernels of free projections add up (Voiculescu, Dykema, Nica 1992): the largest is an atom at 0, the others a band."""
    first, second, third = 3.4e-4, 3.5e-6, 3.4e-6
    law = free_product(*(Projection(1 - kernel) for kernel in (first, second, third)))
    ((low, high),) = law.bands
    assert 0 < low < first < high < 2 * first
    assert law.cdf(high) - law.cdf(low) == pytest.approx(second + third, abs=1e-9)


def test_a_band_that_begins_far_below_its_width_has_a_distribution_function_at_its_end():
    traces = [0.5 - 2.5e-6, 0.5 - 1e-9, 0.5 - 2e-15, *[0.5] * 15]
    law = free_product(*(Projection(trace) for trace in traces))
    ((low, _),) = law.bands
    assert low == pytest.approx(8.01622430150e-98, rel=2e-9)  # where dz/du = 0 in 60 digits
    beside = low * (1 + np.array([-1e-6, -1e-10, -3e-13, 0.0, 3e-13, 1e-10, 1e-6]))
    assert law.cdf(beside) == pytest.approx(0.5 + 2.5e-6, abs=1e-8)


def test_what_lies_before_an_end_that_is_known_to_rounding_is_an_error_of_bands():
    law = free_sum(MarchenkoPastur(0.5), Semicircle(0.1))
    assert law.bands_error == 1e-9
    ((low, high),) = law.bands
    moved = low + 1e-3
    assert support._with_mass(law, [(moved, high)]).error == pytest.approx(law.cdf(moved), rel=1e-12)


def test_bands_that_cannot_be_told_apart_are_one_with_an_error(monkeypatch):
    law = free_sum(Atoms(np.linspace(-1.0, 1.0, 30)), Semicircle(1e-6))
    monkeypatch.setattr(support, "_MOST", 10)
    assert law.bands == (law.continuous_hull,)
    assert law.bands_error == 1.0 and law.support == law.bands


def test_beside_a_band_of_a_product_no_point_is_crept_to_and_none_is_lost():
    """There z tells so little of the base parameter that only each second joint Newton step contracts.

    A gap that parts the atoms of the first factor has their masses below it.
    """
    atoms, close = Atoms([0.4, 1.0, 1.5, 1.9], [0.1, 0.5, 0.1, 0.3]), Atoms([1.0, 1.1], [0.6, 0.4])
    law = free_product(free_product(atoms, close), inverse(shift(Uniform(0.1, 0.95), 1.2)))
    found = law.boundary(np.array([0.2636668373297053]))
    assert found.converged
    assert 1 - found.potential.imag / np.pi == pytest.approx(0.1, abs=1e-9)
    assert abs(found.g.imag) < 1e-7
