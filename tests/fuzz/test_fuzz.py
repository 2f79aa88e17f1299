"""A fixed set of random trees of operations: none is wrong, and none ends in a raw error or not at all."""

from __future__ import annotations

import numpy as np
import pytest

import freeness as fr
from tests.fuzz.cumulants import cumulants_of, moments_of, noncrossing, product_moments
from tests.fuzz.trees import tree
from tests.fuzz.verdict import counted, judged, run

FAST = [0, 2, 6, 7, 8, 9, 12, 13, 15, 17, 19, 20, 22, 23, 27, 29, 30, 31, 32, 34, 35, 36, 37, 38, 39, 40, 42, 43]


def test_the_recursions_of_the_fuzzer_are_those_of_catalan_and_fuss():
    assert [len(noncrossing(n)) for n in range(1, 7)] == [1, 2, 5, 14, 42, 132]
    poisson = moments_of(np.ones(5))
    assert poisson.tolist() == [1, 2, 5, 14, 42]
    assert cumulants_of(poisson) == pytest.approx(np.ones(5))
    assert product_moments(poisson, poisson).tolist() == [1, 3, 12, 55, 273]


@pytest.mark.parametrize("number", FAST)
def test_a_random_tree_has_the_law_of_its_matrix_and_its_exact_moments(number):
    case = tree(np.random.default_rng((0, number)), 2)
    verdict = judged(case, number)
    assert verdict.outcome == "right", f"{case.text}: {verdict.reason}"


def test_a_wrong_law_is_told_from_a_right_one():
    case = tree(np.random.default_rng((0, FAST[0])), 2)
    wrong = type(case)(case.text, lambda: fr.scale(case.law(), 1.3), case.spectrum, case.moments, case.low, case.high)
    assert judged(wrong, FAST[0]).outcome == "wrong"


@pytest.mark.slow
def test_of_200_random_trees_none_is_wrong():
    counts = counted(run(200, 0))
    assert counts["wrong"] == counts["raw error"] == counts["hung"] == 0
    assert counts["refused"] + counts["refused in part"] <= 4


def test_beside_an_atom_inside_a_band_the_distribution_function_keeps_its_side():
    """Solutions there lie as near to the axis as rounding, and their mirror images solve the equations as well."""
    law = fr.free_sum(
        fr.inverse(fr.shift(fr.Projection(0.211, 1.418), 0.418)),
        fr.Mixture([fr.Projection(0.466, 1.131), fr.MarchenkoPastur(0.3)], [0.75, 0.25]),
    )
    position, mass = law.atoms[-1]
    distance = np.geomspace(1e-7, 1e-3, 9)
    below, above = law.cdf(position - distance), law.cdf(position + distance)
    assert np.all(np.diff(below) <= 1e-12) and np.all(np.diff(above) >= -1e-12)
    assert (above - below)[0] == pytest.approx(mass, abs=1e-6)
