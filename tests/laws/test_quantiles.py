"""Distribution functions inverted at many levels: every level is met, and points start from those known before."""

import numpy as np
import pytest

from freeness import (
    Atoms,
    FussCatalan,
    MarchenkoPastur,
    Mixture,
    PointMass,
    Semicircle,
    Uniform,
    free_difference,
    free_product,
    free_sum,
    free_variables,
    scale,
    shift,
    symmetrized,
)
from freeness.laws import Neighbours, quantiles
from freeness.numerics import Solution

LEVELS = (np.arange(60) + 0.5) / 60
LAWS = {
    "gap": free_sum(Semicircle(0.01), Atoms([-1.0, 2.0], [0.3, 0.7])),
    "cusp": free_sum(Semicircle(1.0), Atoms([-1.0, 1.0])),
    "hard edge": free_product(*[MarchenkoPastur(1.0)] * 4),
    "atom at 0": free_product(MarchenkoPastur(2.0), MarchenkoPastur(0.5)),
    "atom in a band": Mixture([Uniform(0.0, 1.0), PointMass(0.4)], [0.9, 0.1]),
}


@pytest.mark.parametrize("name", LAWS)
def test_every_level_is_met_to_rounding_or_lies_in_an_atom(name):
    law = LAWS[name]
    x = law.quantile(LEVELS)
    value = law.cdf(x)
    before = value - np.array([sum(mass for a, mass in law.atoms if a == v) for v in x])
    missed = np.maximum(np.maximum(LEVELS - value, before - LEVELS), 0)
    assert missed.max() < 1e-14
    assert (np.diff(x) >= 0).all()


@pytest.mark.parametrize("name", ["cusp", "hard edge"])
def test_a_tolerance_is_kept_and_saves_points(name, monkeypatch):
    asked, ask = [], quantiles._Table.ask
    monkeypatch.setattr(quantiles._Table, "ask", lambda table, x: asked.append(len(x)) or ask(table, x))
    rough = LAWS[name].quantile(LEVELS, tolerance=1e-6)
    points = sum(asked)
    assert 1e-12 < np.abs(LAWS[name].cdf(rough) - LEVELS).max() <= 1e-6
    LAWS[name].quantile(LEVELS)
    assert sum(asked) > 2 * points


def test_levels_come_in_any_shape_and_more_than_once():
    law = LAWS["gap"]
    p = np.array([[0.9, 0.1], [0.1, 0.5]])
    assert np.array_equal(law.quantile(p), law.quantile(p.ravel()).reshape(2, 2))
    assert law.quantile(p)[0, 1] == law.quantile(p)[1, 0]
    assert law.quantile([0.0, 1.0]).tolist() == list(law.hull)


def test_a_power_law_over_two_hundred_decades_is_a_straight_line():
    """F ~ x^{1/51} at the hard edge of 50 factors."""
    law, p = FussCatalan(50), np.array([1e-4, 0.01, 0.3])
    same = free_product(FussCatalan(25), FussCatalan(25)).quantile(p)
    assert same[0] < 1e-150
    np.testing.assert_allclose(np.log(same), np.log(law.quantile(p)), rtol=1e-11)


@pytest.mark.parametrize("operator", [False, True], ids=["curve", "pencil"])
def test_what_is_remembered_is_what_is_followed(operator):
    if operator:
        x, y = free_variables(Semicircle(), MarchenkoPastur(0.5))
        law = (x * y + y * x).law("operator")
    else:
        law = free_sum(free_product(MarchenkoPastur(0.5), Uniform(1.0, 2.0)), Semicircle(0.3))
    low, high = law.hull
    warm = law.remembering()
    for count in (9, 20):
        grid = low + (high - low) * (np.arange(count) + 0.41) / count
        np.testing.assert_allclose(warm.density(grid), law.density(grid), rtol=0, atol=1e-12)


def test_points_between_known_ones_start_there_and_lost_ones_from_far_away():
    asked: list[np.ndarray] = []

    def followed(x: np.ndarray) -> Solution:
        asked.append(x)
        return Solution(np.exp(1j * x)[None], np.zeros(x.size), np.zeros(x.size), np.ones(x.size, bool))

    def confirmed(start: np.ndarray, x: np.ndarray) -> Solution:
        near = np.abs(start[0] - np.exp(1j * x)) < 1e-3
        return Solution(np.exp(1j * x)[None], np.zeros(x.size), np.zeros(x.size), near & (x != 1.05))

    known = Neighbours(followed, confirmed, first=64)
    known.solve(np.linspace(1.0, 2.0, 11))
    found = known.solve(np.array([1.25, 1.05, 1.1, 1.25]))
    np.testing.assert_allclose(found.parameters[0], np.exp(1j * np.array([1.25, 1.05, 1.1, 1.25])), rtol=1e-14)
    assert [x.tolist() for x in asked[1:]] == [[1.05]]
    known.solve(np.array([1.25, 1.05]))
    assert len(asked) == 2  # both are known now


def test_a_quantile_below_all_numbers_with_digits_is_zero():
    law = FussCatalan(300.0)
    assert law.cdf(1e-292) > 0.01
    assert law.quantile(0.01) == 0.0 < law.quantile(0.5) < 1e-10


