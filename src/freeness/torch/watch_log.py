"""Where a watch writes to: JSON lines of its own, which are kept whatever ends the process, or anything that takes events."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import final

from freeness.advice import StepCheck, WatchEvent, head_line, line_of
from freeness.errors import InputError

_ALL = 1000  # first steps of which each check is written, then ever fewer


class WatchLog(ABC):
    """Takes what a watch sees, event by event."""

    @abstractmethod
    def write(self, event: WatchEvent) -> None:
        """A step, a visit or a warning."""


@final
class JsonLines(WatchLog):
    """A file of one JSON object a line; a line is handed to the system before training goes on.

    The first line says ``schema_version``; every other one has ``event``: "step", "visit" or "warning". Of steps all up to the
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
            self._put(head_line())
        except OSError as error:
            raise InputError(
                f"expected a file to write the log to, got {str(path)!r} ({error.strerror or error}); choose another one."
            ) from error

    def write(self, event: WatchEvent) -> None:
        rare = -(-event.step // _ALL)
        if not isinstance(event, StepCheck) or event.step % rare == 0:
            self._put(line_of(event))

    def _put(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:  # closed each time, so that a kill loses nothing
            file.write(line + "\n")


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
