"""Free products against exact laws (theory.md §1, numbers in brackets)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import Atoms, InputError, MarchenkoPastur, PointMass, Projection, free_product, resize, scale, shift
from tests.orthogonal import rotated


def fuss_catalan(s: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and densities of MP(1)^{⊠s} (3)."""
    phi = (np.arange(count) + 0.5) / count * np.pi / (s + 1)
    x = np.sin((s + 1) * phi) ** (s + 1) / (np.sin(phi) * np.sin(s * phi) ** s)
    return x, np.sin(phi) ** 2 * np.sin(s * phi) ** (s - 1) / (np.pi * np.sin((s + 1) * phi) ** s)


@pytest.mark.parametrize("s", [2, 3, 5, 10])
def test_product_of_marchenko_pastur_laws_is_fuss_catalan(s):
    law = free_product(*[MarchenkoPastur(1.0)] * s)
    x, density = fuss_catalan(s, 1000)
    bulk = slice(10, 990)  # nearer to the ends the condition number of the density itself exceeds the tolerance
    assert np.allclose(law.density(x)[bulk], density[bulk], rtol=1e-10)
    assert np.allclose(law.density(x), density, rtol=1e-8)
    assert law.hull == pytest.approx((0.0, (s + 1) ** (s + 1) / s**s), rel=1e-12, abs=1e-12)
    assert law.variance == pytest.approx(s)


