"""Records become answers by one function each; terminal, page and notebook lay out the same rows."""

import io
import json
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

import freeness as fr
from freeness.advice import ForecastOptions, MeasuredTraining, forecast_training
from freeness.errors import InputError
from freeness.expressions import answer_law
from freeness.gaussian import activation
from freeness.meanfield import kernels, phase_portrait
from freeness.network import mlp
from freeness.show import (
    Answer,
    Row,
    Section,
    Sentence,
    Table,
    answer_html,
    answer_of,
    brief_of,
    document_of,
    json_text,
    list_html,
    parts_html,
    print_answer,
)
from freeness.show.pictures import PICTURED
from freeness.spectra import FreenessTest, Word

from . import cases
from .test_notebook import Cells


def printed(record, width=80):
    stream = io.StringIO()
    print_answer(Console(file=stream, width=width, markup=False, highlight=False), record)
    return stream.getvalue()


def _forecast():
    inputs = np.random.default_rng(0).standard_normal((8, 6))
    network = mlp(2, [6, 40, 2], "tanh")
    return forecast_training(network, inputs, np.eye(2)[np.arange(8) % 2], ForecastOptions(steps=12, batch=4))


WORDS = (Word("2", "W D° W D°", 8e-3, 0.0, 1e-3), Word("4", "W D° Wᵀ E°", 0.0, 0.0, 0.0, False))
RECORDS = {
    "law": lambda: fr.MarchenkoPastur(2.0),
    "expression": lambda: answer_law("x + bernoulli", {"x": "mp:0.5"}, points=20, sample=20),
    "comparison": lambda: cases.hardtanh(60, 4).fisher,
    "analysis": lambda: cases.hardtanh(60, 4),
    "design": lambda: fr.design(6, 30, "tanh", 0.3),
    "phase": lambda: phase_portrait(activation("tanh"), np.array([0.9, 1.8]), np.array([0.0]), (1.5, 0.2)),
    "kernels": lambda: kernels(mlp(3, [6, 6, 6, 1], "relu", "gaussian"), np.eye(6) * 6**0.5),
    "freeness": lambda: FreenessTest(WORDS),
    "training": _forecast,
}


def cells(answer):
    """All text of an answer, row by row."""
    for section in answer.sections:
        for part in section.parts:
            if isinstance(part, Row):
                yield (part.label, part.text)
            elif isinstance(part, Table):
                yield from part.rows


@pytest.mark.parametrize("name", RECORDS)
def test_terminal_and_page_hold_every_cell_and_sentence(name):
    record = RECORDS[name]()
    answer = answer_of(record)
    text, rows = " ".join(printed(record, 400).split()), []
    for section in answer.sections:
        page = parts_html(section.parts)
        rows += [tuple(row) for row in Cells(page).rows]
        assert section.title in text
    for row in cells(answer):
        assert tuple(row) in rows
        assert all(" ".join(cell.split()) in text for cell in row)
    for section in answer.sections:
        for part in section.parts:
            if isinstance(part, Sentence):
                assert " ".join(part.text.split()) in text


@pytest.mark.parametrize("name", RECORDS)
def test_a_terminal_of_eighty_characters_is_enough(name):
    assert max(map(cell_len, printed(RECORDS[name]()).splitlines())) <= 80


@pytest.mark.parametrize("name", RECORDS)
def test_what_a_notebook_shows_is_well_formed_and_every_record_is_json(name):
    record = RECORDS[name]()
    found = Cells(answer_html(brief_of(record)))
    assert found.rows
    if name not in ("law", "comparison", "analysis"):  # laws are functions, and analyses have a document of their own
        json.loads(json_text(document_of(record)), parse_constant=lambda constant: pytest.fail(constant))


