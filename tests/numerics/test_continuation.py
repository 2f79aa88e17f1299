"""The continued Newton solver against equations with known solutions."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeness.numerics.continuation import Standard, follow, improved, nearest


def semicircle_update(t: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
    """z(t) = t + 1/t, whose physical solution in the upper half-plane is 1/G of the semicircle law."""
    change = (target - t - 1 / t) / (1 - 1 / t**2)
    return change, lambda: (t + change)[0].imag


def far(x: np.ndarray, height: np.ndarray) -> np.ndarray:
    """t = z far above the axis."""
    return (x + 1j * height)[None]


def solve(x: np.ndarray, near: float = 1.0):
    height = np.full(x.shape, 60.0)
    return follow(semicircle_update, far, x.astype(complex), height, np.abs(x), Standard(near=near))


@given(st.lists(st.floats(-2.0, 2.0), min_size=1, max_size=30))
def test_physical_branch_is_reached_on_the_real_axis(points):
    x = np.array(points)
    found = solve(x)
    assert found.converged.all()
    inside = np.abs(np.abs(x) - 2) > 1e-9
    expected = (x + 1j * np.sqrt(np.maximum(4 - x**2, 0))) / 2
    distance = np.maximum(2 - np.abs(x), 1e-16)
    assert np.all(np.abs(found.parameters[0] - expected)[inside] < 1e-14 / np.sqrt(distance)[inside])
    assert np.all(found.height[inside] == 0)


def test_a_target_exactly_on_a_soft_edge_is_answered_and_says_what_height_is_left():
    found = solve(np.array([2.0, -2.0]))
    assert found.converged.all()
    assert np.all(found.height <= 1e-11 * 2)
    assert np.allclose(found.parameters[0], [1, -1], atol=1e-5)


def test_outside_the_support_the_solution_is_real_and_the_larger_root():
    x = np.array([2.5, 10.0, -3.0])
    found = solve(x)
    expected = (x + np.sign(x) * np.sqrt(x**2 - 4)) / 2
    assert np.allclose(found.parameters[0], expected, rtol=1e-13, atol=1e-13)


def marchenko_pastur_update(t: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, Callable[[], np.ndarray]]:
    """z(t) = t²/(t - 1) with t = 1/G, which behaves like i√z at the hard edge 0."""
    change = (target - t**2 / (t - 1)) / (1 - 1 / (t - 1) ** 2)
    return change, lambda: (t + change)[0].imag / np.abs((t + change)[0])


def test_a_hard_edge_itself_has_no_answer():
    """The density is infinite there: parameters never rest on the way down, as they do at the soft edge 4."""
    x = np.array([0.0, 4.0])
    found = follow(marchenko_pastur_update, far, x.astype(complex), np.full(2, 60.0), np.ones(2))
    assert found.converged.tolist() == [False, True]


@pytest.mark.parametrize("x", [1e-12, 1e-9])
def test_near_a_hard_edge_the_solution_is_reached_in_few_steps(x):
    calls = []

    def counted(t, target):
        calls.append(1)
        return marchenko_pastur_update(t, target)

    found = follow(counted, far, np.array([x + 0j]), np.array([60.0]), np.ones(1))
    assert found.converged.all() and len(calls) < 120
    assert found.parameters[0, 0] == pytest.approx((x + 1j * np.sqrt(x * (4 - x))) / 2, rel=1e-4)


def test_an_equation_without_solution_is_marked_and_ends():
    def hopeless(t, target):
        return np.full_like(t, np.nan), lambda: np.ones(target.shape)

    found = follow(hopeless, far, np.array([1.0, 2.0, 3.0], complex), np.full(3, 10.0), np.ones(3))
    assert not found.converged.any()


@pytest.mark.parametrize("near", [1e-6, 0.01, 0.3])
def test_the_way_starts_nearer_where_that_leads_inside_and_far_away_elsewhere(near):
    x = np.linspace(-3.1, 3.1, 13)
    assert solve(x, near).parameters[0] == pytest.approx(solve(x).parameters[0], rel=1e-13)


@pytest.mark.parametrize("count", [1, 7])
def test_points_do_not_influence_each_other(count):
    x = np.linspace(-1.9, 1.9, 13)
    alone = np.concatenate([solve(x[i : i + count]).parameters[0] for i in range(0, 13, count)])
    assert np.allclose(alone, solve(x).parameters[0], rtol=1e-13)


def test_rough_guesses_come_to_the_root_or_are_given_up():
    x = np.array([0.3, -1.2, 1.7, 0.4])
    exact = (x + 1j * np.sqrt(4 - x**2)) / 2
    start = exact * np.array([1.6, 0.7 + 0.3j, 1.3, np.nan])
    found = improved(semicircle_update, start[None], x.astype(complex), np.abs(x))
    assert found.converged.tolist() == [True, True, True, False]
    assert found.parameters[0, :3] == pytest.approx(exact[:3], rel=1e-13)


def test_guesses_at_which_steps_grow_are_given_up():
    found = improved(
        lambda w, z: (3 * w, lambda: np.ones(z.size)), np.ones((1, 2), complex), np.ones(2, complex), np.ones(2)
    )
    assert not found.converged.any()


def test_of_several_starts_that_is_taken_which_comes_nearest_inside_the_half_plane():
    """The first start is good for the first point, the second for the other; conjugates, which are roots as well, are none."""
    x = np.array([0.3, -1.2])
    exact = (x + 1j * np.sqrt(4 - x**2)) / 2
    starts = np.array([exact * [1.3, np.nan], exact.conj(), [1e-9j, 1.4j * exact[1] / 1j], [np.inf, np.nan]])
    found = nearest(semicircle_update, starts[:, None], x.astype(complex))
    assert found[0] == pytest.approx(exact, rel=1e-9)
