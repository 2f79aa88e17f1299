"""Laws inside others are asked at points that move little: what is found from there is what is followed from far above."""

from copy import copy

import numpy as np
import pytest

from freeness import (
    Atoms,
    Inverse,
    MarchenkoPastur,
    Mixture,
    Semicircle,
    Square,
    Uniform,
    compress,
    free_product,
    free_sum,
    shift,
    symmetric_root,
    symmetrized,
)
from freeness.laws import CurveLaw, Law
from freeness.laws.nearby import Nearby

INNER = {
    "two unknowns": free_product(Atoms([0.4, 0.7], [0.3, 0.7]), Uniform(0.9, 1.8)),
    "gaps and an atom": compress(Square(Atoms([0.04, 0.25, 1.5], [0.1, 0.6, 0.3])), 0.5),
    "hard edge": free_product(MarchenkoPastur(1.0), Uniform(0.5, 1.5)),
    "of both signs": free_sum(Uniform(-0.3, 1.4), Atoms([0.4, 0.6])),
}


def forgetful(law: Law) -> CurveLaw:
    """The same law, never asked before."""
    fresh = copy(law)
    assert isinstance(fresh, CurveLaw)
    fresh._nearby = Nearby()
    return fresh


@pytest.mark.parametrize("name", INNER)
def test_points_found_from_others_are_those_of_a_law_that_was_never_asked(name, monkeypatch):
    law = forgetful(INNER[name])
    low, high = law.hull
    width = high - low
    rng = np.random.default_rng(3)
    z = low - 0.2 * width + 1.4 * width * rng.random(60) + 1j * width * 10.0 ** rng.uniform(-9, 0, 60)
    law.transforms(z)
    steps: list[int] = []
    monkeypatch.setattr(type(law.curve), "evaluate", _counted(type(law.curve).evaluate, steps))
    for away in (1e-3, 1e-6, 1e-12):
        moved = z + away * width * np.exp(1j * np.pi * rng.random(60))
        steps.clear()
        (g, dg), (u, du) = law.transforms(moved)
        found, steps[:] = len(steps), []
        (g_far, dg_far), (u_far, du_far) = forgetful(law).transforms(moved)
        assert found < len(steps) / 2
        assert g == pytest.approx(g_far, rel=1e-11) and u == pytest.approx(u_far, rel=1e-11, abs=1e-13)
        assert dg == pytest.approx(dg_far, rel=1e-8) and du == pytest.approx(du_far, rel=1e-8)
        assert law.potential(moved) == pytest.approx(forgetful(law).potential(moved), rel=1e-11)


def _counted(evaluate, steps):
    def counted(curve, *args, **options):
        steps.append(1)
        return evaluate(curve, *args, **options)

    return counted


@pytest.mark.parametrize("name", INNER)
def test_far_below_the_axis_nothing_is_found_and_nothing_is_sought(name, monkeypatch):
    law = forgetful(INNER[name])
    law.transforms(np.array([law.mean + 1j]))
    monkeypatch.setattr(type(law), "_continued", lambda *_: pytest.fail("followed"))
    (_, slope), _ = law.transforms(np.array([law.mean - 0.1j]))
    assert np.isnan(slope).all()


@pytest.mark.parametrize("name", INNER)
def test_a_symmetrised_law_with_noise_solves_the_equation_of_its_parts(name):
    """G(z) = (G_X(w) - G_X(-w))/2 at w = z - G(z)/50, on the axis and off it."""
    inner = INNER[name]
    law = free_sum(symmetrized(inner), Semicircle(0.02))
    z = np.array([-0.95, 0.41, 1.1, 0.3 + 1e-4j, -1.0 + 0.5j, 3.0 + 0.01j])
    g = np.concatenate([law.boundary(np.real(z[:3])).g, law.cauchy(z[3:])])
    w = z - 0.02 * g
    right = (forgetful(inner).cauchy(w) - forgetful(inner).cauchy(-w)) / 2
    assert g == pytest.approx(right, rel=1e-9)


def test_the_symmetric_root_of_a_square_is_the_symmetrised_law():
    """Beside one that is solved for: the root of a mixture that is the square."""
    inner = Inverse(shift(MarchenkoPastur(0.5), 0.3))
    law, solved = symmetric_root(Square(inner)), symmetric_root(Mixture([Square(inner)], [1.0]))
    x = np.array([-1.3, 0.9])
    assert law.density(x) == pytest.approx(solved.density(x), rel=1e-9)
    assert law.cdf(x) == pytest.approx(solved.cdf(x), abs=1e-11)
