"""A fixed 200 random trees, polynomials and networks: none is wrong, and none ends in a raw error or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import freeness as fr
from tests.fuzz.cumulants import cumulants_of, moments_of, noncrossing, product_moments
from tests.fuzz.polynomials import word_moment
from tests.fuzz.verdict import counted, drawn, judged, run

QUICK = {
    "tree": [0, 2, 6, 7, 8, 12, 19, 20, 22, 23, 27, 29, 30, 31, 32, 35, 36, 37, 38, 40],
    "polynomial": [1, 12, 13, 19, 20, 35, 37, 40, 41, 42, 47, 60, 72, 73],
    "network": [1, 2, 24, 25, 31, 32, 45, 54],
}
LONGER = {
    "tree": [
        9,
        13,
        15,
        17,
        34,
        39,
        42,
        43,
        44,
        45,
        46,
        47,
        48,
        49,
        50,
        51,
        52,
        53,
        54,
        55,
        57,
        58,
        59,
        61,
        62,
        63,
        64,
        66,
        67,
        68,
        69,
        70,
        71,
        72,
        73,
        74,
        75,
        76,
        77,
        78,
        79,
        80,
        81,
        83,
        84,
        85,
        86,
        87,
        88,
        89,
        90,
        91,
        92,
        93,
        94,
        95,
        97,
        98,
        99,
        100,
        101,
        103,
        104,
        105,
        106,
        107,
        108,
        109,
        110,
        111,
        112,
        113,
        114,
        115,
        116,
        118,
        119,
        120,
        121,
        122,
        124,
        125,
        126,
        127,
        130,
        131,
        132,
        133,
        134,
        135,
        137,
        138,
        139,
        140,
        141,
        143,
        144,
        145,
        146,
        147,
        148,
        149,
        150,
        152,
        153,
        154,
        155,
        158,
        159,
        160,
        161,
        162,
        163,
        164,
        165,
        166,
        167,
        168,
        169,
        171,
        172,
        173,
        174,
        175,
        176,
        178,
        179,
    ],  # fmt: skip
    "polynomial": [16, 21, 32, 38, 39, 44, 45, 50, 55, 58, 70, 75],
    "network": [6, 7, 9, 11, 13, 17, 18, 23, 33, 36, 37, 40, 43, 47, 48, 49, 51, 56, 57],
}


def cases(of):
    return [(kind, number) for kind, numbers in of.items() for number in numbers]


def assert_right(kind, number):
    case = drawn(kind, 0, number)
    verdict = judged(case, number)
    assert verdict.outcome == "right", f"{case.text}: {verdict.reason}"


def test_the_recursions_of_the_fuzzer_are_those_of_catalan_and_fuss():
    assert [len(noncrossing(n)) for n in range(1, 7)] == [1, 2, 5, 14, 42, 132]
    poisson = moments_of(np.ones(5))
    assert poisson.tolist() == [1, 2, 5, 14, 42]
    assert cumulants_of(poisson) == pytest.approx(np.ones(5))
    assert product_moments(poisson, poisson).tolist() == [1, 3, 12, 55, 273]


@pytest.mark.parametrize(("kind", "number"), cases(QUICK))
def test_a_random_case_has_the_law_of_its_matrix_and_its_exact_moments(kind, number):
    assert_right(kind, number)


@pytest.mark.slow
@pytest.mark.always
@pytest.mark.parametrize(("kind", "number"), cases(LONGER))
def test_more_random_cases_have_the_laws_of_their_matrices_and_their_exact_moments(kind, number):
    assert_right(kind, number)


def test_two_hundred_cases_are_run_by_every_change():
    assert len(cases(QUICK)) + len(cases(LONGER)) == len({*cases(QUICK), *cases(LONGER)}) == 200


def test_moments_of_words_are_those_of_commutator_and_circular_law():
    """τ((xy - yx)i)² = 2τ(x²)τ(y²) for centred free x, y, and τ((cc*)ⁿ) are Catalan numbers."""
    semicircle = {1: 0.0, 2: 1.0}
    word = ((0, False), (1, False), (1, False), (0, False))
    crossed = ((0, False), (1, False), (0, False), (1, False))
    value = lambda block: semicircle.get(len(block), 0.0)  # noqa: E731
    assert word_moment(word, value, {}) == 1.0 and word_moment(crossed, value, {}) == 0.0
    circular = lambda block: float(len(block) == 2 and block[0][1] != block[1][1])  # noqa: E731
    found = [word_moment(((0, False), (0, True)) * n, circular, {}) for n in range(1, 5)]
    assert found == [1, 2, 5, 14]


def test_distribution_and_mass_of_a_wrong_polynomial_are_told():
    case = drawn("polynomial", 0, 1)
    wrong = replace(case, law=lambda: fr.shift(case.law(), 0.2))
    assert judged(wrong, 1).outcome == "wrong"


def test_a_wrong_law_is_told_from_a_right_one():
    case = drawn("tree", 0, 0)
    assert judged(replace(case, law=lambda: fr.scale(case.law(), 1.3)), 0).outcome == "wrong"


@pytest.mark.slow
def test_of_200_random_trees_none_is_wrong():
    counts = counted(run(200, 0, "tree"))
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
