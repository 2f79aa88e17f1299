"""The log of a watched run: one JSON object a line, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

from freeness.advice.sharpening import Sharpening, sharpening_of
from freeness.advice.watching import StepCheck, WatchedLayer, WatchRecord, WatchWarning
from freeness.errors import InputError, brief
from freeness.files import read_text
from freeness.version import __version__

SCHEMA_VERSION = 1
_MOST = 2**30  # bytes of a log
_ELSE = "expected the log of a watch, got lines of something else; pass the file that log= named."
WatchEvent: TypeAlias = StepCheck | WatchRecord | WatchWarning
_KINDS: dict[str, type[StepCheck] | type[WatchRecord] | type[WatchWarning]] = {
    "step": StepCheck,
    "visit": WatchRecord,
    "warning": WatchWarning,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True)
class WatchedRun:
    """What a watch wrote, in the order of the steps.

    Example:
        >>> run = WatchedRun((StepCheck(1, 0.1),), (WatchRecord(1, 0.1, critical=0.3),), ())
        >>> run.last("critical")
        0.3
    """

    checks: tuple[StepCheck, ...]
    records: tuple[WatchRecord, ...]
    warnings: tuple[WatchWarning, ...]

    @property
    def steps(self) -> int:
        """The last step that was seen."""
        return max((event.step for event in (*self.checks[-1:], *self.records[-1:])), default=0)

    @property
    def sharpening(self) -> Sharpening | None:
        """The predicted change of λ beside what happened; None where a watch within a share of the time measured none."""
        return sharpening_of(self.records)

    def last(self, name: str) -> Any:
        """The number of that name that was measured last; None where it never was.

        Args:
            name: of a field of :class:`WatchRecord`.
        """
        values = (getattr(record, name) for record in reversed(self.records))
        return next((value for value in values if value not in (None, ())), None)


def head_line(resume: int = 0) -> str:
    """The first line of a log, or that from which on a run goes on."""
    told = {"event": "start", "schema_version": SCHEMA_VERSION, "freeness_version": __version__}
    return json.dumps(told | ({"resume": resume} if resume else {}))


def line_of(event: WatchEvent) -> str:
    """An event as a line, without what says nothing; numbers that are not finite are words, for a rate may be infinite.

    Example:
        >>> line_of(StepCheck(3, 0.5, loss=float("nan")))
        '{"event": "step", "step": 3, "rate": 0.5, "loss": "nan"}'
    """
    return json.dumps({"event": _NAMES[type(event)]} | _plain(event), allow_nan=False, ensure_ascii=False)


def _plain(record: Any) -> dict[str, Any]:
    found = {field.name: _value(getattr(record, field.name)) for field in fields(record)}
    return {
        name: value for name, value in found.items() if name == "name" or value not in (None, "", [], {})
    }  # "": the model


def _value(value: Any) -> Any:
    match value:
        case float() if not math.isfinite(value):
            return str(value)  # "inf", "-inf", "nan", as float() reads them
        case dict():
            return {name: _value(one) for name, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
        case tuple():
            return [_plain(one) if isinstance(one, WatchedLayer) else _value(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def event_of(line: str) -> WatchEvent | int | None:
    """What a line says: an event, or the step behind which a run begins or goes on; None of one that a kill has cut.

    Example:
        >>> event_of(line_of(StepCheck(3, 0.5, loss=float("inf")))).loss, event_of('{"event": "st')
        (inf, None)
    """
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or "event" not in found:
        raise InputError(_ELSE)
    entries: dict[str, Any] = {str(name): value for name, value in found.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    kind = entries.pop("event")
    if kind == "start":
        if entries.get("schema_version") != SCHEMA_VERSION:
            raise InputError(
                f"expected a log of schema {SCHEMA_VERSION}, got {entries.get('schema_version')}; install a newer freeness."
            )
        return int(entries.get("resume", 0))
    if kind not in _KINDS:
        raise InputError(f"expected lines of steps, visits and warnings, got {kind!r}; pass the log of a watch.")
    return _made(_KINDS[kind], entries)


def _made(kind: Any, entries: dict[str, Any]) -> WatchEvent:
    known = {field.name: str(field.type) for field in fields(kind)}
    try:
        return kind(**{name: _read(known[name], value) for name, value in entries.items() if name in known})
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise InputError(f"expected a whole line of a watch's log, got one with {brief(error)}; is it cut?") from error


def _read(typed: str, value: Any) -> Any:
    if typed.startswith("float"):
        return float(value)
    if typed.startswith("dict"):
        return {name: float(one) for name, one in value.items()}
    if typed.startswith("tuple[WatchedLayer"):
        names = [field.name for field in fields(WatchedLayer) if field.name != "name"]
        rows: list[dict[str, Any]] = value
        return tuple(WatchedLayer(row["name"], *(_number(row.get(name)) for name in names)) for row in rows)
    if typed.startswith("tuple[float"):
        return tuple(float(one) for one in value)
    return tuple(value) if typed.startswith("tuple") else value


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def run_of(events: Sequence[WatchEvent]) -> WatchedRun:
    """Events of one run as one record.

    Example:
        >>> run_of([StepCheck(1, 0.1), WatchWarning(1, "rate", "Too fast.")]).warnings[0].kind
        'rate'
    """
    return WatchedRun(
        tuple(event for event in events if isinstance(event, StepCheck)),
        tuple(event for event in events if isinstance(event, WatchRecord)),
        tuple(event for event in events if isinstance(event, WatchWarning)),
    )


def read_run(path: Path | str) -> WatchedRun:
    """The log of a run, also while it is written.

    Raises:
        InputError: it cannot be read, is empty, or is something else.
    """
    lines = read_text(path, "the log of a watch", _MOST).splitlines()
    if not any('"event"' in line for line in lines[:1]):
        raise InputError(_ELSE)
    events: list[WatchEvent] = []
    for line in lines:
        found = event_of(line) if line.strip() else None
        if isinstance(found, int):  # a run that goes on from a checkpoint takes the later steps anew
            events = [event for event in events if event.step <= found]
        elif found is not None:
            events.append(found)
    return run_of(events)
