"""Variables on legs of a tensor: moments against partitions that cross where letters commute, groups, and drawn tensors."""

from functools import cache
from itertools import pairwise, product

import numpy as np
import pytest

from freeness import (
    Atoms,
    Bernoulli,
    Circular,
    HaarUnitary,
    InputError,
    MarchenkoPastur,
    Projection,
    Semicircle,
    classical_product,
    classical_sum,
    free_variables,
    jointly_free,
)
from freeness.expressions.legs import linked, on_legs
from tests.expressions.leg_enumeration import Polynomial

TWO = [(0,), (1,), (0, 1), (0,)]
THREE = [(0, 1), (1, 2), (0, 2), (2,), (0,), (0, 1, 2)]


def crossed(block, other):
    """Whether two blocks of a partition cross: members of one lie both inside and outside a gap between two of the other."""
    gaps = pairwise(block)
    return any(0 < sum(low < k < high for k in other) < len(other) for low, high in gaps)


def by_partitions(word, legs, cumulants):
    """τ of a word of variables: the sum over partitions whose blocks hold one variable each and cross only where they commute."""

    def hopeless(k, blocks):
        """Whether a variable with pairs only has more single members, before k, than members to come."""
        singles = [word[block[0]] for block in blocks if len(block) == 1]
        return any(singles.count(v) > word[k:].count(v) for v in set(singles) if cumulants[v] is of_semicircle)

    def extended(k, blocks):
        if hopeless(k, blocks):
            return 0.0
        if k == len(word):
            return float(np.prod([cumulants[word[block[0]]](len(block)) for block in blocks]))
        total = 0.0
        for i, block in enumerate([*blocks, ()]):
            if block and (word[block[0]] != word[k] or (len(block) == 2 and cumulants[word[k]] is of_semicircle)):
                continue
            grown = (*block, k)
            rest = blocks[:i] + blocks[i + 1 :]
            apart = (other for other in rest if crossed(grown, other))
            if not any(set(legs[word[k]]) & set(legs[word[other[0]]]) for other in apart):
                total += extended(k + 1, [*rest, grown])
        return total

    return extended(0, [])


def of_semicircle(size):
    return float(size == 2)


def of_marchenko_pastur(size):
    return 0.5 ** (size - 1)


def test_partitions_cross_as_they_should():
    assert crossed((0, 2), (1, 3))
    assert crossed((1, 3), (0, 2))
    assert not crossed((0, 3), (1, 2))
    assert not crossed((1, 2), (0, 3))
    assert not crossed((0, 1), (2, 3))
    assert crossed((0, 2, 4), (1, 5))


def moments_by_partitions(terms, legs, cumulants, order):
    """Moments of Σ coefficient·word."""
    known = cache(lambda word: by_partitions(word, legs, cumulants))
    found = []
    for power in range(1, order + 1):
        total = 0.0
        for chosen in product(terms, repeat=power):
            weight = np.prod([coefficient for coefficient, _ in chosen])
            total += weight * known(tuple(k for _, word in chosen for k in word))
        found.append(total)
    return found


def random_polynomial(seed):
    """Terms, legs and cumulants: of degree 2 in semicircular variables, or linear in these and Marchenko–Pastur ones."""
    rng = np.random.default_rng(seed)
    pool = TWO if seed % 2 else THREE
    legs = [pool[k] for k in rng.permutation(len(pool))[:3]]
    linear = seed % 3 == 0
    words = [(k,) for k in range(3)] if linear else [tuple(rng.integers(3, size=2).tolist()) for _ in range(2)]
    terms = [(float(rng.integers(1, 4)), word) for word in words]
    cumulants = [of_marchenko_pastur if linear and k % 2 else of_semicircle for k in range(3)]
    return terms, legs, cumulants


def expression_of(terms, legs, cumulants):
    laws = [Semicircle(1.0) if kappa is of_semicircle else MarchenkoPastur(0.5) for kappa in cumulants]
    letters = free_variables(*laws, legs=legs)
    return sum(coefficient * np.prod([letters[k] for k in word]) for coefficient, word in terms)


