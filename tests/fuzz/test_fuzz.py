"""A fixed 200 random laws, texts and networks: none is wrong, and none ends in a raw error or not at all."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest

import freeness as fr
from tests.fuzz import checks
from tests.fuzz.cumulants import cumulants_of, moments_of, noncrossing, product_moments
from tests.fuzz.polynomials import word_moment
from tests.fuzz.trees import levels
from tests.fuzz.verdict import Hung, _limited, counted, drawn, judged, run

QUICK = {  # by kind and seed
    ("tree", 0): "0 2 6 7 12 19 20 22 27 29 30 31 32 35 38",
    ("polynomial", 0): "1 12 13 19 20 35 37 40 41 47 60 72 73",
    ("network", 0): "2 32",
    ("operation", 24): "1 9 11 13 16 20 24 25 32",
    ("text", 24): "2 4 5 6 9",
}
LONGER = {
    ("tree", 0): (
        "8 9 13 15 17 23 34 36 37 39 40 42 43 44 45 46 47 48 49 50 51 52 53 54 55 57 58 59 61 62 63 64 66 68 "
        "69 70 71 72 73 74 75 76 77 79 81 83 84 86 87 89 90 91 92 93 94 95 97 98 100 101 104 105 106 107 109 "
        "110 111 112 114 116 118 119 120 121 122 124 127 130 131 132 133 134 135 137 139 140 141 143 144 145 "
        "146 147 148 149 150 152 153 154 155 160 161 163 164 165 166 167 168 169 173 174 175 176 180 183 185 "
        "186 187 190 191"
    ),
    ("polynomial", 0): "16 21 39 42 44 45 50 58 75",
    ("operation", 24): "0 8 10 23",
    ("text", 24): "0",
    ("network", 0): "1 6 7 9 13 18 23 24 25 31 33 36 37 40 43 45 47 48 49 51 54 56 57",
}
HARDER = {  # which take more than four seconds each: `make slow`
    ("polynomial", 0): "32 38 55 70",
    ("network", 0): "11 17",
    ("text", 24): "3",
    ("tree", 0): "67 78 80 82 85 88 99 103 108 113 115 125 126 138",
}


def cases(of):
    """Kind, seed and number of each."""
    return [(*key, int(number)) for key, numbers in of.items() for number in numbers.split()]


def assert_right(kind, seed, number):
    case = drawn(kind, seed, number)
    verdict = judged(case, number, transforms=kind in ("tree", "operation") and number % 16 == 0)
    assert verdict.outcome == "right", f"{case.text}: {verdict.reason}"


def test_the_recursions_of_the_fuzzer_are_those_of_catalan_and_fuss():
    assert [len(noncrossing(n)) for n in range(1, 7)] == [1, 2, 5, 14, 42, 132]
    poisson = moments_of(np.ones(5))
    assert poisson.tolist() == [1, 2, 5, 14, 42]
    assert cumulants_of(poisson) == pytest.approx(np.ones(5))
    assert product_moments(poisson, poisson).tolist() == [1, 3, 12, 55, 273]


@pytest.mark.parametrize(("kind", "seed", "number"), cases(QUICK))
def test_a_random_case_has_the_law_of_its_matrix_and_its_exact_moments(kind, seed, number):
    assert_right(kind, seed, number)


@pytest.mark.slow
@pytest.mark.always
@pytest.mark.parametrize(("kind", "seed", "number"), cases(LONGER))
def test_more_random_cases_have_the_laws_of_their_matrices_and_their_exact_moments(kind, seed, number):
    assert_right(kind, seed, number)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seed", "number"), cases(HARDER))
def test_harder_random_cases_have_the_laws_of_their_matrices_and_their_exact_moments(kind, seed, number):
    assert_right(kind, seed, number)


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


class Faulty:
    """A law whose answers are replaced."""

    def __init__(self, law, **answers):
        self.__dict__.update(law=law, **answers)

    def __getattr__(self, name):
        return getattr(self.law, name)

    def remembering(self):
        return self


LAW = fr.FussCatalan(3)  # spreads over many decades
FAULTS = {
    "a distribution function without an answer": {"cdf": lambda x: np.where(np.asarray(x) > 1, np.nan, LAW.cdf(x))},
    "a distribution function that is off where much of the mass is": {"cdf": lambda x: LAW.cdf(1.3 * np.asarray(x))},
    "a density of too much mass": {"density": lambda x, **options: 1.01 * LAW.density(x, **options)},
    "moments off in the last digits": {"moments": lambda order: LAW.moments(order) * (1 + 1e-6)},
    "bands that miss mass": {"bands": ((1e-3, LAW.hull[1]),)},
    "a hull that is too small": {"hull": (0.0, LAW.hull[1] / 2)},
    "a Cauchy transform that is off": {"cauchy": lambda z: LAW.cauchy(z) * (1 + 1e-6)},
    "a potential without its constant": {"log_potential": lambda x: LAW.log_potential(x) + 0.7},
    "an R-transform that is off": {"r_transform": lambda g: LAW.r_transform(g) + 1e-5},
    "an S-transform that is off": {"s_transform": lambda u: LAW.s_transform(u) * (1 + 1e-5)},
    "quantiles that come too late": {"quantile": lambda p: LAW.quantile(p) + 1e-3},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_law_is_told(fault):
    case = drawn("operation", 0, 0)
    right = replace(
        case, law=lambda: LAW, spectrum=lambda *_: LAW.quantile(levels(400)), moments=LAW.moments(4), smooth=False
    )
    assert judged(right, 0).outcome == "right"
    assert judged(replace(right, law=lambda: Faulty(LAW, **FAULTS[fault])), 0).outcome == "wrong"


def test_a_density_with_other_moments_is_told():
    """(Its slope is that of its own distribution function.)"""
    case = drawn("tree", 0, 0)
    law = fr.Semicircle(1.0)
    right = replace(case, law=lambda: law, spectrum=lambda *_: law.quantile(levels(400)), moments=law.moments(2))
    assert judged(right, 0).outcome == "right"
    moved = fr.Semicircle(1.004)
    faulty = Faulty(moved, moments=law.moments)
    assert judged(replace(right, law=lambda: faulty), 0).outcome == "wrong"


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


RISING = {("operation", 79): "16 75", ("tree", 79): "92"}  # what was wrong beside ends and atoms
RISING_LONGER = {
    ("operation", 79): "20 49",
    ("tree", 79): "2",
    ("text", 79): "3 23 27",
    ("network", 79): "4",
    ("polynomial", 24): "11",
    ("text", 12011): "15",
    ("text", 13002): "10",
    ("text", 13004): "15",
    ("deep", 13001): "11",
    ("deep", 13002): "6",
    ("deep", 13003): "9",
    ("deep", 15001): "22",
}


def test_right_behind_an_atom_the_distribution_function_has_its_mass():
    """It lies in a gap of (mass/2)², some ten times the distance of floating-point numbers there."""
    mass, at = 1.6e-6, 42.7
    law = fr.shift(fr.free_product(fr.Projection(1 - mass), fr.MarchenkoPastur(1.0)), at)
    beside = law.cdf(at + np.spacing(at) * np.array([-1.0, 0.0, 1.0, 2.0, 5.0, 20.0]))
    assert beside == pytest.approx([0.0, *[mass] * 5], rel=1e-9)


@pytest.mark.parametrize(("kind", "seed", "number"), cases(RISING))
def test_distribution_functions_rise_by_the_density_right_up_to_ends_and_atoms(kind, seed, number):
    assert not checks.rising(drawn(kind, seed, number).law())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "seed", "number"), cases(RISING_LONGER))
def test_more_distribution_functions_rise_right_up_to_ends_and_atoms(kind, seed, number):
    assert not checks.rising(drawn(kind, seed, number).law())


def test_a_fall_and_a_missing_mass_are_told():
    law = fr.MarchenkoPastur(0.5)
    assert not checks.rising(law)
    low = law.hull[0]
    falling = Faulty(law, cdf=lambda x, **options: law.cdf(x, **options) + 1e-3 * (np.abs(x - low - 1e-6) < 1e-6))
    assert "falls" in checks.rising(falling)
    thin = Faulty(law, density=lambda x, **options: 0.5 * law.density(x, **options))
    assert "mass" in checks.rising(thin)


def test_what_has_no_end_is_ended():
    """Also where something catches every Exception."""
    with pytest.raises(Hung), _limited(0.02):
        while True:
            with contextlib.suppress(Exception):
                sum(range(1000))
