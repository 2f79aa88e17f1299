"""The freeness test: calibrated on free matrices of every kind, falling as 1/N, and failing where it must."""

import numpy as np
import pytest
from scipy.stats import norm

from freeness import InputError
from freeness.spectra import freeness_words
from tests.orthogonal import haar


def layer(kind, rows, columns, rng):
    if kind == "haar":
        return 1.3 * haar(rows, columns, rng)
    return 1.3 * rng.standard_normal((rows, columns)) / columns**0.5


def drawn(kind, rows, columns, rng, bias=0.1):
    h = rng.standard_normal(columns)
    x, w = np.tanh(h), layer(kind, rows, columns, rng)
    behind = 1 - np.tanh(w @ x + bias * rng.standard_normal(rows)) ** 2
    return w, 1 - x**2, behind, x


@pytest.mark.parametrize("kind", ["haar", "gaussian"])
@pytest.mark.parametrize(("rows", "columns"), [(120, 120), (80, 150), (150, 80)])
def test_scores_of_free_networks_are_standard(kind, rows, columns):
    """400 draws: mean within 4 standard errors (+ 0.15 for orders beyond 1/N), deviation within 20 % of 1."""
    rng = np.random.default_rng(0)
    scores = np.array([[w.score for w in freeness_words(*drawn(kind, rows, columns, rng))] for _ in range(400)])
    assert scores.shape[1] == (3 if rows == columns else 2)
    assert (np.abs(scores.mean(axis=0)) < 4 / 20 + 0.15).all()
    assert (np.abs(scores.std(axis=0) - 1) < 0.2).all()


@pytest.mark.parametrize("kind", ["haar", "gaussian"])
def test_words_fall_as_one_over_the_width(kind):
    """Root mean squares of 60 draws have errors 1/√120 in logarithms: slope -1 within 4 standard errors of the fit."""
    rng = np.random.default_rng(1)
    widths, draws, sizes = np.array([60, 120, 240, 400]), 60, []
    for n in widths:
        values = [[w.value for w in freeness_words(*drawn(kind, n, n, rng))] for _ in range(draws)]
        sizes.append(np.sqrt(np.mean(np.square(values), axis=0)))
    slopes = np.polyfit(np.log(widths), np.log(sizes), 1)[0]
    error = 1 / np.sqrt(2 * draws) / np.linalg.norm(np.log(widths) - np.log(widths).mean())
    assert error < 0.08 and (np.abs(slopes + 1) < 4 * error).all()


def test_identity_weights_fail():
    """W = 1: τ(D° E°) is a covariance, not 0."""
    rng = np.random.default_rng(2)
    h = rng.standard_normal(300)
    x = np.tanh(h)
    found = {w.word: w for w in freeness_words(np.eye(300), 1 - x**2, 1 - np.tanh(x) ** 2, x)}
    assert not found["W D° Wᵀ E°"].free and not found["(W D° Wᵀ E°)²"].free
    assert found["W D° Wᵀ E°"].value == pytest.approx(np.cov(1 - x**2, 1 - np.tanh(x) ** 2, bias=True)[0, 1])


def test_commuting_derivatives_are_not_free():
    """Negative control of theory.md §6: τ(D₁°D₂°D₁°D₂°) = Var·Var for independent D's; the word of W = 1 is it, and is told."""
    rng = np.random.default_rng(3)
    d, e = rng.uniform(size=(2, 2000))
    found = {w.word: w for w in freeness_words(np.eye(2000), d, e, rng.standard_normal(2000))}
    assert found["(W D° Wᵀ E°)²"].value == pytest.approx(d.var() * e.var(), rel=0.1)
    assert not found["(W D° Wᵀ E°)²"].free


@pytest.mark.parametrize(("size", "told"), [(0.3, False), (3.0, True)])
def test_a_planted_dependence_is_told_at_its_stated_size(size, told):
    """W_ij² grown by 1 + ε d_i e_j (standardised): τ moves by ε·sd·sd·σ²; ε = size × 5√2/N against the detection limit."""
    rng = np.random.default_rng(4)
    results = []
    for _ in range(10):
        w, d, e, x = drawn("gaussian", 250, 250, rng)
        zd, ze = (d - d.mean()) / d.std(), (e - e.mean()) / e.std()
        planted = w * np.sqrt(np.maximum(1 + size * 5 * 2**0.5 / 250 * np.outer(ze, zd), 0))
        found = {word.word: word for word in freeness_words(planted, d, e, x)}
        results.append(found["W D° Wᵀ E°"].free)
    assert np.mean(results) == (0.0 if told else 1.0)