def agree(seed, order):
    terms, legs, cumulants = random_polynomial(seed)
    exact = moments_by_partitions(terms, legs, cumulants, order)
    measured = expression_of(terms, legs, cumulants).moments(order)
    assert measured == pytest.approx(exact, rel=1e-11, abs=1e-11), (terms, legs)


@pytest.mark.parametrize("seed", range(4))
def test_moments_are_sums_over_partitions_that_cross_where_letters_commute(seed):
    agree(seed, 4)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "order"), [*((seed, 6) for seed in range(50)), (1, 8), (2, 8)])
def test_moments_of_random_polynomials_are_sums_over_partitions(seed, order):
    agree(seed, order)


def assert_exact_and_drawn(seed):
    """To order 8; in units of the moment of |p| of the same order, beside which odd ones may vanish."""
    polynomial = Polynomial(seed)
    known, found = polynomial.by_partitions(), polynomial.expression.moments(8)
    orders = np.arange(1, 9)
    even = 2 * ((orders + 1) // 2)
    sizes = known[even - 1] ** (orders / even)
    assert (np.abs(found - known) < 1e-12 * sizes).all(), (polynomial.terms, polynomial.legs)
    drawn, error = polynomial.drawn(seed)
    assert (np.abs(drawn - known) < 0.01 * sizes + 3 * error).all(), (polynomial.terms, polynomial.legs)
    assert (3 * error < 0.05 * sizes).all()


@pytest.mark.slow
@pytest.mark.always
@pytest.mark.parametrize("seed", [1, 3])
def test_moments_of_some_random_polynomials_to_order_8(seed):
    assert_exact_and_drawn(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", sorted({*range(50)} - {1, 3}))
def test_moments_of_random_polynomials_to_order_8_are_exact_and_those_of_drawn_tensors(seed):
    assert_exact_and_drawn(seed)


def returns(steps, edges, length):
    """Closed words of ``length`` letters in the right-angled Coxeter group of a graph: generators of order 2, edges commute."""

    def reduced(word):
        for j, letter in enumerate(word):
            for k in range(j + 1, len(word)):
                if word[k] == letter:
                    return reduced(word[:j] + word[j + 1 : k] + word[k + 1 :])
                if frozenset((letter, word[k])) not in edges:
                    break
        return word

    known = cache(reduced)
    return sum(not known(word) for word in product(range(steps), repeat=length))


def test_signs_are_generators_of_a_right_angled_coxeter_group():
    """Bernoulli variables on legs (0), (1), (0, 1), (2): those without a common leg commute in the group."""
    legs = [(0,), (1,), (0, 1), (2,)]
    signs = free_variables(*[Bernoulli()] * 4, legs=legs, names="a b c d")
    edges = {frozenset((i, j)) for i in range(4) for j in range(i) if not set(legs[i]) & set(legs[j])}
    assert sum(signs).moments(6).tolist() == pytest.approx([returns(4, edges, n) for n in range(1, 7)])


def test_unitaries_on_disjoint_legs_walk_on_a_grid_and_on_one_leg_on_a_tree():
    u, v = free_variables(HaarUnitary(), HaarUnitary(), legs=["rows", "columns"])
    assert (u + v + u.H + v.H).moments(8)[1::2].tolist() == pytest.approx([4, 36, 400, 4900])  # binomial(2k, k)²


def test_sums_and_products_over_disjoint_legs_have_the_moments_of_classical_ones():
    laws = Semicircle(0.7), MarchenkoPastur(0.5)
    x, y = free_variables(*laws, legs=[0, 1])
    assert (x + y).moments(8) == pytest.approx(classical_sum(*laws).moments(8), rel=1e-11, abs=1e-12)
    assert (x * y).moments(8) == pytest.approx(classical_product(*laws).moments(8), rel=1e-11, abs=1e-12)
    assert (x + x * y).is_self_adjoint
    assert not (x + 1j * y).is_self_adjoint


def test_a_layer_over_positions_and_one_over_channels():
    """(1⊗V)D(W⊗1) with Gaussian V, W and D a projection of trace p on both legs: m2 = p + 2p² + p⁴ (free: p + 2p²)."""
    p = 0.5
    v, d, w = free_variables(Circular(), Projection(p), Circular(), legs=[1, (0, 1), 0])
    jacobian = v * d * w
    assert (jacobian.H * jacobian).moments(2)[1] == pytest.approx(p + 2 * p**2 + p**4, rel=1e-12)
    v, d, w = free_variables(Circular(), Projection(p), Circular())
    jacobian = v * d * w
    assert (jacobian.H * jacobian).moments(2)[1] == pytest.approx(p + 2 * p**2, rel=1e-12)


def drawn_moments(expression, side, order, seed):
    """Of one tensor, by traces of powers."""
    matrix = expression.sample(side ** len(expression.legs), np.random.default_rng(seed))
    powers = [np.eye(len(matrix)), matrix]
    for _ in range(order // 2 - 1):
        powers.append(powers[-1] @ matrix)
    return [np.vdot(powers[k // 2].conj().T, powers[k - k // 2]).real / len(matrix) for k in range(1, order + 1)]


@pytest.mark.parametrize(
    ("legs", "side"), [([0, 1, (0, 1)], 16), pytest.param([(0, 1), (1, 2), 2], 12, marks=pytest.mark.slow)]
)
def test_moments_are_those_of_drawn_tensors(legs, side):
    """Spectra whose masses are multiples of 1/side, so that a drawn matrix has them exactly; Haar eigenvectors."""
    x, y, z = free_variables(
        Atoms([-1.0, 0.5, 2.0], [0.25, 0.5, 0.25]),
        Atoms([0.0, 1.0], [0.5, 0.5]),
        Atoms([-0.5, 1.0], [0.5, 0.5]),
        legs=legs,
    )
    expression = x + y * z + z * y + 0.5 * x * z * x
    draws = [drawn_moments(expression, side, 8, seed) for seed in range(3)]
    exact, error = expression.moments(8), np.std(draws, axis=0) / np.sqrt(3)
    assert (np.abs(np.mean(draws, axis=0) - exact) < 0.01 * np.abs(exact) + 4 * error).all()


def test_legs_are_read_and_refused_in_one_sentence():
    with pytest.raises(InputError, match="expected 2 entries in legs"):
        free_variables(Semicircle(), Semicircle(), legs=[0])
    with pytest.raises(InputError, match="expected 1 entries in legs"):
        free_variables(Semicircle(), legs=[()])
    for wrong in ([0, 1.5], [0, None], [0, (1, (2,))], 3):
        with pytest.raises(InputError, match="expected 2 entries in legs"):
            free_variables(Semicircle(), Semicircle(), legs=wrong)
    (x,), (y,) = free_variables(Semicircle(), legs=[0]), free_variables(Semicircle(), legs=[1])
    with pytest.raises(InputError, match="share legs"):
        jointly_free(x, y)


def test_legs_may_be_whole_numbers_of_numpy():
    x, y = free_variables(Semicircle(), Semicircle(), legs=np.arange(2))
    assert (x + y).legs == [0, 1] and (x + y).moments(4)[3] == pytest.approx(10.0)


def test_a_matrix_on_some_legs_is_a_kronecker_product():
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal((2, 2)) for _ in range(3))
    assert np.allclose(on_legs(np.kron(a, b), frozenset([0, 2]), [0, 1, 2], 2), np.kron(np.kron(a, np.eye(2)), b))
    assert np.allclose(on_legs(c, frozenset(["b"]), ["a", "b"], 2), np.kron(np.eye(2), c))


def test_links_join_groups():
    assert linked([1, 3, 2, 7], lambda a, b: abs(a - b) == 1) == [[1, 3, 2], [7]]
