"""Points that start from solutions known before, or from others on the way there."""

import numpy as np
import pytest

from freeness.laws import Neighbours
from freeness.numerics import Solution


def exact(x):
    return (np.exp(0.8j) * x**0.3 / (1 + x))[None]


def solution(parameters, converged):
    return Solution(parameters, np.zeros(converged.shape), np.zeros(converged.shape), converged)


class Counted:
    """Follows to the solution from anywhere, which is counted, and confirms starts within so much of it."""

    def __init__(self, reach=0.3, guessed=None, **options):
        self.followed = []
        near = lambda start, x: solution(exact(x), np.abs(start / exact(x) - 1)[0] < reach)  # noqa: E731
        known = Neighbours(self._follow, near, **options)
        self.solve = (known.guessing(guessed) if guessed else known).solve

    def _follow(self, x):
        self.followed += x.tolist()
        return solution(exact(x), np.ones(x.shape, bool))


@pytest.mark.parametrize("stones", [False, True])
def test_solutions_are_those_that_are_followed_alone(stones):
    x = np.random.default_rng(0).permutation(np.geomspace(1e-9, 1e3, 200))
    assert (Counted(stones=stones).solve(x).parameters == exact(x)).all()


@pytest.mark.parametrize("stones", [False, True])
def test_what_is_no_number_is_answered_by_none(stones):
    x = np.append(np.geomspace(1e-9, 1e3, 40), np.nan)
    counted = Counted(stones=stones)
    with np.errstate(invalid="ignore"):
        for _ in range(2):
            np.testing.assert_array_equal(counted.solve(x).parameters, exact(x))


def test_points_far_away_are_reached_by_stones():
    x = np.geomspace(0.1, 1.0, 30)
    ones, others = Counted(reach=0.2, stones=True), Counted(reach=0.2)
    for counted in (ones, others):
        counted.solve(x)
        counted.followed = []
        assert (counted.solve(np.array([1e-7, 90.0])).parameters == exact(np.array([1e-7, 90.0]))).all()
    assert len(ones.followed) < len(others.followed)


def test_stones_are_given_up_once_most_points_are_followed_anyway():
    asked, followed = [], []

    def near(start, x):
        asked.append(x.size)
        return solution(exact(x), (np.abs(start / exact(x) - 1)[0] < 0.2) & (x > 0.05))

    def follow(x):
        followed.extend(x)
        return solution(exact(x), np.ones(x.shape, bool))

    known = Neighbours(follow, near, stones=True)
    known.solve(np.geomspace(0.1, 1.0, 30))
    asked.clear()
    followed.clear()
    far = np.array([1e-7, 1e-6, 1e-5, 90.0])
    assert (known.solve(far).parameters == exact(far)).all()
    assert followed == far.tolist() and len(asked) < 5


def test_of_many_points_that_nothing_leads_to_some_are_followed_first():
    known, gap = np.linspace(1.0, 2.0, 40), np.linspace(1e3, 2e3, 400)
    counted = Counted(reach=1e-3)
    counted.solve(known)
    counted.followed = []
    assert (counted.solve(gap).parameters == exact(gap)).all() and len(counted.followed) < 200


def test_points_between_four_known_ones_start_on_a_cubic():
    """Halfway on a straight line they start 1e-4 from the solution, on the cubic within 1e-6."""
    counted = Counted(reach=1e-6)
    counted.solve(np.linspace(1.0, 2.0, 21))
    counted.followed = []
    between = np.linspace(1.125, 1.875, 16)
    assert (counted.solve(between).parameters == exact(between)).all() and not counted.followed


@pytest.mark.parametrize(("share", "followed"), [(0.5, 0), (0.0, 8)])
def test_first_points_are_found_at_once_or_some_are_followed(share, followed):
    """From those that were found the others are; where none was it is as without."""
    x = np.linspace(1.0, 2.0, 40)
    counted = Counted(guessed=lambda x: solution(exact(x), np.arange(x.size) < share * x.size))
    assert (counted.solve(x).parameters == exact(x)).all() and len(counted.followed) <= followed
    assert bool(counted.followed) == bool(followed)
