"""One row: our answer and the peer's to the same question, timed one after the other in one process, errors against the truth.

Every script in ``peers/`` ends in ``run(ROWS)``. It prints lines of JSON, ours first, so that a peer that never ends or takes the
process down leaves our half behind; what happened to the peer is then said by ``benchmarks.drive``.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

ROUNDS = 3
PATIENCE = 20.0  # seconds that a call may take and still be made again
LIBRARIES = ("numpy", "scipy", "torch", "jax")
MARK = "@row "  # before a line of ours, as peers print, too


@dataclass(frozen=True)
class Row:
    """A question with two ways to answer it.

    Args:
        ours: computes our answer; what it keeps between calls (a traced model) the peer may keep, too.
        theirs: computes the peer's.
        error: of our answer, and of the peer's where ``their_error`` is not given. NaN counts as no answer.
        measure: what the error is, in words.
        bar: the error up to which an answer counts as right; None: the smaller one is the bar, and 2 % more is as good.
        their_error: of the peer's answer, where that has another form.
        remark: what a reader must know of how the peer was asked; a function is given both answers.
    """

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    error: Callable[[Any], float]
    measure: str
    bar: float | None
    their_error: Callable[[Any], float] | None = None
    remark: str | Callable[[Any, Any], str] = ""


def clocked(job: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds, result); the lesser of wall and processor time, so that neither other processes nor second threads count."""
    wall, processor = time.perf_counter(), time.process_time()
    result = job()
    return min(time.perf_counter() - wall, time.process_time() - processor), result


def timed(job: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    """The median of three calls behind a first one, which may prepare things; a slow first call is the only one."""
    first, result = clocked(job)
    rest = [] if first > PATIENCE else [clocked(job)[0] for _ in range(ROUNDS)]
    return {"seconds": statistics.median(rest or [first]), "first": first, "calls": 1 + len(rest)}, result


def judged(found: dict[str, Any], error: Callable[[Any], float], result: Any) -> dict[str, Any]:
    """The half of a row with its error; NaN and infinity are no numbers of JSON, so they become a failure in words."""
    value = float(error(result))
    return found | ({"error": value} if np.isfinite(value) else {"failure": "the answer has no finite error"})


def say(half: str, content: Any) -> None:
    """One line for the driver."""
    sys.stdout.write(MARK + json.dumps({half: content}, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def measured(row: Row) -> None:
    """Both halves of a row, each said as soon as it is known."""
    say("about", {"measure": row.measure, "bar": row.bar, "versions": versions(), "python": platform.python_version()})
    found, our_answer = timed(row.ours)
    say("ours", judged(found, row.error, our_answer))
    start = time.process_time()
    try:
        found, their_answer = timed(row.theirs)
    except Exception as error:  # whatever a peer raises is the row's result
        spent, why = time.process_time() - start, f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        say("theirs", {"failure": f"{why.removesuffix(': ')} (after {spent:.2g} s)"})
        if isinstance(row.remark, str):
            say("remark", row.remark)
        return
    say("theirs", judged(found, row.their_error or row.error, their_answer))
    say("remark", row.remark if isinstance(row.remark, str) else row.remark(our_answer, their_answer))


def versions() -> dict[str, str]:
    """Of the libraries below both."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def run(rows: dict[str, Callable[[], Row]]) -> None:
    """Measure the row that is named on the command line, or list the rows."""
    if sys.argv[1:] == ["--list"]:
        say("rows", list(rows))
        return
    warnings.simplefilter("ignore")
    measured(rows[sys.argv[1]]())
