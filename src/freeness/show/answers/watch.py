"""A run that was watched, in the terminal and on a page: where it stands, what was said, and its visits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from freeness.advice import StepCheck, WatchedRun, WatchRecord
from freeness.show.answer import Answer, Part, Row, Section, Sentence, Table, answer_of, number

_ROWS = 12  # of a table
_UNMEASURED = (
    "Neither the critical rate nor λ was measured yet: a visit waits until its share of the time is there. "
    "Of a short training ask for every=10."
)
_COLUMNS = (
    ("rate", "rate"),
    ("critical", "critical rate"),
    ("sharpness", "λ"),
    ("bound", "bound from λ"),
    ("loss", "loss"),
    ("noise", "noise"),
    ("drift", "drift"),
)
_MEANT = {
    "critical": "from it on the next step raises the loss of its batch",
    "bound": "from it on this optimiser does not contract on a parabola of curvature λ",
    "noise": "the batch size at which a gradient is as much noise as signal",
    "drift": "the distance of the weights from their start, over their size there",
}
_OF_STEPS = (("rate", "rate"), ("loss", "loss"), ("gradient", "gradient"))
T = TypeVar("T")


@answer_of.register
def _(record: WatchedRun) -> Answer:
    sections = (
        Section("", tuple(_standing(record))),
        Section("Warnings", tuple(_said(record))),
        Section("Sharpening", _sharpening(record)),
        Section("Visits", _visits(record) if record.records else ()),
        Section("Steps", _steps(record)),
        Section("Layers", _layers(record)),
    )
    return Answer(f"A run, watched up to step {record.steps}", tuple(one for one in sections if one.parts))


def _standing(run: WatchedRun) -> list[Part]:
    last = run.checks[-1] if run.checks else run.records[-1] if run.records else None
    if last is None:
        return [Sentence("No step was seen yet.")]
    critical, rate = run.last("critical"), last.rate
    losses = [check.loss for check in run.checks if check.loss is not None]
    rows: list[Part] = [Row("rate", rate, 3), Row("loss", losses[-1] if losses else run.last("loss"), 4)]
    if len(losses) > 1:
        rows.append(Row("loss of the first step", losses[0], 4))
    if critical is not None:
        rows.append(Row("rate / critical rate", rate / critical if critical > 0 else None, 2))
    for name, words in (
        ("overhead", "time of watching / time of training"),
        ("sharpness", "λ, the largest curvature (of Adam: preconditioned)"),
        ("noise", "batch size where noise equals signal"),
        ("isometry", "spread of JJᵀ"),
    ):
        if run.last(name) is not None:
            rows.append(Row(words, run.last(name), 3))
    if critical is None and run.last("sharpness") is None:
        rows.append(Sentence(_UNMEASURED))
    return rows


def _said(run: WatchedRun) -> list[Part]:
    if not run.warnings:
        return [Sentence("None.")]
    return [Sentence(str(warning), "warning") for warning in run.warnings]


def _sharpening(run: WatchedRun) -> tuple[Part, ...]:
    if not run.records:
        return ()
    found = run.sharpening
    if found is None:
        return (
            Sentence("λ was not followed from the start: that takes more than a share of the time; ask for every=10."),
        )
    return tuple(map(Sentence, found.sentences))


def _visits(run: WatchedRun) -> tuple[Part, ...]:
    """The visits that measured a rate or λ, thinned to a dozen; columns of which one knows something, and their meaning."""
    known = [record for record in run.records if record.critical is not None or record.sharpness is not None]
    shown = _thinned(known or run.records)
    columns = [(name, words) for name, words in _COLUMNS if any(getattr(one, name) is not None for one in shown)]
    told: list[Part] = []
    if len(shown) < len(known or run.records):
        told.append(Sentence(f"{len(shown)} visits of {len(known or run.records)} are shown."))
    told += [Sentence(f"{words}: {_MEANT[name]}.", "point") for name, words in columns if name in _MEANT]
    return (_table(shown, columns), *told)


def _steps(run: WatchedRun) -> tuple[Table, ...]:
    """What was seen between visits, where these are too few to show a course."""
    if not run.checks or len(run.records) >= _ROWS:
        return ()
    return (_table(_thinned(run.checks), _OF_STEPS),)


def _thinned(events: Sequence[T]) -> list[T]:
    places = sorted({round(k * (len(events) - 1) / (_ROWS - 1)) for k in range(_ROWS)})
    return [events[place] for place in places]


def _table(events: Sequence[StepCheck | WatchRecord], columns: Sequence[tuple[str, str]]) -> Table:
    header = ("step", *(words for _, words in columns))
    rows = tuple((str(one.step), *(number(getattr(one, name), 3) for name, _ in columns)) for one in events)
    return Table(header, rows, header)


def _layers(run: WatchedRun) -> tuple[Part, ...]:
    layers = run.last("layers")
    if layers is None:
        return ()
    header = ("layer", "signal", "squared gradient", "drift")
    rows = tuple((row.name, number(row.signal, 3), number(row.gradient, 3), number(row.drift, 3)) for row in layers)
    return (Table(header, rows, header[1:]),)
