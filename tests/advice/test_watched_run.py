"""The log of a watched run is read as it was written, also when it is cut or still growing."""

import dataclasses
import math

import pytest

from freeness.advice import StepCheck, WatchedLayer, WatchRecord, WatchWarning, head_line, line_of, read_run
from freeness.errors import InputError

EVENTS = (
    StepCheck(1, 0.1, 2.5, math.inf, {"a.0": 3.0, "head": math.nan}),
    WatchRecord(
        *(1, 0.1, 0.5),
        critical=math.inf,
        layers=(WatchedLayer("a.0", 1.0, 2.0, 0.0),),
        missing=("noise: no",),
        rehearsed=(2.0, 3.0, math.inf),
    ),
    WatchWarning(1, "layer", "The weights of 'a.0' get no gradient.", "a.0"),
    StepCheck(2, 0.1),
)


def test_what_is_written_is_what_is_read(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text("\n".join([head_line(), *map(line_of, EVENTS)]) + '\n{"event": "visit", "ste', "utf-8")
    run = read_run(path)
    assert (run.records, run.warnings, run.checks[1]) == ((EVENTS[1],), (EVENTS[2],), EVENTS[3])
    assert math.isnan(run.checks[0].layers.pop("head"))
    assert run.checks[0] == dataclasses.replace(EVENTS[0], layers={"a.0": 3.0})
    assert (run.steps, run.last("critical"), run.last("sharpness")) == (2, math.inf, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("[1]\n", "lines of something else"),
        ('{"event": "start", "schema_version": 2}\n', "newer freeness"),
        ('{"event": "sweep"}\n', "got 'sweep'"),
        ('{"event": "visit", "rate": 1}\n', "is it cut"),
        ('{"event": "visit", "step": 1, "rate": "fast"}\n', "is it cut"),
        ('{"event": "visit", "step": 1, "rate": 1, "layers": [3]}\n', "is it cut"),
    ],
)
def test_another_file_is_refused_in_a_sentence(text, words, tmp_path):
    path = tmp_path / "other.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=words):
        read_run(path)
