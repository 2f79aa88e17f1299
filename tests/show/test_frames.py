import sys
from dataclasses import replace

import numpy as np
import pytest

import freeness as fr
from freeness.advice import FreenessOutcome
from freeness.errors import InputError
from freeness.show import chain_table, frame
from freeness.spectra import FreenessTest, Word

from . import cases


@pytest.fixture(scope="module")
def analysis():
    return cases.hardtanh(80, 5)


def test_layers_are_rows_of_numbers(analysis):
    found = frame(analysis)
    assert list(found["index"]) == [1, 2, 3, 4, 5] and found["q"].dtype == float
    for name in ("fan_in", "q", "qhat", "sigma_w"):
        assert list(found[name]) == [getattr(row, name) for row in analysis.chain]
    assert np.isnan(found["chi"].iloc[-1]) and found["chi"].iloc[0] == analysis.chain[0].chi
    assert found["atoms"].iloc[0] == analysis.chain[0].atoms
    assert list(frame(replace(analysis, chain=())).columns) == list(found.columns)


def test_theory_stands_beside_measurement_and_is_nan_where_there_is_none(analysis):
    found = frame(analysis.fisher).set_index("quantity")
    values, theory = analysis.fisher.measured.eigenvalues, analysis.fisher.predicted
    assert found.loc["largest eigenvalue", "theory"] == theory.top
    assert found.loc["mean", "measured"] == values.mean()
    assert found.loc["standard deviation", "measured"] == values.std()
    assert frame(replace(analysis.fisher, predicted=None, distance=None))["theory"].isna().all()


def test_words_have_scores_unless_they_were_not_tested():
    tested, untested = Word("2", "W D° W D°", 8e-3, 0.0, 1e-3), Word("4", "W D° Wᵀ E°", 0.0, 0.0, 0.0, False)
    found = frame(FreenessOutcome(FreenessTest((tested, untested))))
    assert found["score"].iloc[0] == tested.score == 8.0 and np.isnan(found["score"].iloc[1])
    assert list(found["free"]) == [False, True] and list(found["name"]) == ["2", "4"]
    empty = frame(FreenessOutcome(None, "no activation"))
    assert len(empty) == 0 and list(empty.columns) == list(found.columns)


def test_a_design_stands_last_among_its_alternatives():
    design = fr.design(20, 100, "tanh", 0.25)
    found = frame(design).set_index("name")
    assert list(found.index) == ["PyTorch default", "Xavier", "He", "this design"]
    for row in design.table:
        assert found.loc[row.name, "growth"] == row.growth
        assert found.loc[row.name, "fisher_top"] == row.fisher_top
        assert found.loc[row.name, "learning_rate_bound"] == row.learning_rate.bound


def test_a_table_of_text_keeps_its_text(analysis):
    table = chain_table(analysis)
    found = frame(table)
    assert tuple(found.columns) == table.header and [tuple(row) for row in found.to_numpy()] == list(table.rows)


def test_what_has_no_frame_is_refused_in_one_sentence():
    with pytest.raises(InputError, match=r"expected an Analysis.*got Semicircle; for a sweep"):
        frame(fr.Semicircle())


def test_missing_pandas_is_one_sentence(analysis, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="expected the package pandas, which is not installed; run pip install"):
        frame(analysis)
