"""Polynomials and rational expressions: their laws against moments by words, random matrices, and the other way there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import (
    Atoms,
    Bernoulli,
    Circular,
    HaarUnitary,
    InputError,
    MarchenkoPastur,
    Mixture,
    PointMass,
    Projection,
    RDiagonal,
    Semicircle,
    Uniform,
    anticommutator,
    commutator,
    free_variables,
    jointly_free,
    kolmogorov,
)
from freeness.expressions.atoms import expression_atoms
from freeness.expressions.route import law_of

x, y, z, p, q, u, v, c, m, b, a, r = free_variables(
    Semicircle(),
    Semicircle(0.5),
    MarchenkoPastur(0.5),
    Projection(0.5),
    Projection(0.3),
    HaarUnitary(),
    HaarUnitary(),
    Circular(2.0),
    MarchenkoPastur(2.0),
    Bernoulli(),
    Atoms([-1.0, 0.5, 2.0], [0.2, 0.5, 0.3]),
    RDiagonal(Uniform(0.5, 1.5)),
    names="x y z p q u v c m b a r",
)
POLYNOMIALS = [
    x * y + y * x,
    x**2 + y**2,
    x * y * x,
    1j * commutator(x, y),
    x + y**2,
    x * z * z * x,
    p * q * p,
    p * q + q * p,
    u + u.H,
    u + v + u.H + v.H,
    u * p * u.H + q,
    x * y * z + z * y * x,
    c * c.H + x,
    r * x * r.H + c + c.H,
    (1 + 2j) * x * u + (1 - 2j) * u.H * x,
    m * b + b * m - x,
    a * x * a + anticommutator(a, y),
    x**3 + x * z * x + y,
]
RATIONAL = [
    (x + y + 5).inverse(),
    x * (1 + z).inverse() * x,
    x + (3 + y).inverse() + (3 + y).inverse() * z * (3 + y).inverse(),
    p / (2 + q) * p,
    (1 + x**2).inverse() + y,
]


@pytest.mark.parametrize("expression", POLYNOMIALS, ids=repr)
def test_moments_to_order_8_are_those_of_words(expression):
    """Two independent ways: a contour integral of the transform, and the algebra of free words."""
    exact = expression.moments(8)
    found = expression.law("operator").moments(8)
    np.testing.assert_allclose(found, exact, atol=1e-8 * np.abs(exact).max(), rtol=1e-8)


@pytest.mark.parametrize("expression", POLYNOMIALS + RATIONAL, ids=repr)
def test_matrices_have_the_law(expression):
    law = expression.law("operator")
    values = np.linalg.eigvalsh(expression.sample(500, np.random.default_rng(0)))
    assert kolmogorov(law, values) < 8 / 500
    low, high = law.hull
    assert low - 0.05 * (high - low) < values[0] and values[-1] < high + 0.05 * (high - low)


@pytest.mark.slow
@pytest.mark.parametrize("expression", [*POLYNOMIALS[:12], *RATIONAL], ids=repr)
def test_matrices_of_size_1500_have_the_law(expression):
    values = np.linalg.eigvalsh(expression.sample(1500, np.random.default_rng(0)))
    assert kolmogorov(expression.law("operator"), values) < 0.01


BOTH = [
    x + y,
    x + 2 * z - 1,
    x**2 + y,
    z * x * z,
    z * x * z + y,
    x * z * x,
    (x + 3).inverse() + y,
    (x + z + 4).inverse(),
    x**4,
    (p + x) ** 2,
    p * z * p,
    3 - 2 * y * p * y,
]


@pytest.mark.parametrize("expression", BOTH, ids=repr)
def test_scalar_moves_and_operators_agree(expression):
    scalar, operator = law_of(expression, "scalar").law, law_of(expression, "operator").law
    shares = (np.arange(15) + 0.5) / 15
    points = np.concatenate([low + (high - low) * shares for low, high in operator.bands])
    largest = operator.density(points).max()
    np.testing.assert_allclose(scalar.density(points), operator.density(points), atol=1e-9 * largest, rtol=1e-9)
    np.testing.assert_allclose(scalar.cdf(points), operator.cdf(points), atol=1e-9)
    np.testing.assert_allclose(
        [scalar.mean, scalar.variance], [operator.mean, operator.variance], rtol=1e-9, atol=1e-12
    )


# --- random polynomials -------------------------------------------------------------------------------------------

LAWS = [
    Semicircle(),
    Semicircle(0.3),
    MarchenkoPastur(0.5),
    MarchenkoPastur(1.0),
    MarchenkoPastur(2.0),
    Bernoulli(),
    Projection(0.5),
    Projection(0.3),
    Uniform(-1.0, 1.0),
    Atoms([-1.0, 0.5, 2.0], [0.2, 0.5, 0.3]),
]
coefficients = st.tuples(st.integers(-3, 3), st.integers(-2, 2)).map(lambda pair: complex(pair[0] + 0.5, pair[1]))
words = st.lists(st.integers(0, 2), min_size=1, max_size=4)
polynomials = st.tuples(
    st.lists(st.sampled_from(LAWS), min_size=3, max_size=3),
    st.lists(st.tuples(coefficients, words), min_size=1, max_size=3),
)


def built(drawn):
    laws, terms = drawn
    variables = free_variables(*laws)
    total = 0
    for coefficient, word in terms:
        term = coefficient
        for letter in word:
            term = term * variables[letter]
        total = total + term + term.H
    return total


def distance_where_converged(law, values):
    """Kolmogorov distance on the points that are not marked; of the others, beside atoms and hard edges, there are few."""
    off_atoms = np.array(
        [np.abs(value - np.array([x for x, _ in law.atoms])).min(initial=1.0) > 1e-9 for value in values]
    )
    found = law.cdf(values[off_atoms], throw=False)
    known = np.isfinite(found)
    assert known.sum() >= 0.8 * known.size
    ranks = (np.flatnonzero(off_atoms) + 0.5) / values.size
    return np.abs(found - ranks)[known].max(initial=0.0)


def assert_matrices_agree(drawn):
    expression = built(drawn)
    law = expression.law()
    moments = expression.moments(4)
    np.testing.assert_allclose(law.moments(4), moments, atol=1e-8 * np.abs(moments).max())
    values = np.linalg.eigvalsh(expression.sample(300, np.random.default_rng(0)))
    assert distance_where_converged(law, values) < 10 / 300


@pytest.mark.slow
@pytest.mark.always
@settings(max_examples=2)
@given(polynomials)
def test_random_polynomials_have_the_law_of_matrices(drawn):
    assert_matrices_agree(drawn)


@pytest.mark.slow
@settings(max_examples=200)
@given(polynomials)
def test_many_random_polynomials_have_the_law_of_matrices(drawn):
    assert_matrices_agree(drawn)


# --- refusals -----------------------------------------------------------------------------------------------------


def test_families_do_not_mix_without_saying_how():
    (first,), (second,) = free_variables(Semicircle()), free_variables(Semicircle())
    with pytest.raises(InputError, match="jointly_free"):
        first + second
    with pytest.raises(InputError, match="jointly_free"):
        first * second
    one, two = jointly_free(first, second)
    assert (one + two).law().variance == pytest.approx(2.0)
    assert (one + first).law().variance == pytest.approx(4.0)  # it is the same variable


def test_not_self_adjoint_is_refused_and_its_singular_law_is_not():
    with pytest.raises(InputError, match=r"p\.H"):
        (x * z).law()
    with pytest.raises(InputError, match=r"p\.H"):
        (1j * (x + y)).law("operator")
    assert (x * z).singular_law().mean == pytest.approx(float((z**2).moments(1)[0]), abs=1e-12)


@pytest.mark.parametrize(
    "expression", [x.inverse(), pytest.param(x * y.inverse() * x + y, marks=pytest.mark.slow), z + (u + u.H).inverse()]
)
def test_inverses_of_what_has_0_in_its_spectrum_are_refused(expression):
    with pytest.raises(InputError, match="0"):
        expression.law()


@pytest.mark.slow
def test_inverses_of_what_has_no_0_in_its_spectrum_are_taken():
    assert (u * (u + 2).inverse() + ((u + 2).H).inverse() * u.H).law().mean == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: x + "y", "expression or a number"),
        (lambda: x * float("nan"), "finite"),
        (lambda: x + Semicircle(), "free_variables"),
        (lambda: x**0.5, "whole number"),
        (lambda: x**1000, "whole number"),
        (lambda: free_variables(), "at least one"),
        (lambda: free_variables(3.0), "PointMass"),
        (lambda: free_variables(Semicircle(), names="x y"), "1 names"),
        (lambda: (x - x + 0).law("matrix"), "method"),
        (lambda: (x * y + y * x).law("scalar"), "operator"),
        (lambda: (x + (3 + y).inverse()).moments(2), "polynomial"),
        (lambda: x.moments(0), "order"),
        (lambda: (1e200 * x * x + y).law(), "scale the expression"),
        (lambda: jointly_free(x, "y"), "expression or a number"),
        (lambda: free_variables(Semicircle(), Semicircle(), names="a a"), "different names"),
        (lambda: x + np.eye(2), "Given"),
        (lambda: Circular(0.0), "variance"),
        (lambda: RDiagonal(Semicircle()), "modulus"),
        (lambda: (commutator(x, y).inverse() * 1j).law(), "defined for none|spectrum"),
    ],
)
def test_bad_input_is_one_sentence(build, message):
    with pytest.raises(InputError, match=message) as caught:
        build()
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.always
def test_a_narrow_band_at_0_is_not_lost():
    """A·P + P·A with A near 1 has half its mass within 1.3e-7 of 0."""
    first, second = free_variables(Atoms([1.0, 1.001], [0.5, 0.5]), Projection(0.5))
    law = (first * second + second * first).law()
    assert len(law.bands) == 2 and law.bands[0][0] == pytest.approx(-1.2493754e-7, rel=1e-6)
    assert float(law.cdf(1.0)) == pytest.approx(0.5, abs=1e-9)


@pytest.mark.slow
@pytest.mark.always
def test_hard_edges_at_0_are_at_0():
    first, second = free_variables(RDiagonal(Atoms([0.0, 1.0], [0.4, 0.6])), Projection(0.5))
    law = (first * second * first.H + second).law()
    assert law.hull[0] == 0.0 == law.bands[0][0] and float(law.cdf(0.0)) == 0.0


def test_powers_of_expressions_are_images_of_their_law():
    """XY + YX ends at √½ times the zero of the discriminant of its cubic (tests/operators/test_matrix_law.py)."""
    edge = np.sqrt((11 + 5 * np.sqrt(5)) / 4)
    assert ((x * y + y * x) ** 8).law("operator").hull == pytest.approx((0.0, edge**8), rel=1e-9)


@pytest.mark.slow
def test_powers_of_expressions_have_the_law_of_their_matrices():
    cube = (x * y * x) ** 3
    values = np.linalg.eigvalsh(cube.sample(300, np.random.default_rng(0)))
    assert np.abs(cube.law("operator").cdf(values[::10]) - (np.arange(0, 300, 10) + 0.5) / 300).max() < 8 / 300


def test_an_inverse_of_a_unitary_is_its_adjoint():
    assert [atom.mass for atom in (u * p * u.inverse() + q).law().atoms] == pytest.approx([0.2, 0.2])


def test_an_atom_is_not_taken_for_another_whose_multiplicity_agrees_by_chance():
    """Of 240 eigenvalues both 0.467 and 0.466 are rounded to 112, so 0.533 minus either has 16; a band begins at 6e-4."""
    law = Mixture([PointMass(0.0), Uniform(6e-4, 1.0)], [0.066, 0.934])
    values = np.concatenate([np.zeros(16), np.linspace(6e-4, 1.0, 224)])
    parts = [(128, 0.533), (112, 0.467), (112, 0.466), (80, 0.334), (48, 0.2)]
    assert expression_atoms(law, values, parts) == ((0.0, pytest.approx(0.066, abs=1e-12)),)


def test_constants_are_point_masses():
    assert (x - x + 3).law().atoms == ((3.0, 1.0),)
    assert (x * y - x * y + 2).law("operator").atoms == ((2.0, 1.0),)
    assert (u * u.H).law().atoms == ((1.0, 1.0),)
