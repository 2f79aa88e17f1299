import numpy as np
import pytest

from freeness.expressions.form_matrix import sample_expression
from freeness.expressions.grammar import parse_law
from freeness.show import figure_of, plot_law

EXPRESSIONS = [
    "mp:0.5 + semicircle:0.1",
    "mp:1 * projection:0.3",
    "projection:0.6 * projection:0.7",
    "bernoulli + semicircle",
    "fuss_catalan:4",
    "bernoulli",
    "point:2",
]


def lines(axes):
    return {line.get_gid(): line.get_data() for ax in figure_of(axes).axes for line in ax.lines}


def read(expression, size=None):
    parsed = parse_law(expression)
    sampled = None if size is None else sample_expression(parsed.meaning, size, np.random.default_rng(0))
    return parsed.law, sampled


@pytest.mark.parametrize("sample", [None, 100])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_line_is_the_density_and_the_stems_are_the_atoms(expression, sample):
    law, sampled = read(expression, sample)
    axes = plot_law(law, sampled=sampled, title=expression)
    drawn = lines(axes)
    if law.bands:
        x, y = drawn["theory-density"]
        unit = x * np.log(10) if axes.get_xscale() == "log" else 1.0
        np.testing.assert_allclose(y, law.density(x, throw=False) * unit, rtol=1e-6, atol=1e-10)
        assert np.all(np.diff(x) >= 0)
    if law.atoms:
        position, mass = drawn["theory-atoms"]
        np.testing.assert_allclose(np.array([position, mass]).T, np.array(law.atoms))
    assert ("measured-largest" in drawn) == (sampled is not None)
    figure_of(axes).draw_without_rendering()


def test_a_cusp_and_a_gap_are_drawn_to_the_bottom():
    for expression, place in (("bernoulli + semicircle", 0.0), ("projection:0.6 * projection:0.7", 0.9089988864)):
        law, _ = read(expression)
        x, y = lines(plot_law(law))["theory-density"]
        assert y[np.abs(x - place) < 1e-3].min() < 1e-2


def test_the_histogram_is_that_of_the_sample():
    law, sampled = read("mp:0.5 + semicircle:0.1", 400)
    axes = plot_law(law, sampled=sampled)
    heights, edges, _ = axes.patches[0].get_data()
    np.testing.assert_allclose(np.sum(heights * np.diff(edges)), 1.0)
    expected = np.diff(law.cdf(edges)) / np.diff(edges)
    assert np.abs(heights - expected).max() < 0.12
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "sampled (400 eigenvalues)" in texts and not any("measured" in text for text in texts)


def test_it_draws_into_given_axes():
    law, _ = read("semicircle")
    axes = plot_law(law)
    assert plot_law(law, axes) is axes
    assert axes.get_xlabel() == "eigenvalue"
