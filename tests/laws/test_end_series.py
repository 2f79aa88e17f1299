"""Guesses beside the ends of bands, by the series of the root of the distance."""

import numpy as np
import pytest

from freeness.laws import EndSeries, Neighbours
from freeness.numerics import Solution


def semicircle(z):
    """G, and a function of it that has a pole at G = 3, on the closed upper half-plane."""
    z = np.asarray(z, dtype=complex)
    g = (z - np.sqrt(z - 2) * np.sqrt(z + 2)) / 2
    return np.stack([g, 1 / (3 - g)])


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("height", [0.0, 1e-6])
def test_points_inside_lead_to_the_end_and_beyond_it(which, height):
    series = EndSeries.of([(-2.0, 2.0)], [])[which]
    distances = np.geomspace(1e-14, 0.99 * 0.03 * series.width, 20)
    z = series.end + np.append(distances, -distances) + 1j * height
    middle, apart = series.sheets(semicircle(series.nodes), z)
    guess = middle + apart
    assert series.reaches(np.real(z)).all()
    assert guess == pytest.approx(semicircle(z), rel=1e-4)
    near = np.tile(distances < 0.1 * distances[-1], 2)
    assert guess[:, near] == pytest.approx(semicircle(z[near]), rel=1e-7)


def test_the_other_sheet_is_the_complex_conjugate_inside_and_real_outside():
    series = EndSeries.of([(-2.0, 2.0)], [])[1]
    middle, apart = series.sheets(semicircle(series.nodes), np.array([1.99, 2.01]))
    assert middle[:, 0] - apart[:, 0] == pytest.approx((middle + apart)[:, 0].conj())
    assert np.abs(np.imag(middle - apart)[:, 1]).max() == 0
    g = (middle - apart)[0, 1].real  # of the semicircle z = G + 1/G on all sheets
    assert g > 1 and g + 1 / g == pytest.approx(2.01)


def test_where_unknowns_turn_by_much_nodes_move_nearer():
    near = lambda z: 1 / (0.05 + 1j * np.sqrt(np.asarray(z, complex)))[None]  # noqa: E731 (a pole at -1/400 on one sheet)
    series = EndSeries(0.0, 1.0, 1.0)
    nodes = near(series.nodes)
    nearer = series.nearer(nodes, np.abs(nodes))
    assert nearer is not None and nearer.width < 0.1
    x = np.geomspace(1e-12, 0.03 * nearer.width, 10)
    off = [np.abs(sum(one.sheets(near(one.nodes), x)) / near(x) - 1).max() for one in (series, nearer)]
    assert off[1] < 1e-4 < 1e-2 * off[0]
    nearest = nearer.nearer(near(nearer.nodes), np.abs(near(nearer.nodes)))
    assert nearest is not None and nearest.nearer(near(nearest.nodes), np.abs(near(nearest.nodes))) is None


def test_there_is_none_where_bands_touch_or_an_atom_is():
    found = EndSeries.of([(0.0, 1.0), (1.0, 2.0), (3.0, 4.0)], [0.0])
    assert [(series.end, series.inward, series.width) for series in found] == [(2, -1, 1), (3, 1, 1), (4, -1, 1)]


def test_many_points_beside_an_end_are_led_to_by_a_few_inside():
    followed = []

    def solution(x, converged=True):
        return Solution(semicircle(x), np.zeros(x.shape), np.zeros(x.shape), np.full(x.shape, converged))

    def follow(x):
        followed.extend(x)
        return solution(x)

    def led(series, nodes, x):
        assert nodes == pytest.approx(semicircle(series.nodes))
        return solution(x)

    series = EndSeries.of([(-2.0, 2.0)], [])
    known = Neighbours(follow, lambda start, x: solution(x, False)).beside(series, led)
    x = np.append(2.0 + np.geomspace(1e-12, 1e-3, 30), [0.5, 1.0])
    assert (known.solve(x).parameters == semicircle(x)).all()
    assert sorted(followed) == sorted([*series[1].nodes, 0.5, 1.0])
