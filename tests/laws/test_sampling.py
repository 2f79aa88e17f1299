import numpy as np
import pytest
from scipy.stats import kstest

from freeness.errors import InputError
from freeness.laws import Atoms, MarchenkoPastur, Projection, Semicircle
from freeness.laws.distance import kolmogorov
from freeness.laws.sampling import (
    gaussian,
    goe,
    gue,
    haar_orthogonal,
    haar_unitary,
    jacobi,
    sample_matrix,
    sample_spectrum,
    wishart,
)
from freeness.laws.wachter import Wachter
from freeness.moves import free_product

SIZE = 300  # the distance of eigenvalues to their limit law is of order (log N)/N


def rng(seed=0):
    return np.random.default_rng(seed)


ENSEMBLES = {
    "goe": (lambda: goe(SIZE, rng()), Semicircle(1.0)),
    "gue": (lambda: gue(SIZE, rng()), Semicircle(1.0)),
    "wishart": (lambda: wishart(SIZE, 2 * SIZE, rng()), MarchenkoPastur(0.5)),
    "wishart, singular": (lambda: wishart(SIZE, SIZE // 3, rng()), MarchenkoPastur(3.0)),
    "wishart, complex": (lambda: wishart(SIZE, SIZE, rng(), "complex"), MarchenkoPastur(1.0)),
    "jacobi": (lambda: jacobi(SIZE, 2 * SIZE, 3 * SIZE, rng()), Wachter(2.0, 3.0)),
    "jacobi, atoms": (lambda: jacobi(SIZE, SIZE // 2, 3 * SIZE // 4, rng()), Wachter(0.5, 0.75)),
    "jacobi, complex": (lambda: jacobi(SIZE, 2 * SIZE, SIZE, rng(), "complex"), Wachter(2.0, 1.0)),
    "law": (lambda: sample_matrix(free_product(MarchenkoPastur(1.0), Projection(0.5)), SIZE, rng()),
            free_product(MarchenkoPastur(1.0), Projection(0.5))),
    "law, complex": (lambda: sample_matrix(Atoms([0.0, 1.0, 3.0]), SIZE, rng(), field="complex"), Atoms([0.0, 1.0, 3.0])),
}  # fmt: skip


@pytest.mark.parametrize("name", ENSEMBLES)
def test_spectra_have_the_limit_law_they_name(name):
    draw, law = ENSEMBLES[name]
    matrix = draw()
    np.testing.assert_allclose(matrix, matrix.conj().T, atol=1e-12)
    assert np.iscomplexobj(matrix) == (name == "gue" or "complex" in name)
    assert kolmogorov(law, np.linalg.eigvalsh(matrix)) < 5 / SIZE


def test_a_drawn_spectrum_is_a_sample_of_the_law():
    law = MarchenkoPastur(0.5)
    values = sample_spectrum(law, 2000, rng(), "drawn")
    assert kstest(values, law.cdf).pvalue > 0.01
    assert 0.001 < kolmogorov(law, values) < 1.63 / 2000**0.5
    assert kolmogorov(law, sample_spectrum(law, 2000, rng())) < 0.5 / 2000 + 1e-9
    np.testing.assert_allclose(
        np.linalg.eigvalsh(sample_matrix(law, 50, rng(), "drawn")), np.sort(law.quantile(rng().random(50))), atol=1e-12
    )


@pytest.mark.parametrize(("ensemble", "diagonal"), [(goe, 2.0), (gue, 1.0)])
def test_entries_have_the_stated_variances(ensemble, diagonal):
    drawn = np.array([ensemble(4, generator) for generator in [rng()] for _ in range(4000)]) * 2  # times √size
    variance = np.mean(np.abs(drawn) ** 2, axis=0)
    expected = np.where(np.eye(4, dtype=bool), diagonal, 1.0)
    np.testing.assert_allclose(variance, expected, atol=5 * 2 * diagonal / 4000**0.5)
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=5 * 2**0.5 / 4000**0.5)
    if ensemble is gue:
        np.testing.assert_allclose(np.mean(drawn[:, 0, 1].imag ** 2), 0.5, atol=0.06)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_gaussian_entries_have_mean_square_one(field):
    g = gaussian(300, 400, rng(), field)
    assert np.mean(np.abs(g) ** 2) == pytest.approx(1.0, abs=0.02)
    assert abs(np.mean(g**2) - (field == "real")) < 0.02
    assert np.mean(np.diag(wishart(200, 300, rng(), field)).real) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("sampler", [haar_orthogonal, haar_unitary])
def test_haar_traces_have_the_moments_of_diaconis_and_shahshahani(sampler):
    generator = rng()
    drawn = [sampler(5, generator) for _ in range(4000)]
    for q in drawn[:20]:
        np.testing.assert_allclose(q @ q.conj().T, np.eye(5), atol=1e-13)
    traces = np.array([[np.trace(q), np.trace(q @ q)] for q in drawn])
    real = sampler is haar_orthogonal
    np.testing.assert_allclose(traces.mean(axis=0), [0.0, 1.0 if real else 0.0], atol=0.13)
    expected = [1.0, 3.0 if real else 2.0]
    np.testing.assert_allclose(np.mean(np.abs(traces) ** 2, axis=0), expected, atol=0.35)
    np.testing.assert_allclose(np.mean([np.abs(q) ** 2 for q in drawn], axis=0), 0.2, atol=0.025)
    if real:  # both components of O(n)
        assert np.mean([np.linalg.det(q) for q in drawn]) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("sampler", [haar_orthogonal, haar_unitary])
def test_haar_eigenangles_are_spread_evenly_and_repel(sampler):
    angles = np.sort(np.angle(np.linalg.eigvals(sampler(200, rng()))))
    assert kstest((angles + np.pi) / (2 * np.pi), "uniform").statistic < 5 / 200
    gaps = np.diff(angles) * 200 / (2 * np.pi)
    assert np.mean(gaps < 0.1) < 0.04  # 0.095 for independent angles


SAMPLERS = [
    lambda g: sample_matrix(Semicircle(1.0), 5, g, "drawn"), lambda g: haar_orthogonal(5, g), lambda g: goe(5, g),
    lambda g: haar_unitary(5, g), lambda g: gue(5, g), lambda g: wishart(5, 6, g), lambda g: jacobi(3, 3, 3, g),
]  # fmt: skip


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_generator_decides(sampler):
    np.testing.assert_array_equal(sampler(rng(1)), sampler(rng(1)))
    assert not np.array_equal(sampler(rng(1)), sampler(rng(2)))
    generator = rng(1)
    assert not np.array_equal(sampler(generator), sampler(generator))


BAD = [
    (lambda: goe(3, 0), "numpy Generator"),
    (lambda: sample_spectrum(Semicircle(), 3, None), "numpy Generator"),
    (lambda: goe(0, rng()), "size|rows"),
    (lambda: wishart(2, 2.5, rng()), "columns"),
    (lambda: jacobi(5, 2, 2, rng()), "no inverse"),
    (lambda: sample_matrix(Semicircle(), 3, rng(), "other"), "quantiles"),
    (lambda: sample_matrix(Semicircle(), 3, rng(), field="other"), "complex"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
