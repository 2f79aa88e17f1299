"""Beside an atom of mass w at a, (z - a)G(z) tends to w; which masses sums have is from Bercovici and Voiculescu (1998)."""

from __future__ import annotations

import numpy as np
import pytest

import freeness as fr
from freeness.laws.beside_atoms import beside_atoms

SUM = fr.free_sum(fr.Projection(0.3), fr.Projection(0.4))
DISTANCES = np.array([1e-9, 1e-12, 1e-14, 1e-15, 1e-17, 1e-30, 1e-200])
LAWS = {  # with one atom each: law, position, mass
    "at 0 in a gap": (SUM, 0.0, 0.3),
    "elsewhere in a gap": (SUM, 1.0, 0.1),
    "behind a shift": (fr.shift(SUM, 3.0), 3.0, 0.3),
    "of an image": (fr.Square(fr.shift(SUM, 1.0)), 1.0, 0.3),
    "of an inverse": (fr.inverse(fr.shift(SUM, 0.7)), 1 / 0.7, 0.3),
    "inside a band": (
        fr.free_sum(fr.Projection(0.1), fr.Mixture([fr.Projection(0.1), fr.Semicircle(1.0)], [0.9, 0.1])),
        0.0,
        0.71,
    ),
}


@pytest.mark.parametrize("name", LAWS)
def test_g_beside_an_atom_is_its_pole(name):
    law, position, mass = LAWS[name]
    z = position + np.outer([1.0, -1.0, 1j, -1j, 0.6 - 0.8j], [1e-9, 1e-12, 1e-14] if position else DISTANCES)
    assert (z - position) * law.cauchy(z) == pytest.approx(np.full(z.shape, mass), rel=1e-7)


@pytest.mark.parametrize("name", LAWS)
def test_transforms_beside_an_atom_have_the_digits_of_its_pole(name):
    """zG - 1 as well, whose slope is -aw/(z - a)² there; at an atom at 0 it has no pole, and G's rest is its slope."""
    law, position, mass = LAWS[name]
    for distance in (1e-8, 1e-11):
        z = np.array([position + distance * (0.6 + 0.8j)])
        away = z - position
        (g, dg), (u, du) = law.transforms(z)
        assert away * g == pytest.approx(mass, rel=1e-7) and -(away**2) * dg == pytest.approx(mass, rel=1e-7)
        if position:
            assert away * u == pytest.approx(position * mass, rel=1e-6)
            assert -(away**2) * du == pytest.approx(position * mass, rel=1e-6)
        else:
            ((near, _), _) = law.transforms(1e-5 * away / distance)
            assert u == pytest.approx(mass - 1.0, abs=1e-7)
            assert du == pytest.approx(near - mass / (1e-5 * away / distance), rel=1e-3)


@pytest.mark.parametrize("name", LAWS)
def test_boundary_values_beside_an_atom_are_right_to_their_error(name):
    law, position, mass = LAWS[name]
    x = np.unique(position + np.outer(DISTANCES, [-1.0, 1.0]))
    found = law.boundary(x)
    assert not found.converged[x == position].any()
    kept = found.converged
    off = np.abs((x - position) * found.g - mass)[kept]
    assert kept.sum() >= 4 and np.all(off <= 1e-12 + 10 * np.abs(x - position)[kept] * found.error[kept])


def test_in_the_gap_around_an_atom_the_distribution_function_is_one_number_on_each_side():
    """Beyond the distance at which it was read as well; 1e-5 of the law is far enough."""
    narrow = fr.shift(fr.free_product(fr.Projection(0.98), fr.MarchenkoPastur(1.0)), 3.0)
    for law, place, gap in ((SUM, 1.0, 0.01), (narrow, 3.0, 6e-5)):
        mass = dict(law.atoms)[place]
        below, above = law.cdf(place + np.outer([-1.0, 1.0], np.geomspace(1e-12, gap, 8)))
        assert np.ptp(below) == np.ptp(above) == 0.0 and above[0] - below[0] == pytest.approx(mass, abs=1e-9)


def test_on_an_atom_there_is_no_g():
    with pytest.raises(fr.ConvergenceError):
        SUM.cauchy(0.0)


def test_a_rest_that_grows_towards_the_atom_is_as_uncertain_as_it_is_large():
    z = np.array([1e-9, 1e-13]).astype(complex)
    whole = lambda z: 0.5 / z + 0.5 / np.sqrt(z)  # noqa: E731
    g, error, told = beside_atoms([(0.0, 0.5)], 1.0, z, whole(z) * (1 + 1e-3), whole)
    assert told.tolist() == [False, True]
    assert np.all(np.abs(g - whole(z))[1:] <= error[1:]) and error[1] < 1e-4 * np.abs(g[1])


def test_of_two_near_atoms_the_worse_error_counts():
    """A point on one of them has no G, in whatever order they are told."""
    z, atoms = np.array([1e-12, 0.0, 1e-8 + 1e-13]).astype(complex), [(0.0, 0.5), (1e-8, 0.5)]
    errors = [beside_atoms(order, 1.0, z, np.full(3, 1e9 + 0j), lambda z: 1 / z)[1] for order in (atoms, atoms[::-1])]
    assert np.array_equal(*errors) and np.isinf(errors[0][1])


def test_a_potential_is_told_where_it_was_found():
    """∫ log|x - t| tends to -∞ as w log|x - a| does; what is lost raises, though G is known."""
    law = fr.free_product(fr.MarchenkoPastur(3.0), fr.Empirical([0.0, 1.0, 2.0]))
    (position, mass) = law.atoms[0]
    near, nearer = law.log_potential(position + np.array([1e-9, 1e-11]))
    assert near - nearer == pytest.approx(mass * np.log(100.0), rel=1e-4)
    for distance in (1e-13, 1e-15):
        try:
            found = law.log_potential(position + distance)
        except fr.ConvergenceError:
            continue
        assert found == pytest.approx(nearer + mass * np.log(distance / 1e-11), rel=1e-3)


def test_densities_that_are_rounding_of_a_pole_add_no_mass_beside_it(monkeypatch):
    """An atom inside a band; the nearer of two densities is wrong by far, and not said to be."""
    law, position, mass = LAWS["inside a band"]
    x = position + np.array([-1e-9, -1e-12, 1e-12, 1e-9])
    expected, own = law.cdf(x), type(law).density

    def rounded(self, x, *, throw=True):
        return np.where(np.abs(x - position) < 1e-7, 1e4, own(self, x, throw=throw))

    monkeypatch.setattr(type(law), "density", rounded)
    np.testing.assert_allclose(law.cdf(x), expected, rtol=0, atol=1e-7)
    assert law.cdf(x[2]) - law.cdf(x[1]) == pytest.approx(mass, abs=1e-7)