def test_a_record_of_ones_own_is_shown_once_it_is_registered():
    @dataclass(frozen=True)
    class Own:
        value: float

    with pytest.raises(InputError, match="expected a record that can be shown, got Own; register"):
        answer_of(Own(1.0))
    answer_of.register(Own, lambda record: Answer("own", (Section("", (Row("value", record.value),)),)))
    assert re.search(r"^value +2\.5$", printed(Own(2.5)), re.MULTILINE)
    assert ["value", "2.5"] in Cells(answer_html(brief_of(Own(2.5)))).rows
    assert json.loads(json_text(document_of(Own(float("nan"))))) == {"value": None}


def test_a_table_that_does_not_fit_is_set_tight():
    header = tuple(f"column {k}" for k in range(7))
    table = Table(header, (("1234567890",) * 7,), header)
    answer = Answer("", (Section("", (table,)),))
    wide, tight = printed(answer, 120), printed(answer, 80)
    assert "1234567890  1234567890" in wide and "1234567890 1234567890" in tight


def test_words_are_broken_before_numbers_are():
    header = ("name", "theory", "theory of one")
    table = Table(header, (("a_long_name" * 6, "0.00123 ± 45%", "3.21e-05 ± 6%"),), header[1:])
    shown = printed(Answer("", (Section("", (table,)),)), 50)
    assert "0.00123 ± 45% 3.21e-05 ± 6%" in shown and max(map(cell_len, shown.splitlines())) <= 50


def test_kinds_of_sentences_have_their_marks():
    kinds = ("plain", "point", "change", "warning", "code")
    answer = Answer("", (Section("", tuple(Sentence(kind, kind) for kind in kinds)),))
    assert printed(answer).splitlines() == ["plain", "• point", "→ change", "! warning", "  code"]
    long = Answer("", (Section("", (Sentence("word " * 30, "point"),)),))
    assert all(line.startswith("  ") for line in printed(long).splitlines()[1:])


def test_pages_escape_everything():
    evil = "<script>"
    parts = (Row(evil, evil), Table((evil,), ((evil,),)), Sentence(evil))
    assert "<script" not in parts_html(parts) and parts_html(parts).count("&lt;script&gt;") == 5
    assert list_html(parts) == "<li>&lt;script&gt;</li>"


def test_rows_write_numbers_with_their_digits_and_words_as_they_are():
    texts = [Row("a", value, 3).text for value in (1.23456, None, float("inf"), "any")]
    assert texts == ["1.23", "–", "infinite", "any"]


def test_a_deviation_of_rounding_or_of_an_overflow_is_none():
    own = np.array([1.0, 0.5, 1e-15, np.inf])
    measured = MeasuredTraining(np.array([[1.0, 0.6, 2e-15, 3.0], [1.0, 0.4, 2e-15, 3.0]]), own, ((2.0,), (2.0, 1.0)))
    np.testing.assert_allclose(measured.deviations, [0.0, 0.0, np.nan, np.nan])


def test_networks_that_diverge_are_said_to():
    told = _forecast()
    losses = np.array([[told.loss[0], told.loss[1]]])
    text = printed(replace(told, measured=MeasuredTraining(losses, losses[0], ((3.0,),))))
    assert "diverged" in text and "Sharpness of the real networks: 3 at the start, diverged before the end." in text


def test_whatever_has_a_picture_has_a_plot():
    assert all(callable(record.plot) for record in PICTURED)


def test_records_bring_their_plot():
    law = fr.MarchenkoPastur(2.0)
    axes = law.plot(title="mp")
    assert axes.get_title(loc="left") == "mp" and law.plot(axes) is axes
    comparison = cases.hardtanh(60, 4).fisher
    assert comparison.plot(xlabel="Θ").get_xlabel() == "Θ"


def test_operations_that_differ_by_the_name_of_a_tensor_are_one_line():
    named = [f"mul in blocks.{k}: with the trained parameter 'blocks.{k}.mix'" for k in range(4)]
    record = replace(RECORDS["analysis"](), uncovered=(*named, "cat in forward: of channels"))
    told = " ".join(printed(record).split())
    assert "mul: with the trained parameter 'blocks.0.mix', and 3 more like it" in told
    assert "blocks.1" not in told and "cat in forward: of channels" in told
