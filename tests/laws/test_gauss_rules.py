"""Gauss rules of few nodes against the sums over all atoms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeness.laws import Atoms, GaussianPushforward
from freeness.laws.gauss_rules import GaussRules, RulesTogether
from freeness.meanfield import derivative_law
from freeness.network import activation

LAWS = [
    derivative_law(activation("tanh"), 0.1).discrete,
    derivative_law(activation("erf"), 3.0).discrete,
    derivative_law(activation("gelu"), 1.0).discrete,
    Atoms(np.random.default_rng(0).beta(5.0, 0.5, 1000)),
    Atoms(np.append(np.zeros(200), np.random.default_rng(1).exponential(1.0, 400))),
]


def plane(law, count, seed):
    """Points of the upper half-plane at all distances from the support, and some real ones beside it."""
    rng = np.random.default_rng(seed)
    low, high = law.hull
    width = high - low
    x = low + width * rng.uniform(-1.5, 2.5, count)
    z = x + 1j * width * 10.0 ** rng.uniform(-8, 3, count)
    z[: count // 10] = high + width * 10.0 ** rng.uniform(-6, 3, count // 10)
    return z


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("real", [False, True])
def test_rules_are_the_full_sums_to_rounding(law, real):
    """Relative to the sums of moduli, whose rounding the full sums have themselves."""
    z = plane(law, 2000, 3)
    z = np.real(z[:200]) if real else z
    kernel = 1 / np.abs(z[:, None] - law.positions)
    weights = (law.masses, law.masses * np.abs(law.positions))
    scales = [kernel @ weights[0], kernel**2 @ weights[0], kernel @ weights[1], kernel**2 @ weights[1]]
    (g, dg), (u, du) = law.full_transforms(z)
    found = RulesTogether([law.rules]).transforms(z[None])
    for value, exact, scale in zip(found, (g, dg, u, du), scales, strict=True):
        apart = np.isfinite(exact)
        rounding = law.masses.size * np.finfo(float).eps  # of sums of so many terms, whatever a processor's last bits
        assert np.all(np.abs(value[0] - exact)[apart] <= rounding * scale[apart])


def test_most_points_take_a_short_rule():
    steps = RulesTogether([LAWS[0].rules]).steps(plane(LAWS[0], 2000, 4)[None])
    assert np.mean(steps < 3) > 0.4 and np.any(steps == len(LAWS[0].rules.ladder))


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 6))
def test_laws_taken_together_are_those_taken_alone(seed, atoms, rows):
    rng = np.random.default_rng(seed)
    laws = [Atoms(rng.uniform(0.0, 2.0, atoms), rng.dirichlet(np.ones(atoms))) for _ in range(rows)]
    rules = [law.rules for law in laws]
    rules[-1] = rules[0]  # one of them twice
    w = rng.uniform(-1, 3, (rows, 7)) + 1j * 10 ** rng.uniform(-3, 2, (rows, 7))
    together = RulesTogether(rules).transforms(w)
    for row, rule in enumerate(rules):
        for value, alone in zip(together, RulesTogether([rule]).transforms(w[row : row + 1]), strict=True):
            assert value[row] == pytest.approx(alone[0], rel=1e-12)


def test_a_law_of_few_atoms_is_summed():
    few = GaussRules(np.array([0.5, 1.0]), np.array([0.25, 0.75]))
    assert few.ladder == () and np.all(RulesTogether([few]).steps(np.array([[2.0, 100.0]])) == 0)
    assert RulesTogether([few]).transforms(np.array([[3.0]]))[0][0, 0] == pytest.approx(0.25 / 2.5 + 0.75 / 2)


@pytest.mark.parametrize("names", [("tanh", "silu", "elu"), ("hardswish", "sin")])
def test_laws_on_panels_taken_together_are_those_taken_alone(names):
    """Of other kinks, halves and numbers of branches, at points beside and on their supports."""
    drawn = [derivative_law(activation(name), q) for name, q in zip(names, (0.3, 2.0, 9.0), strict=False)]
    laws = [law for law in drawn if isinstance(law, GaussianPushforward)]
    rules = [laws[0].rules, *(law.rules for law in laws)]  # one of them twice
    rng = np.random.default_rng(8)
    w = rng.uniform(0.0, 1.1, (len(rules), 40)) + 1j * 10.0 ** rng.uniform(-12, 1, (len(rules), 40))
    w[:, :9] = np.real(w[:, :9])
    w[:, 20:] = np.conj(w[:, 20:])
    found = np.array(RulesTogether(rules).transforms(w))
    logs = RulesTogether(rules).potentials(w, [laws[0], *laws])
    for row, law in enumerate([laws[0], *laws]):
        alone = np.array(law.transforms(w[row])).reshape(4, -1)
        assert np.allclose(found[:, row], alone, rtol=1e-11, atol=0)
        assert np.allclose(logs[row], law.potential(w[row]), rtol=1e-11, atol=1e-13)