@given(st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_free_product_of_projections_has_the_exact_density_edges_and_atoms(a, b):
    law = free_product(Projection(a), Projection(b))
    centre, half = a + b - 2 * a * b, np.sqrt(4 * a * b * (1 - a) * (1 - b))
    low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    x = low + (high - low) * (np.arange(50) + 0.5) / 50
    exact = np.sqrt((high - x) * (x - low)) / (2 * np.pi * x * (1 - x))
    assert np.allclose(law.density(x), exact, rtol=1e-9)
    atoms = dict(law.atoms)
    assert atoms[0.0] == pytest.approx(1 - min(a, b), abs=1e-15)
    assert atoms.get(1.0, 0.0) == pytest.approx(max(a + b - 1, 0), abs=1e-12)
    assert law.cdf(high) == pytest.approx(1 - atoms.get(1.0, 0.0), abs=1e-7)


def test_product_of_two_half_ratio_marchenko_pastur_laws_has_the_known_edges():
    law = free_product(MarchenkoPastur(0.5), MarchenkoPastur(0.5))
    assert law.hull == pytest.approx((0.02835014, 4.40914986), abs=5e-9)


@pytest.mark.parametrize("depth", [2, 3, 10])
def test_orthogonal_relu_jacobian_has_the_known_edge(depth):
    law = free_product(*[scale(Projection(0.5), 2.0)] * depth)
    assert law.hull[1] == pytest.approx(depth**depth / (depth - 1) ** (depth - 1) if depth > 2 else 4.0, rel=1e-11)


positive_laws = st.one_of(
    st.builds(MarchenkoPastur, st.floats(0.1, 3.0)),
    st.builds(Projection, st.floats(0.1, 0.9), st.floats(0.2, 3.0)),
    st.builds(lambda x: Atoms(x), st.lists(st.floats(0.1, 5.0), min_size=1, max_size=4, unique=True)),
    st.builds(lambda r, c: shift(MarchenkoPastur(r), c), st.floats(0.1, 1.0), st.floats(0.1, 2.0)),
)


@settings(max_examples=8)
@given(positive_laws, positive_laws, positive_laws)
def test_free_product_commutes_and_associates(x, y, z):
    laws = [free_product(x, y, z), free_product(z, free_product(y, x)), free_product(free_product(y, z), x)]
    top = laws[0].hull[1]
    points = top * np.array([-0.5, 0.1 + 0.2j, 0.5 + 0.05j, 1.3, 2 + 1j])
    values = [law.cauchy(points) for law in laws]
    assert np.allclose(values[0], values[1], rtol=1e-9)
    assert np.allclose(values[0], values[2], rtol=1e-9)
    assert laws[1].hull[1] == pytest.approx(top, rel=1e-9)
    assert laws[0].variance == pytest.approx(laws[2].variance)


@given(positive_laws, positive_laws)
def test_moments_of_a_free_product_follow_from_those_of_the_factors(x, y):
    """m₂ = m₂m₁'² + m₁²m₂' - m₁²m₁'², m₃ by the non-crossing partitions of Nica, Speicher (2006), lecture 14."""
    law = free_product(x, y)
    a1, a2, a3 = (x.moment(k) for k in (1, 2, 3))
    b1, b2, b3 = (y.moment(k) for k in (1, 2, 3))
    k2, k3 = b2 - b1**2, b3 - 3 * b2 * b1 + 2 * b1**3
    second = a2 * b1**2 + a1**2 * k2
    third = a3 * b1**3 + 3 * a1 * a2 * b1 * k2 + a1**3 * k3
    assert law.moment(1) == pytest.approx(a1 * b1, rel=1e-10)
    assert law.moment(2) == pytest.approx(second, rel=1e-9)
    assert law.moment(3) == pytest.approx(third, rel=1e-8)


@settings(max_examples=8)
@given(positive_laws, positive_laws)
def test_distribution_function_rises_from_nought_to_one_and_its_slope_is_the_density(x, y):
    law = free_product(x, y)
    low, high = law.hull
    if high - low < 1e-9:
        return
    grid = low + (high - low) * (np.arange(60) + 0.5) / 60
    cdf = law.cdf(grid)
    assert np.all(np.diff(cdf) >= -1e-9)
    step = 1e-6 * (high - low)
    slope = (law.cdf(grid + step) - law.cdf(grid - step)) / (2 * step)
    density = law.density(grid)
    away = np.all([np.abs(grid - a.position) > 0.01 * (high - low) for a in law.atoms] or [grid == grid], axis=0)
    smooth = away & (np.abs(law.density(grid + step) - law.density(grid - step)) < 1e-3 * density)
    assert np.allclose(slope[smooth], density[smooth], rtol=1e-3, atol=1e-6 / (high - low))


def test_large_matrices_with_exact_quantile_spectra_agree():
    rng = np.random.default_rng(7)
    n = 800
    x, y = MarchenkoPastur(0.4), Atoms([0.5, 3.0], [0.7, 0.3])
    levels = (np.arange(n) + 0.5) / n
    root = np.sqrt(x.quantile(levels))
    middle = rotated(y.quantile(levels), rng)
    eigenvalues = np.linalg.eigvalsh(root[:, None] * middle * root)
    law = free_product(x, y)
    distance = np.abs(law.cdf(eigenvalues) - levels).max()
    assert distance < 3 / n  # rigidity: about log n/n; a wrong law is off by 1e-2 or more
    assert eigenvalues[-1] == pytest.approx(law.hull[1], rel=0.03)


def test_resize_drops_and_adds_null_directions():
    law = free_product(MarchenkoPastur(0.5), Projection(0.25))
    small = resize(law, 4.0)  # the corner of a Wishart matrix is a Wishart matrix: p/n = 0.5/4
    exact = MarchenkoPastur(0.125)
    x = np.linspace(*exact.hull, 50)[1:-1]
    assert np.allclose(small.density(x), exact.density(x), rtol=1e-9)
    assert small.atoms == ()
    assert np.allclose(resize(small, 0.25).cdf(x), law.cdf(x), atol=1e-9)


@given(positive_laws, st.floats(0.1, 10.0), st.floats(0.0, 3.0))
def test_scale_and_shift_move_every_quantile(law, factor, constant):
    moved = shift(scale(law, factor), constant)
    p = np.array([0.05, 0.3, 0.6, 0.95])
    assert np.allclose(moved.quantile(p), factor * law.quantile(p) + constant, rtol=1e-6)
    assert moved.mean == pytest.approx(factor * law.mean + constant)
    assert moved.variance == pytest.approx(factor**2 * law.variance, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: free_product(MarchenkoPastur(1.0), Atoms([-1.0, 2.0])), "non-negative"),
        (lambda: free_product(PointMass(0.0), MarchenkoPastur(1.0)), "mean > 0"),
        (lambda: resize(MarchenkoPastur(0.5), 2.0), "null directions"),
        (lambda: scale(MarchenkoPastur(0.5), 0.0), "factor other than 0"),
        (lambda: shift(MarchenkoPastur(0.5), np.nan), "finite constant"),
        (lambda: Atoms([0.0, np.nan]), "finite positions"),
        (lambda: Atoms([0.0, 1.0], [0.7, 0.7]), "sum to 1"),
        (lambda: Atoms([0.0, 1.0], [-0.5, 1.5]), "non-negative weights"),
        (lambda: MarchenkoPastur(0.0), "ratio"),
        (lambda: Projection(1.5), "trace"),
        (lambda: PointMass(np.inf), "finite position"),
        (lambda: MarchenkoPastur(1.0).quantile(1.5), r"\[0, 1\]"),
        (lambda: MarchenkoPastur(1.0).density([1.0, np.nan]), "finite points"),
        (lambda: MarchenkoPastur(1.0).density([1.0 + 1j]), "real points"),
        (lambda: MarchenkoPastur(1.0).moment(-1), "order"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
