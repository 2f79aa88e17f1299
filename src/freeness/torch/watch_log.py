"""Where a watch writes to: JSON lines of its own, which are kept whatever ends the process, or anything that takes events."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from dataclasses import fields
from pathlib import Path
from typing import Any, final

from freeness.advice import StepCheck, WatchRecord, WatchWarning
from freeness.errors import InputError
from freeness.version import __version__

SCHEMA_VERSION = 1
_ALL = 1000  # first steps of which each check is written, then ever fewer

WatchEvent = StepCheck | WatchRecord | WatchWarning


class WatchLog(ABC):
    """Takes what a watch sees, event by event."""

    @abstractmethod
    def write(self, event: WatchEvent) -> None:
        """A step, a visit or a warning."""


@final
class JsonLines(WatchLog):
    """A file of one JSON object a line; a line is handed to the system before training goes on.

    The first line says ``schema_version``; every other one has ``kind``: "step", "visit" or "warning". Of steps all up to the
    thousandth are written, then one in t/1000. A run that goes on appends.

    Args:
        path: missing folders are made.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._put({"kind": "start", "schema_version": SCHEMA_VERSION, "freeness_version": __version__})
        except OSError as error:
            raise InputError(
                f"expected a file to write the log to, got {str(path)!r} ({error.strerror or error}); choose another one."
            ) from error

    def write(self, event: WatchEvent) -> None:
        if isinstance(event, StepCheck):
            if event.step <= _ALL or event.step % -(-event.step // _ALL) == 0:
                self._put({"kind": "step"} | _plain(event))
            return
        self._put({"kind": "visit" if isinstance(event, WatchRecord) else "warning"} | _plain(event))

    def _put(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:  # closed each time, so that a kill loses nothing
            file.write(json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n")


def _plain(record: Any) -> dict[str, Any]:
    """The fields that say something; what is not finite in words, for a rate may be infinite and a loss no number."""
    found = {field.name: _value(getattr(record, field.name)) for field in fields(record)}
    return {name: value for name, value in found.items() if value not in (None, "", [], {})}


def _value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # "inf", "-inf", "nan", as float() reads them
    if isinstance(value, dict):
        return {name: _value(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [one if isinstance(one, str) else _plain(one) for one in value]
    return value


def logs_of(given: object) -> list[WatchLog]:
    """The logs that a path, a log, or several of them stand for.

    Raises:
        InputError: something else.

    Example:
        >>> logs_of(None)
        []
    """
    if given is None:
        return []
    if isinstance(given, WatchLog):
        return [given]
    if isinstance(given, str | Path):
        return [JsonLines(given)]
    if isinstance(given, list | tuple):
        return [log for one in given for log in logs_of(one)]
    raise InputError(
        f"expected a log as a path or one of freeness.torch's logs, got {type(given).__name__}; wrap it, as TensorBoardLog does."
    )
