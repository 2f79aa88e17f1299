"""Algebra of ⊞ and ⊠ on random laws, and agreement with large matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import (
    Atoms,
    Empirical,
    MarchenkoPastur,
    Projection,
    Semicircle,
    compress,
    free_difference,
    free_power,
    free_product,
    free_sum,
    mirror,
    scale,
    shift,
    symmetric_root,
    symmetric_square,
)
from tests.moves.test_stress import total_mass
from tests.orthogonal import haar

few = settings(max_examples=max(3, settings().max_examples // 4))  # 25 in `make slow`
distinct = st.lists(st.integers(0, 40), min_size=2, max_size=6, unique=True).map(lambda k: 0.1 + np.array(k) / 8)
weighted = st.builds(
    lambda x, w: Atoms(x, (w := np.array(w[: len(x)])) / w.sum()),
    distinct,
    st.lists(st.floats(0.1, 1.0), min_size=6, max_size=6),
)
small_sample = st.builds(
    lambda n, seed: Empirical(np.random.default_rng(seed).gamma(2.0, size=n)), st.integers(2, 12), st.integers(0, 10**6)
)
positive = st.one_of(
    st.builds(MarchenkoPastur, st.floats(0.1, 3.0)),
    st.builds(Projection, st.floats(0.1, 0.9), st.floats(0.3, 3.0)),
    weighted,
    small_sample,
    st.builds(lambda v, c: shift(Semicircle(v), 2 * v**0.5 + c), st.floats(0.05, 2.0), st.floats(0.05, 1.0)),
    st.builds(lambda r, f, c: shift(scale(MarchenkoPastur(r), f), c), *[st.floats(0.2, 2.0)] * 3),
)
signed = st.one_of(
    positive,
    st.builds(Semicircle, st.floats(0.05, 2.0)),
    st.builds(lambda law, c: shift(mirror(law), c), positive, st.floats(-1.0, 1.0)),
)


def probes(law):
    """Points around the support: beside it, above it near and far."""
    low, high = law.hull
    width = high - low
    return np.array([low - 0.2 * width, high + 0.3 * width]), low + width * np.array(
        [-0.1 + 0.1j, 0.4 + 0.02j, 0.9 + 1j]
    )


def assert_same(one, other, tolerance=1e-10):
    """G, ends and atoms of two laws agree."""
    low, high = one.hull
    for z in probes(one):
        assert np.allclose(one.cauchy(z), other.cauchy(z), rtol=tolerance, atol=0)
    assert other.hull == pytest.approx((low, high), abs=tolerance * (abs(low) + abs(high)))
    assert other.mean == pytest.approx(one.mean, rel=1e-12, abs=1e-12)
    assert other.variance == pytest.approx(one.variance, rel=1e-12)
    heavy = [[atom for atom in law.atoms if atom.mass > 1e-10] for law in (one, other)]
    assert np.array(heavy[1]) == pytest.approx(np.array(heavy[0]), abs=1e-10)


@given(signed, signed)
def test_sums_commute(x, y):
    assert_same(free_sum(x, y), free_sum(y, x))


@few
@given(signed, signed, signed)
def test_sums_associate(x, y, z):
    flat = free_sum(x, y, z)
    assert_same(flat, free_sum(x, free_sum(y, z)))
    assert_same(flat, free_sum(free_sum(z, x), y))


@given(positive, positive)
def test_products_commute(x, y):
    assert_same(free_product(x, y), free_product(y, x))


@few
@given(positive, positive, positive)
def test_products_associate(x, y, z):
    flat = free_product(x, y, z)
    assert_same(flat, free_product(x, free_product(y, z)))
    assert_same(flat, free_product(free_product(z, x), y))


@given(signed, signed)
def test_free_cumulants_add(x, y):
    law = free_sum(x, y)
    radius = max(abs(v) for v in law.hull)
    scales = radius ** np.arange(1, 9)
    total = x.free_cumulants(8) + y.free_cumulants(8)
    assert np.allclose(law.free_cumulants(8) / scales, total / scales, rtol=0, atol=1e-12)


@given(signed, signed)
def test_r_transforms_add(x, y):
    law = free_sum(x, y)
    for side, end in ((1, law.hull[1]), (-1, law.hull[0])):
        width = max(law.hull[1] - law.hull[0], 1e-3)
        g = law.cauchy(end + side * width * np.array([0.3, 1.0, 4.0])).real
        assert np.allclose(law.r_transform(g), x.r_transform(g) + y.r_transform(g), rtol=1e-10, atol=1e-10)


@given(positive, positive)
def test_s_transforms_multiply(x, y):
    law = free_product(x, y)
    z = law.hull[1] * np.array([1.3, 2.0, 6.0])
    u = (z * law.cauchy(z) - 1).real
    assert np.allclose(law.s_transform(u), x.s_transform(u) * y.s_transform(u), rtol=1e-10, atol=0)


@given(signed, signed, st.floats(0.2, 4.0), st.floats(-2.0, 2.0))
def test_scaling_and_shifting_pass_through_sums(x, y, factor, constant):
    moved = free_sum(shift(scale(x, factor), constant), scale(y, factor))
    assert_same(moved, shift(scale(free_sum(x, y), factor), constant))


@given(positive, positive, st.floats(0.2, 4.0), st.floats(0.2, 4.0))
def test_scaling_passes_through_products(x, y, first, second):
    assert_same(free_product(scale(x, first), scale(y, second)), scale(free_product(x, y), first * second))


@few
@given(signed, signed)
def test_mirroring_passes_through_sums(x, y):
    assert_same(free_sum(mirror(x), mirror(y)), mirror(free_sum(x, y)))
    assert_same(free_difference(x, y), mirror(free_difference(y, x)))


def test_the_difference_of_two_equal_laws_is_symmetric_and_that_of_others_is_not():
    law = free_difference(MarchenkoPastur(0.5), MarchenkoPastur(0.5))
    assert law.symmetric and law.hull[0] == -law.hull[1]
    z = np.array([0.3 + 0.2j, -1.0 + 0.01j])
    w = free_sum(MarchenkoPastur(0.5), mirror(MarchenkoPastur(0.5 + 1e-12)))  # not equal: by the general way
    assert not w.symmetric
    assert law.cauchy(z) == pytest.approx(w.cauchy(z), rel=1e-9)
    assert law.cdf([-1.0, 0.0]) == pytest.approx(w.cdf([-1.0, 0.0]), abs=1e-9)


@few
@given(signed, st.floats(1.0, 3.0), st.floats(1.0, 3.0))
def test_additive_powers_compose_and_add(x, s, t):
    assert_same(free_power(free_power(x, s), t), free_power(x, s * t))
    assert_same(free_sum(free_power(x, s), free_power(x, t)), free_power(x, s + t), 1e-9)
    assert_same(free_sum(x, x, x), free_power(x, 3))


@few
@given(positive, st.floats(1.0, 3.0), st.floats(1.0, 3.0))
def test_multiplicative_powers_compose_and_multiply(x, s, t):
    assert_same(free_power(free_power(x, s, "product"), t, "product"), free_power(x, s * t, "product"))
    both = free_product(free_power(x, s, "product"), free_power(x, t, "product"))
    assert_same(both, free_power(x, s + t, "product"), 1e-9)
    assert_same(free_product(x, x, x), free_power(x, 3, "product"))


@few
@given(signed, signed, st.floats(0.2, 1.0), st.floats(0.2, 1.0))
def test_compression_composes_and_passes_through_sums(x, y, t, r):
    assert_same(compress(compress(x, t), r), compress(x, t * r))
    assert_same(compress(free_sum(x, y), t), free_sum(compress(x, t), compress(y, t)))


@few
@given(positive)
def test_square_and_root_are_inverse_and_compression_is_a_product_with_a_projection(x):
    assert_same(symmetric_square(symmetric_root(x)), x)
    t = 0.4
    product = free_product(x, Projection(t))
    z = probes(product)[1]
    corner = compress(x, t)
    assert np.allclose(product.cauchy(z), t * corner.cauchy(z) + (1 - t) / z, rtol=1e-10, atol=0)


@pytest.mark.parametrize("operation", [free_sum, free_product])
@few
@given(data=st.data())
def test_mass_positivity_and_a_monotone_distribution_function(operation, data):
    laws = signed if operation is free_sum else positive
    law = operation(data.draw(laws), data.draw(laws))
    low, high = law.hull
    width = high - low
    grid = low + width * (np.arange(301) + 0.37) / 301
    grid = grid[np.all([np.abs(grid - x) > 1e-6 * width for x, _ in law.atoms] or [grid == grid], axis=0)]
    density, cdf = law.density(grid), law.cdf(grid)
    assert np.isfinite(density).all() and (density >= 0).all()
    assert (np.diff(cdf) >= -1e-12).all()
    assert law.cdf([low - 0.1 * width, high + 0.1 * width]).tolist() == [0.0, 1.0]
    assert abs(total_mass(law) - 1) < 1e-7
    dark = np.all([(grid < a) | (grid > b) for a, b in law.bands] or [grid == grid], axis=0)
    assert np.allclose(density[dark] * width, 0.0, rtol=0, atol=1e-6)


@pytest.mark.parametrize("operation", [free_sum, free_product])
@few
@given(data=st.data())
def test_quantile_inverts_the_distribution_function(operation, data):
    laws = signed if operation is free_sum else positive
    law = operation(data.draw(laws), data.draw(laws))
    low, high = law.hull
    p = np.array([0.003, 0.1, 0.31, 0.52, 0.77, 0.999])
    x = law.quantile(p)
    assert (np.diff(x) >= 0).all() and x[0] >= low and x[-1] <= high
    step = 1e-9 * (high - low)
    assert (law.cdf(x + step) >= p - 1e-7).all()
    assert (law.cdf(x - step) <= p + 1e-7).all()


CASES = {
    "two-sided sum": (
        lambda x, y: free_sum(x, y),
        lambda x, y: x + y,
        Atoms([-1.0, 0.5, 3.0], [0.3, 0.3, 0.4]),
        Semicircle(0.3),
    ),
    "difference": (free_difference, lambda x, y: x - y, MarchenkoPastur(0.5), MarchenkoPastur(1.0)),
    "product": (free_product, None, MarchenkoPastur(0.5), shift(Semicircle(1.0), 2.5)),
    "product with atoms": (free_product, None, Projection(0.7, 2.0), Atoms([0.0, 1.0, 4.0], [0.2, 0.5, 0.3])),
    "chain": (free_product, None, free_sum(MarchenkoPastur(0.3), Projection(0.6)), MarchenkoPastur(2.0)),
    "sample": (free_product, None, Empirical(np.random.default_rng(5).gamma(2.0, size=40)), MarchenkoPastur(0.2)),
    "compression": (lambda x, y: free_product(x, y), None, Atoms([1.0, 2.0, 5.0]), Projection(0.35)),
}


def compare_with_matrix(name, size):
    operation, add, x, y = CASES[name]
    levels = (np.arange(size) + 0.5) / size
    rng = np.random.default_rng(size)
    q = haar(size, size, rng)
    left, right = x.quantile(levels), y.quantile(levels)
    if add:
        eigenvalues = np.linalg.eigvalsh(add(np.diag(left), (q * right) @ q.T))
    else:  # singular values: eigenvalues of the product itself lose small ones
        eigenvalues = np.sort(np.linalg.svd(np.sqrt(left)[:, None] * q * np.sqrt(right), compute_uv=False) ** 2)
    law = operation(x, y)
    low, high = law.hull
    near = np.zeros(size, dtype=bool)
    for position, mass in law.atoms:
        here = np.abs(eigenvalues - position) < 1e-8 * (high - low)
        assert here.mean() == pytest.approx(mass, abs=2.5 / size)
        near |= here
    assert np.abs(law.cdf(eigenvalues[~near]) - levels[~near]).max() < 6 / size  # rigidity: log N/N
    assert eigenvalues[0] > low - 0.02 * (high - low)
    assert eigenvalues[-1] < high + 0.02 * (high - low)


@pytest.mark.parametrize("name", ["two-sided sum", "product with atoms"])
def test_agreement_with_matrices_of_600(name):
    compare_with_matrix(name, 600)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_agreement_with_matrices_of_1500(name):
    compare_with_matrix(name, 1500)
