"""What a notebook shows of predictions, measurements, analyses and designs."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

import freeness as fr
from freeness.advice import LayerTable, ModuleRow
from freeness.errors import ConvergenceError
from freeness.show import picture_of

from . import cases
from .test_notebook import PLAIN, Cells, shown


@pytest.fixture(scope="module")
def analysis():
    return cases.hardtanh(80, 5)


def test_a_prediction_shows_law_edge_outliers_and_assumptions(analysis):
    prediction = replace(analysis.fisher.predicted, outliers=(1234.5,), assumptions=("wide layers", "a < b"))
    rows = shown(prediction)
    assert float(rows["mean"]) == pytest.approx(prediction.law.mean, rel=1e-5)
    assert float(rows["end of the law"].split()[0]) == pytest.approx(prediction.edge.value, rel=1e-5)
    assert f"atom of {prediction.edge.mass:.1%}" in rows["end of the law"]
    assert (rows["outliers"], rows["assumptions"]) == ("1234.5", "wide layers; a < b")
    assert rows["method"] == prediction.method and "a &lt; b" in prediction._repr_html_()


def test_a_measurement_shows_its_eigenvalues_in_numbers(analysis):
    rows, values = shown(analysis.jacobian.measured), analysis.jacobian.measured.eigenvalues
    assert rows["eigenvalues"] == str(values.size)
    assert float(rows["mean"]) == pytest.approx(values.mean(), rel=1e-5)
    assert float(rows["smallest to largest"].split(" to ")[1]) == pytest.approx(values[-1], rel=1e-5)


def test_a_comparison_has_theory_beside_measurement(analysis):
    comparison = analysis.fisher
    header, *rows = Cells(comparison._repr_html_()).rows
    values, theory = comparison.measured.eigenvalues, comparison.predicted
    assert header == ["", "theory", "measured"]
    expected = [
        (theory.law.mean, values.mean()),
        (theory.expected_variance**0.5, values.std()),
        (theory.top, values[-1]),
    ]
    np.testing.assert_allclose([[float(cell) for cell in row[1:]] for row in rows], expected, rtol=1e-3)
    without = replace(comparison, predicted=None, distance=None, reason="<i>gated</i>")
    assert "No prediction: &lt;i&gt;gated&lt;/i&gt;" in without._repr_html_()
    assert [row[1] for row in Cells(without._repr_html_()).rows[1:]] == ["–"] * 3


def test_an_analysis_shows_verdict_rate_and_both_spectra_escaped(analysis):
    evil = "<script>"
    verdict = replace(analysis.verdict, sentences=(evil,), warnings=(evil,))
    page = replace(analysis, title=evil, verdict=verdict, uncovered=(evil,))._repr_html_()
    cells = Cells(page)
    assert cells.tags <= PLAIN | {"p", "strong"} and page.count("&lt;script&gt;") == 3
    assert f"<p><strong>{analysis.headline}</strong></p>" in page
    assert f"{analysis.learning_rate.recommended:.3g}" in page
    rows = {row[0]: row[1:] for row in cells.rows}
    for symbol, comparison in (("Jacobian JJᵀ", analysis.jacobian), ("Fisher dual Θ", analysis.fisher)):
        theory, seen, _ = rows[f"{symbol}: largest eigenvalue"]
        assert float(theory.split()[0]) == pytest.approx(comparison.predicted.expected_largest, rel=1e-3)
        assert float(seen) == pytest.approx(comparison.measured.eigenvalues[-1], rel=1e-3)


def test_a_design_shows_its_numbers_and_reasons():
    found = fr.design(20, 100, "tanh", 0.25)
    rows, page = dict(Cells(found._repr_html_()).rows), found._repr_html_()
    assert float(rows["σ_w"]) == pytest.approx(found.sigma_w, rel=1e-5)
    assert float(rows["learning rate to start from"]) == pytest.approx(found.learning_rate.recommended, rel=1e-3)
    assert "squared gradients neither grow nor vanish" in page and "Design of 20 layers with tanh" in page


def test_a_design_whose_rate_does_not_converge_is_still_shown(monkeypatch):
    def lost(self):
        raise ConvergenceError("no end was found.")

    monkeypatch.setattr(type(fr.design(3, 50)), "learning_rate", property(lost))
    assert shown(fr.design(3, 50))["learning rate to start from"] == "not converged"


def test_a_network_shows_its_operations_and_the_ends_of_a_long_one():
    net = fr.transformer(2, 32, 4, 6)
    rows = Cells(net._repr_html_()).rows
    assert [row[0] for row in rows[1:]] == [node.name for node in net.nodes]
    assert all(row[3] == ", ".join(node.inputs) for row, node in zip(rows[1:], net.nodes, strict=True))
    dense = fr.mlp(2, [5, 7, 3], "tanh", "gaussian", sigma_w=1.3)
    told = [row[2] for row in Cells(dense._repr_html_()).rows[1:]]
    assert told == ["5→7, Gaussian, σ_w 1.3, σ_b 0", "tanh", "7→3, Gaussian, σ_w 1.3, σ_b 0"]
    long = Cells(fr.mlp(40, 8)._repr_html_()).rows
    assert len(long) == 42 and long[21][0] == "39 more"


def test_a_verdict_and_a_rate_show_their_sentences(analysis):
    page = analysis.verdict._repr_html_()
    assert all(f"<p>{sentence}</p>" in page for sentence in analysis.verdict.sentences)
    rate = analysis.learning_rate
    page = rate._repr_html_()
    assert f"{rate.recommended:.3g}" in page and rate.loss in page and str(rate.batch) in page


def test_print_tells_words_and_tables_in_place_of_fields(analysis):
    for record in (analysis, analysis.verdict, analysis.learning_rate):
        told = str(record)
        assert type(record).__name__ + "(" not in told and repr(record).startswith(type(record).__name__)
    lines: list[str] = []
    analysis._repr_pretty_(SimpleNamespace(text=lines.append), False)  # as IPython calls it
    assert lines == [str(analysis)]
    told = " ".join(str(analysis).split())
    assert (
        analysis.headline in told and f"Learning rate to start from: {analysis.learning_rate.recommended:.3g}" in told
    )


def test_a_model_without_a_chain_has_a_picture_of_its_modules(analysis):
    rows = tuple(
        ModuleRow(f"m{k}", "Linear", 2.0**-k, 0.0, 3.0**k, 0.1, 8, 1, True, signal_predicted=2.0**-k) for k in range(3)
    )
    picture = picture_of(replace(analysis, chain=(), layers=LayerTable(1.0, rows)))
    measured, theory, gradient = picture.drawings
    np.testing.assert_allclose(measured.y, [1.0, 0.5, 0.25])
    np.testing.assert_allclose(theory.y, measured.y)
    np.testing.assert_allclose(gradient.y, [1.0, 3.0, 9.0])


def test_what_has_no_theory_is_said_of_what_it_is(analysis):
    lone = replace(
        analysis, uncovered=("attention in a",), fisher=replace(analysis.fisher, predicted=None, distance=None)
    )
    none = replace(lone, jacobian=replace(analysis.jacobian, predicted=None, distance=None))
    whole = replace(analysis, uncovered=("attention in a",))
    for record, words in ((lone, "No theory of Θ"), (none, "Not covered by theory"), (whole, "Covered in part")):
        assert f"{words}: attention in a" in record._repr_html_()


def test_a_picture_that_ends_a_cell_is_shown():
    law = fr.Semicircle(1.0)
    axes = law.plot(title="a law")
    assert axes._repr_png_().startswith(b"\x89PNG")
    given = Figure().subplots()
    assert law.plot(given) is given  # axes of one's own are shown by whoever made them