def test_points_of_a_gap_start_from_their_neighbours_and_are_the_solutions_there(monkeypatch):
    """G = .3/(z - tG + 1) + .7/(z - tG - 2), iterated from above the axis."""
    law, t = LAWS["gap"].remembering(), 0.01
    x = np.linspace(-0.6, 1.4, 300)
    followed = []
    way = type(law)._continued
    monkeypatch.setattr(type(law), "_continued", lambda self, z: followed.append(z.size) or way(self, z))
    found = law.boundary(x)
    z, g = x + 1e-9j, 1 / (x + 3j)
    for _ in range(300):
        w = z - t * g
        g = (g + 0.3 / (w + 1) + 0.7 / (w - 2)) / 2
    assert found.g == pytest.approx(g, rel=1e-7, abs=1e-8)
    assert sum(followed) < 30


AT_ONCE = LAWS | {
    "two unknowns": free_product(Uniform(0.5, 2.0), Atoms([0.2, 1.0, 2.0], [0.5, 0.25, 0.25])),
    "of both signs": free_difference(MarchenkoPastur(1.0), MarchenkoPastur(0.4)),
    "three unknowns": free_sum(Atoms([-3.0, 0.0, 7.0]), Uniform(0.0, 1.0), Atoms([0.0, 1.0]), Semicircle(0.5)),
}


@pytest.mark.parametrize("name", ["gap", "cusp", "hard edge", "two unknowns", "of both signs", "three unknowns"])
def test_points_found_at_once_are_those_that_are_followed_from_far_above(name):
    law = AT_ONCE[name]
    x = np.linspace(*law.hull, 34)[1:-1]
    found, followed = law._guessed(x, *law.hull), law._continued(x.astype(complex))
    kept = found.converged & followed.converged
    assert kept.sum() > 20
    assert found.parameters[:, kept] == pytest.approx(followed.parameters[:, kept], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("centre", ["cusp", "gap", "atom"])
def test_a_symmetric_law_is_inverted_on_one_half(centre, monkeypatch):
    signs = {"cusp": Atoms([-1.0, 1.0]), "gap": Atoms([-3.0, 3.0]), "atom": Atoms([-2.0, 0.0, 2.0], [0.2, 0.6, 0.2])}
    law = free_sum(signs[centre], Atoms([-1.0, 0.0, 1.0], [0.1, 0.8, 0.1]) if centre == "atom" else Semicircle(1.0))
    asked, ask = [], quantiles._Table.ask
    monkeypatch.setattr(quantiles._Table, "ask", lambda table, x: asked.extend(x) or ask(table, x))
    levels = np.concatenate([LEVELS, [1e-9, 0.5 - 1e-9, 0.5 + 1e-9, 1 - 1e-9]])
    x = law.quantile(levels)
    assert (x == -law.quantile(1.0 - levels)).all() and min(asked) > 0
    moving = x != 0 if centre == "atom" else np.full(x.shape, True)
    assert law.cdf(x[moving]) == pytest.approx(levels[moving], abs=1e-14)


def test_the_median_of_a_symmetric_law_with_a_gap_is_where_the_gap_begins():
    law = free_sum(Atoms([-3.0, 3.0]), Semicircle(1.0))
    (_, begins), _ = law.bands
    assert law.quantile([0.5, 0.75])[0] == pytest.approx(begins, abs=1e-9)
    assert law.quantile(0.5) == pytest.approx(begins, abs=1e-9)


@pytest.mark.parametrize("among", [[], [0.1, 0.3, 0.6, 0.9]], ids=["alone", "among others"])
@pytest.mark.parametrize(
    ("law", "level", "begins"),
    [
        (free_sum(Atoms([-1.0, 0.0, 1.0], [0.25, 0.5, 0.25]), Semicircle(0.01)), 0.25, -0.9065456909524),
        (symmetrized(Mixture((Uniform(1.0, 2.0), Uniform(3.0, 4.0)), (0.5, 0.5))), 0.25, -3.0),
        (symmetrized(Uniform(1.0, 2.0)), 0.5, -1.0),
        (symmetrized(Mixture((PointMass(0.0), Uniform(1.0, 2.0)), (0.5, 0.5))), 0.25, -1.0),
        (Mixture((Uniform(0.0, 1.0), Uniform(2.0, 3.0)), (0.5, 0.5)), 0.5, 1.0),
    ],
    ids=["soft ends", "hard ends", "its centre", "before an atom", "not symmetric"],
)
def test_a_level_of_a_gap_is_reached_where_the_gap_begins(law, level, begins, among):
    assert law.quantile([level, *among])[0] == pytest.approx(begins, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_a_level_of_a_gap_in_front_of_an_atom_begins_the_gap(seed):
    weights = np.random.default_rng(seed).dirichlet(np.ones(4))
    parts = [MarchenkoPastur(0.1), PointMass(3.0), shift(scale(Semicircle(), 0.2), 5.0), PointMass(7.0)]
    law = Mixture(parts, weights)
    assert float(law.quantile(law.cdf(2.5))) == pytest.approx((1 + 0.1**0.5) ** 2, abs=1e-7)
    assert float(law.quantile(law.cdf(6.0))) == pytest.approx(5.4, abs=1e-7)
    assert float(law.quantile(law.cdf(3.0) - weights[1] / 2)) == 3.0
