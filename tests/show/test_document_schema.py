import copy
import json
from dataclasses import replace

import jsonschema
import pytest

from freeness.advice import ActivationRow, AttentionRow, FreenessOutcome, LayerTable, ModuleRow, SumRow, TensorRow
from freeness.show import SCHEMA_VERSION, schema, schema_text, to_json
from freeness.spectra import FreenessTest, Word

from . import cases

WORDS = (Word("2", "W D° W D°", 1e-3, 0.0, 1e-3), Word("4", "W D° Wᵀ E°", 0.0, 0.0, 0.0, False))


@pytest.fixture(scope="module")
def analysis():
    return cases.hardtanh(80, 5)


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft202012Validator(schema())


def test_the_schema_is_one_by_its_own_standard():
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"].endswith("2020-12/schema")
    assert schema()["properties"]["schema_version"] == {"const": SCHEMA_VERSION}
    assert json.loads(schema_text()) == schema()


def test_documents_of_every_kind_validate(analysis, validator):
    uncovered = replace(analysis.fisher, predicted=None, distance=None, reason="not free")
    infinite = replace(analysis.learning_rate, bound=float("inf"), limit=0.1)
    validator.validate(to_json(analysis))
    validator.validate(to_json(cases.relu(60, 6)))
    validator.validate(to_json(replace(analysis, fisher=uncovered, chain=(), uncovered=("a gate",))))
    validator.validate(to_json(replace(analysis, freeness=FreenessOutcome(FreenessTest(WORDS), "", 0.1))))
    validator.validate(to_json(replace(analysis, learning_rate=infinite)))


def test_a_table_with_rows_of_every_kind_validates(analysis, validator):
    fc = ModuleRow("fc", "Linear", 1.0, 0.0, 0.1, 0.1, 8, 1, True, (TensorRow("fc.weight", 8, 0.1, 0.2),))
    relu, gate = ActivationRow("1", "relu", 0.5, 0.25, 8), ActivationRow("2", "gate", 0.5, 0.25)
    table = LayerTable(1.0, (fc,), (relu, gate), (SumRow("3", 0.3, None, 0.3),), (AttentionRow("4", 0.9, 4.0),))
    validator.validate(to_json(replace(analysis, layers=table)))


def test_every_object_names_all_its_fields_and_allows_no_other():
    def objects(part):
        if isinstance(part, dict):
            if part.get("type") == "object":
                yield part
            for value in part.values():
                yield from objects(value)
        elif isinstance(part, list):
            for value in part:
                yield from objects(value)

    found = list(objects(schema()))
    assert len(found) > 10
    for part in found:
        assert part["required"] == list(part["properties"]) and part["additionalProperties"] is False


def broken(document, path, value):
    changed = copy.deepcopy(document)
    *parents, last = path
    place = changed
    for key in parents:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), SCHEMA_VERSION + 1),
        (("verdict", "phase"), "lukewarm"),
        (("fisher", "measured", "eigenvalues"), None),
        (("fisher", "measured", "eigenvalues"), []),
        (("fisher", "predicted", "law", "support"), [0.0]),
        (("fisher", "predicted", "law", "atoms"), [{"position": 1.0, "mass": 1.5}]),
        (("fisher", "predicted", "edge", "kind"), "ledge"),
        (("learning_rate", "bound"), "0.1"),
        (("chain", 0, "index"), 1.5),
        (("freeness", "test"), {}),
        (("surprise",), 1),
    ],
)
def test_a_broken_document_does_not_validate(analysis, validator, path, value):
    assert not validator.is_valid(broken(to_json(analysis), path, value))
