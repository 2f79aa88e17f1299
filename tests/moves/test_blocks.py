"""Partial transposes and block-modified matrices against closed forms and drawn Wishart matrices."""

import numpy as np
import pytest

from freeness import (
    Atoms,
    InputError,
    MarchenkoPastur,
    PointMass,
    Semicircle,
    Uniform,
    block_modified,
    free_difference,
    free_poisson,
    kolmogorov,
    partial_transpose,
    scale,
    shift,
)


def wishart(size, ratio, seed):
    """A complex Wishart matrix of mean 1 whose law goes to MarchenkoPastur(ratio)."""
    rng = np.random.default_rng(seed)
    samples = round(size / ratio)
    g = rng.standard_normal((size, samples)) + 1j * rng.standard_normal((size, samples))
    return g @ g.conj().T / (2 * samples)


def on_blocks(matrix, n, change):
    """(id ⊗ φ) of a matrix on C^d ⊗ C^n."""
    d = len(matrix) // n
    blocks = matrix.reshape(d, n, d, n).transpose(0, 2, 1, 3)
    images = np.array([[change(blocks[i, j]) for j in range(d)] for i in range(d)])
    return images.transpose(0, 2, 1, 3).reshape(d * n, d * n)


@pytest.mark.parametrize(("n", "ratio"), [(2, 0.5), (3, 0.25), (3, 2.0)])
def test_transposed_wishart_blocks_are_a_free_difference_of_free_poisson_laws(n, ratio):
    """Banica, Nechita (2013): mW̃ is π_{m(n+1)/2} ⊟ π_{m(n-1)/2} with m = n/c."""
    law, m = partial_transpose(MarchenkoPastur(ratio), n), n / ratio
    exact = scale(free_difference(free_poisson(m * (n + 1) / 2), free_poisson(m * (n - 1) / 2)), 1 / m)
    x = np.linspace(*exact.hull, 23)[1:-1]
    assert np.abs(law.density(x) - exact.density(x)).max() < 1e-10
    assert law.hull == pytest.approx(exact.hull, abs=1e-10)
    values = np.linalg.eigvalsh(on_blocks(wishart(60 * n, ratio, n), n, np.transpose))
    assert kolmogorov(law, values) < 0.03


def test_transposed_wishart_blocks_of_growing_size_are_a_shifted_semicircle():
    law = partial_transpose(MarchenkoPastur(0.25))
    x = np.linspace(-0.5, 2.5, 41)
    assert np.allclose(law.density(x), shift(Semicircle(0.25), 1.0).density(x), atol=1e-14)
    values = np.linalg.eigvalsh(on_blocks(wishart(18 * 18, 0.25, 0), 18, np.transpose))
    assert kolmogorov(law, values) < 0.02
    near = partial_transpose(MarchenkoPastur(0.25), 40)
    assert near.free_cumulants(4) == pytest.approx([1.0, 0.25, 0.0, 0.0], abs=2e-3)


def test_only_a_partial_transpose_with_small_variance_is_positive():
    """Aubrun (2012): positive from 4 samples a dimension on."""
    assert partial_transpose(MarchenkoPastur(0.25)).hull[0] == pytest.approx(0.0)
    assert partial_transpose(MarchenkoPastur(0.3)).hull[0] < 0
    assert partial_transpose(PointMass(2.0)) == PointMass(2.0)


MAPS = {
    "identity": lambda a: a,
    "transpose": np.transpose,
    "trace": lambda a: np.trace(a) * np.eye(len(a)),
    "diagonal": lambda a: np.diag(np.diag(a)),
    "reduction": lambda a: np.trace(a) * np.eye(len(a)) - a,
    "mixture": lambda a: 0.5 * a + 0.25 * a.T,
}


@pytest.mark.parametrize("name", MAPS)
def test_modified_blocks_of_wishart_matrices_are_those_of_drawn_ones(name):
    n, ratio = 2, 0.5
    law = block_modified(MarchenkoPastur(ratio), MAPS[name], n)
    values = np.linalg.eigvalsh(on_blocks(wishart(90 * n, ratio, 1), n, MAPS[name]))
    assert kolmogorov(law, values) < 0.03
    assert law.mean == pytest.approx(values.mean(), abs=0.03)


def test_maps_whose_law_is_known_otherwise():
    law, x = MarchenkoPastur(0.5), np.linspace(0.05, 3.0, 12)
    assert np.abs(block_modified(law, MAPS["identity"], 3).density(x) - law.density(x)).max() < 1e-10
    of_blocks = scale(
        MarchenkoPastur(0.5 / 3**2), 3.0
    )  # Tr_2 W is a Wishart matrix with n times the samples of a third the size
    assert np.abs(block_modified(law, MAPS["trace"], 3).density(x + 1) - of_blocks.density(x + 1)).max() < 1e-10
    turned = block_modified(law, MAPS["transpose"], 3)
    assert np.abs(turned.density(x) - partial_transpose(law, 3).density(x)).max() < 1e-10
    assert block_modified(law, np.zeros_like, 2) == PointMass(0.0)


def test_any_unitarily_invariant_matrix_has_a_partial_transpose():
    for start in (Uniform(-1.0, 2.0), Atoms([-1.0, 0.0, 2.0])):
        law, cumulants = partial_transpose(start, 2), start.free_cumulants(5)
        exact = [k * 2.0**-p * (3 + (-1) ** p) for p, k in enumerate(cumulants, 1)]
        assert law.free_cumulants(5) == pytest.approx(exact, abs=1e-10)


def test_other_maps_are_refused_in_one_sentence():
    law = MarchenkoPastur(0.5)
    with pytest.raises(InputError, match="partial trace"):
        block_modified(law, lambda a: np.diag([1.0, 2.0]) @ a @ np.diag([1.0, 2.0]), 2)
    with pytest.raises(InputError, match="linear map"):
        block_modified(law, lambda a: a @ a, 2)
    with pytest.raises(InputError, match="linear map"):
        block_modified(law, lambda a: np.triu(a), 2)
    with pytest.raises(InputError, match="another shape"):
        block_modified(law, lambda a: a[:1], 2)
    with pytest.raises(InputError, match="size of blocks"):
        partial_transpose(law, 0)


@pytest.mark.parametrize(("change", "size"), [(3, 2), (np.transpose, 2.5), (np.transpose, "x"), (None, 1)])
def test_blocks_refuse_what_is_no_map_and_no_size(change, size):
    with pytest.raises(InputError, match=r"expected a (map|size) of"):
        block_modified(MarchenkoPastur(1.0), change, size)
