"""A run that was watched, in the terminal and on a page: where it stands, what was said, and its visits."""

from __future__ import annotations

from freeness.advice import WatchedRun, WatchRecord
from freeness.show.answer import Answer, Part, Row, Section, Sentence, Table, answer_of, number

_VISITS = 12  # in the table
_COLUMNS = (
    ("rate", "rate"),
    ("critical", "critical rate"),
    ("sharpness", "λ"),
    ("bound", "bound from λ"),
    ("loss", "loss"),
    ("noise", "noise"),
    ("drift", "drift"),
)


@answer_of.register
def _(record: WatchedRun) -> Answer:
    sections = (
        Section("", tuple(_standing(record))),
        Section("Warnings", tuple(_said(record))),
        Section("Sharpening", _sharpening(record)),
        Section("Visits", (_visits(record),) if record.records else ()),
        Section("Layers", _layers(record)),
    )
    return Answer(f"A run, watched up to step {record.steps}", tuple(one for one in sections if one.parts))


def _standing(run: WatchedRun) -> list[Part]:
    last = run.checks[-1] if run.checks else run.records[-1] if run.records else None
    if last is None:
        return [Sentence("No step was seen yet.")]
    critical, rate = run.last("critical"), last.rate
    rows: list[Part] = [Row("rate", rate, 3), Row("loss", last.loss if last.loss is not None else run.last("loss"), 4)]
    if critical is not None:
        rows.append(Row("rate / critical rate", rate / critical if critical > 0 else None, 2))
    for name, words in (
        ("overhead", "time of watching / time of training"),
        ("sharpness", "λ, the largest curvature"),
        ("noise", "batch size where noise equals signal"),
        ("isometry", "spread of JJᵀ"),
    ):
        if run.last(name) is not None:
            rows.append(Row(words, run.last(name), 3))
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


def _visits(run: WatchedRun) -> Table:
    """The visits that measured a rate or λ, thinned to a dozen."""
    known = [record for record in run.records if record.critical is not None or record.sharpness is not None]
    known = known or list(run.records)
    places = sorted({round(k * (len(known) - 1) / max(_VISITS - 1, 1)) for k in range(_VISITS)})
    rows = tuple(_row(known[place]) for place in places)
    header = ("step", *(words for _, words in _COLUMNS))
    return Table(header, rows, header)


def _row(record: WatchRecord) -> tuple[str, ...]:
    return str(record.step), *(number(getattr(record, name), 3) for name, _ in _COLUMNS)


def _layers(run: WatchedRun) -> tuple[Part, ...]:
    layers = run.last("layers")
    if layers is None:
        return ()
    header = ("layer", "signal", "squared gradient", "drift")
    rows = tuple((row.name, number(row.signal, 3), number(row.gradient, 3), number(row.drift, 3)) for row in layers)
    return (Table(header, rows, header[1:]),)
