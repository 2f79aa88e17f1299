"""Where a watch writes to: JSON lines of its own, which are kept whatever ends the process, or anything that takes events."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import final

from freeness.advice import StepCheck, WatchEvent, head_line, line_of
from freeness.errors import InputError

_ALL = 1000  # first steps of which each check is written, then ever fewer


class WatchLog(ABC):
    """Takes what a watch sees, event by event.

    What it raises ends no training: it is said once, and it is called again at the next event.

    Attributes:
        resume: steps that were taken before, where a run goes on.
    """

    resume: int = 0

    _begun = False

    def begin(self) -> None:
        """A watch will write to it.

        Raises:
            InputError: another one does.
        """
        if self._begun:
            raise InputError(
                f"expected a log of its own for every watch, got a {type(self).__name__} twice; make another one."
            )
        self._begun = True

    @abstractmethod
    def write(self, event: WatchEvent) -> None:
        """A step, a visit or a warning."""


@final
class JsonLines(WatchLog):
    """A file of one JSON object a line; a line is handed to the system before training goes on.

    The first line says ``schema_version``; every other one has ``event``: "step", "visit" or "warning". Of steps all up to the
    thousandth are written, then one in t/1000. Lines that a full disk does not take are kept, and written once it has room.

    Args:
        path: of a new file; missing folders are made.
        resume: steps that the run has behind it, where it goes on from a checkpoint in the file that it has begun. What the file
            has of later steps is left out when it is read.

    Raises:
        InputError: the file cannot be written, or holds a run already.
    """

    def __init__(self, path: Path | str, *, resume: int = 0) -> None:
        self._path, self.resume = Path(path), resume
        self._waiting: list[str] = []
        if resume < 0:
            raise InputError(f"expected the steps that a run has behind it, 0 or more, got {resume}; correct it.")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab" if resume else "xb") as file:  # x: of two runs only one gets the file
                line = head_line(resume).encode() + b"\n"
                file.write(b"\n" + line if file.tell() else line)  # a kill may have cut the last line
        except FileExistsError as error:
            raise InputError(
                f"expected a new file for the log, got {str(path)!r}, which is there; choose another one, remove it, or go on in "
                "it by log=JsonLines(path, resume=STEPS)."
            ) from error
        except OSError as error:
            raise InputError(
                f"expected a file to write the log to, got {str(path)!r} ({error.strerror or error}); choose another one."
            ) from error

    def write(self, event: WatchEvent) -> None:
        rare = -(-event.step // _ALL)
        if not isinstance(event, StepCheck) or event.step % rare == 0:
            self._waiting.append(line_of(event))
            self._put()

    def _put(self) -> None:
        text = "".join(line + "\n" for line in self._waiting).encode()
        with self._path.open("ab", buffering=0) as file:  # closed each time, so that a kill loses nothing
            place = file.tell()
            if file.write(text) < len(text):  # a disk may take a part and say nothing
                with suppress(OSError):
                    os.truncate(self._path, place)
                raise OSError(f"only a part of a line could be written to {self._path}")
        self._waiting.clear()


def logs_of(given: object, resume: int = 0) -> list[WatchLog]:
    """The logs that a path, a log, or several of them stand for.

    Example:
        >>> logs_of(None)
        []
    """
    if given is None:
        return []
    if isinstance(given, WatchLog):
        return [given]
    if isinstance(given, str | Path):
        return [JsonLines(given, resume=resume)]
    if isinstance(given, list | tuple):
        return [log for one in given for log in logs_of(one, resume)]
    raise InputError(
        f"expected a log as a path or one of freeness.torch's logs, got {type(given).__name__}; wrap it, as TensorBoardLog does."
    )