@pytest.mark.parametrize(("t", "told"), [(0.0, False), (0.25, True)])
def test_weights_mixed_with_an_aligned_permutation_are_told(t, told):
    """W ← (1-t)W + tσP, P from the k-th smallest D to the k-th smallest E: 5 deviations where t²/((1-t)²+t²) = 5√2/N/corr."""
    rng = np.random.default_rng(9)
    scores = []
    for _ in range(12):
        w, d, e, x = drawn("gaussian", 250, 250, rng)
        aligned = np.zeros_like(w)
        aligned[np.argsort(e), np.argsort(d)] = 1.3
        word = freeness_words((1 - t) * w + t * aligned, d, e, x)[1]
        scores.append(word.score)
        assert word.free != told
    correlation = np.corrcoef(np.sort(d), np.sort(e))[0, 1]
    expected = t**2 / ((1 - t) ** 2 + t**2) * 250 / 2**0.5 * correlation
    assert np.mean(scores) == pytest.approx(expected, rel=0.1, abs=4 / 12**0.5)


@pytest.mark.parametrize("saturated", [0.01, 0.03, 0.1])
def test_free_weights_with_few_saturated_neurons_are_not_rejected(saturated):
    """Hard-tanh near the origin: a few neurons carry the spread of D; 300 draws, none beyond 5."""
    rng = np.random.default_rng(10)
    scale = 1 / norm.isf(saturated / 2)
    found = []
    for _ in range(300):
        h = scale * rng.standard_normal(200)
        x = np.clip(h, -1, 1)
        w = rng.standard_normal((200, 200)) * scale / np.linalg.norm(x)
        found += freeness_words(w, (abs(h) < 1) * 1.0, (abs(w @ x) < 1) * 1.0, x)
    assert all(word.free for word in found)
    assert any(word.tested for word in found) == (saturated > 0.01)


@pytest.mark.parametrize("size", [30, 150])  # one strip of rows, and three with a short one
def test_words_against_matrices(size):
    rng = np.random.default_rng(5)
    w, d, e, x = drawn("gaussian", size, size, rng)
    dc, ec = np.diag(d - d.mean()), np.diag(e - e.mean())
    exact = [w @ dc @ w @ dc, w @ dc @ w.T @ ec, w @ dc @ w.T @ ec @ w @ dc @ w.T @ ec]
    assert [word.value for word in freeness_words(w, d, e, x)] == pytest.approx(
        [np.trace(m) / size for m in exact], rel=1e-11
    )


def test_probes_take_over_beyond_4096(monkeypatch):
    from freeness.spectra import alternating_words as module

    rng = np.random.default_rng(6)
    w, d, e, x = drawn("gaussian", 300, 300, rng)
    exact = freeness_words(w, d, e, x)[-1]
    monkeypatch.setattr(module, "_EXACT", 100)
    probed = freeness_words(w, d, e, x)[-1]
    assert abs(probed.value - exact.value) < 5 * probed.deviation
    assert probed.deviation > exact.deviation and probed.detectable == 5 * probed.deviation


def test_constant_derivatives_have_nothing_to_test():
    rng = np.random.default_rng(7)
    w, _, e, x = drawn("gaussian", 20, 20, rng)
    assert all(word.score == 0 and word.free for word in freeness_words(w, np.ones(20), e, x))


def test_bad_input_is_refused():
    w, d, e, x = drawn("gaussian", 20, 20, np.random.default_rng(8))
    with pytest.raises(InputError, match="size 20"):
        freeness_words(w, d[:5], e, x)
    with pytest.raises(InputError, match="finite"):
        freeness_words(w * np.nan, d, e, x)
    with pytest.raises(InputError, match="overflow"):
        freeness_words(w * 1e120, d, e, x)
