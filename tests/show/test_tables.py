from dataclasses import replace

import numpy as np
import pytest

from freeness.show import chain_table, number, spectrum_table

from . import cases


@pytest.fixture(scope="module")
def analysis():
    return cases.hardtanh(80, 5)


def test_rows_put_theory_beside_measurement(analysis):
    comparison = analysis.fisher
    rows = {row[0]: row[1:] for row in spectrum_table(comparison).rows}
    law, values = comparison.predicted.law, comparison.measured.eigenvalues
    assert rows["mean"][:2] == (number(law.mean), number(float(values.mean())))
    assert rows["largest eigenvalue"][:2] == (f"{number(law.hull[1])} (atom)", number(float(values[-1])))
    assert rows["distance W₁/λ_max"][2] == f"{100 * comparison.distance / values[-1]:.1f}%"
    top = law.atoms[-1]
    measured = np.mean(np.isclose(values, top.position, rtol=1e-6))
    assert rows[f"share at {number(top.position)}"][:2] == (f"{top.mass:.1%}", f"{measured:.1%}")


def test_table_without_theory_has_dashes(analysis):
    rows = spectrum_table(replace(analysis.fisher, predicted=None, distance=None)).rows
    assert {row[1] for row in rows} == {"–"}
    assert any(row[0].startswith("share at") for row in rows)


def test_wrong_atom_is_told(analysis):
    law = cases.fr.PointMass(1.0)
    wrong = replace(analysis.fisher, predicted=replace(analysis.fisher.predicted, law=law))
    rows = {row[0]: row[1:] for row in spectrum_table(wrong).rows}
    assert rows["share at 1"] == ("100.0%", "0.0%", "-100.0 points")


def test_chain_table_names_layers_and_lists_atoms(analysis):
    table = chain_table(analysis)
    assert [row[0] for row in table.rows] == [f"{i} layer{i}" for i in range(1, 6)]
    atoms = analysis.chain[0].atoms
    assert table.rows[0][-1] == ", ".join(f"{mass:.1%} at {position:.3g}" for position, mass in atoms)
    assert table.rows[-1][5:] == ("–", "–", "–", "–")
    assert all(len(row) == len(table.header) for row in table.rows)


def test_columns_that_no_layer_fills_are_left_out(analysis):
    bare = [replace(row, chi=None, delta=None, atoms=()) for row in analysis.chain]
    table = chain_table(replace(analysis, chain=tuple(bare)))
    assert table.header == ("layer", "size", "weights, σ_w", "input q̂", "signal q", "activation")
    assert [row[-1] for row in table.rows] == ["hardtanh"] * 4 + ["–"]


def test_a_long_chain_of_operations_is_shortened(analysis):
    long = [replace(row, activation=row.activation and "add∘mul∘sin∘softplus") for row in analysis.chain]
    assert chain_table(replace(analysis, chain=tuple(long))).rows[0][5] == "add∘…∘softplus"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1e-9, "1e-09"), (123456.0, "1.235e+05"), (float("nan"), "–"), (-np.inf, "-infinite")],
)
def test_numbers_for_people(value, text):
    assert number(value) == text


def test_an_outlier_stands_beside_the_largest_eigenvalue_and_the_end_beside_the_next(analysis):
    comparison = analysis.fisher
    values = comparison.measured.eigenvalues
    lonely = replace(comparison, predicted=replace(comparison.predicted, outliers=(1.1 * float(values[-1]),)))
    rows = {row[0]: row for row in spectrum_table(lonely).rows}
    assert rows["largest eigenvalue"][1].endswith("(outlier)") and rows["largest eigenvalue"][3] == "-9.1%"
    assert rows["largest below it"][2] == number(float(values[-2]))
