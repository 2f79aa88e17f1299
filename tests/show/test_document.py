import json
from dataclasses import fields, replace

import numpy as np
import pytest

from freeness.advice import FreenessOutcome
from freeness.show import SCHEMA_VERSION, dump_json, to_json, write_json
from freeness.spectra import FreenessTest, Word

from . import cases


@pytest.fixture(scope="module")
def analysis():
    return cases.hardtanh(80, 5)


def strict(text: str):
    def refuse(constant):
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def test_numbers_survive_the_round_trip(analysis):
    document = strict(dump_json(analysis))
    assert document["schema_version"] == SCHEMA_VERSION == 3
    for name in ("jacobian", "fisher"):
        comparison, found = getattr(analysis, name), document[name]
        assert found["measured"]["eigenvalues"] == comparison.measured.eigenvalues.tolist()
        law = comparison.predicted.law
        assert found["predicted"]["law"]["mean"] == law.mean
        assert found["predicted"]["law"]["variance"] == law.variance
        assert found["predicted"]["law"]["support"] == list(law.hull)
        assert [(atom["position"], atom["mass"]) for atom in found["predicted"]["law"]["atoms"]] == list(law.atoms)
        assert found["predicted"]["edge"] == vars(comparison.predicted.edge)
        assert found["predicted"]["finite_width_error"] == comparison.predicted.finite_width_error
        assert found["distance"] == comparison.distance
    told, left_out = (
        document["learning_rate"],
        {"mean", "samples", "layers", "parametrisation", "assumptions"},
    )  # of predictions
    rate = vars(analysis.learning_rate) | {"details": list(analysis.learning_rate.details)}
    assert told == {name: value for name, value in rate.items() if name not in left_out}
    assert document["chain"][0]["qhat"] == analysis.chain[0].qhat
    assert document["chain"][-1]["chi"] is None
    assert document["verdict"]["sentences"] == list(analysis.verdict.sentences)


def test_density_table_is_the_density(analysis):
    table = to_json(analysis)["fisher"]["predicted"]["law"]["density"]
    expected = analysis.fisher.predicted.law.density(np.array(table["x"]), throw=False)
    found = np.array([np.nan if value is None else value for value in table["value"]])
    np.testing.assert_allclose(found, expected)
    assert len(table["x"]) > 100


def test_every_field_of_the_records_is_there(analysis):
    document = to_json(analysis)
    assert set(vars(analysis)) <= set(document)
    told = {field.name for field in fields(analysis.fisher.predicted)} - {"outputs", "seen"} | {"largest"}
    assert told == set(document["fisher"]["predicted"])
    assert set(vars(analysis.chain[0])) == set(document["chain"][0])


def test_what_is_not_finite_becomes_null(analysis):
    rate = replace(analysis.learning_rate, bound=float("inf"), recommended=float("nan"), theory_bound=None)
    document = strict(dump_json(replace(analysis, learning_rate=rate)))
    assert document["learning_rate"]["bound"] is None
    assert document["learning_rate"]["recommended"] is None


def test_missing_prediction_is_null_with_its_reason(analysis):
    comparison = replace(analysis.fisher, predicted=None, distance=None, reason="not free")
    document = strict(dump_json(replace(analysis, fisher=comparison)))
    assert document["fisher"]["predicted"] is None
    assert document["fisher"]["reason"] == "not free"


def test_freeness_words_are_there_as_measured(analysis):
    free, failed = Word("2", "W D° W D°", 1e-3, 0.0, 1e-3), Word("2", "W D° Wᵀ E°", 8e-3, 0.0, 1e-3)
    untested = Word("4", "W D° Wᵀ E°", 0.0, 0.0, 0.0, False)
    outcome = FreenessOutcome(FreenessTest((free, failed, untested)), "", 0.5)
    found = strict(dump_json(replace(analysis, freeness=outcome)))["freeness"]
    assert (found["kind"], found["status"], found["seconds"]) == ("measured", "not free", 0.5)
    assert found["sentence"] == outcome.sentence and found["test"]["largest_score"] == 8.0
    assert [pair["word"] for pair in found["test"]["pairs"]] == ["W D° Wᵀ E°"] * 2
    assert [word["score"] for word in found["test"]["words"]] == [1.0, 8.0, None]
    assert found["test"]["words"][1] | {"score": 8.0, "free": False} == found["test"]["words"][1]
    assert set(vars(free)) | {"score", "free"} == set(found["test"]["words"][0])


def test_a_freeness_test_that_was_left_out_is_null_with_its_reason(analysis):
    found = strict(dump_json(replace(analysis, freeness=FreenessOutcome(None, "no activation"))))["freeness"]
    assert (found["test"], found["status"], found["reason"]) == (None, "not tested", "no activation")


def test_file_holds_the_document(analysis, tmp_path):
    path = write_json(analysis, tmp_path / "new" / "analysis.json")
    assert strict(path.read_text(encoding="utf-8")) == to_json(analysis)
