"""How far a computation has come and when it must end: what long loops tell, and what those who started them hear."""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

_OFTEN = 0.5  # seconds between two reports


class TimeUp(Exception):
    """The time that a computation was given is over; no FreenessError, for those are answered by trying something else."""


@dataclass(eq=False)
class Pace:
    """Counts beats towards ``units`` and stops what beats after ``deadline`` (of ``time.monotonic``)."""

    units: float
    deadline: float
    report: Callable[[float], None] | None = None
    done: float = 0.0
    told: float = field(default_factory=time.monotonic)
    last: float = math.inf

    def beat(self, units: float, *, ahead: bool = False) -> None:
        """Another part is done; where ``ahead``, the next one has to end in time as well if it takes as long."""
        self.done += units
        now = time.monotonic()
        step, self.last = max(now - self.last, 0.0) if ahead else 0.0, now
        if self.report is not None and now - self.told > _OFTEN:
            self.told = now
            self.report(min(self.done / self.units, 1.0) if self.units > 0 else 0.0)
        if now + step > self.deadline:
            raise TimeUp("the time that was given is over")


_CURRENT: ContextVar[Pace | None] = ContextVar("freeness_pace", default=None)


@contextmanager
def paced(pace: Pace) -> Iterator[None]:
    """A block whose loops beat this pace.

    Example:
        >>> heard = []
        >>> with paced(Pace(2.0, time.monotonic() + 60, heard.append, told=0.0)):
        ...     beat()
        >>> heard
        [0.5]
    """
    token = _CURRENT.set(pace)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def beat(units: float = 1.0) -> None:
    """One product, or one backward pass, of a long loop is done.

    Raises:
        TimeUp: the time is over.
    """
    pace = _CURRENT.get()
    if pace is not None:
        pace.beat(units)


def is_over() -> bool:
    """Another product is done, and the time is over, or would be behind the next one: what there is must do.

    Example:
        >>> is_over()
        False
    """
    pace = _CURRENT.get()
    try:
        if pace is not None:
            pace.beat(1.0, ahead=True)
    except TimeUp:
        return True
    return False


def remaining() -> float:
    """Seconds until the time is over; without end where nobody gave one.

    Example:
        >>> remaining()
        inf
    """
    pace = _CURRENT.get()
    return math.inf if pace is None else pace.deadline - time.monotonic()


@contextmanager
def cut_off(deadline: float) -> Iterator[None]:
    """A block that is stopped between two steps of Python where it does not beat.

    For computations of theory, which change nothing that outlives them. A single call of compiled code ends first.

    ``deadline``: of ``time.monotonic``.

    Example:
        >>> try:
        ...     with cut_off(time.monotonic() + 0.05):
        ...         while True:
        ...             pass
        ... except TimeUp:
        ...     "stopped"
        'stopped'
    """
    thread, lock, state = threading.get_ident(), threading.Lock(), {"over": False, "fired": False}
    begun = threading.Event()

    def fire() -> None:
        begun.wait()  # an exception in the middle of Timer.start would leave its tables broken
        with lock:
            if not state["over"]:
                state["fired"] = True
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TimeUp))

    timer = threading.Timer(max(deadline - time.monotonic(), 0.0), fire)
    timer.daemon = True
    timer.start()
    try:
        try:
            begun.set()
            yield
        finally:
            timer.cancel()
            with lock:
                state["over"] = True
        while state["fired"]:  # it is on its way
            pass
    except TimeUp:
        raise TimeUp("the time that was given is over") from None
