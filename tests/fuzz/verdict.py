"""What becomes of one case: right, refused, refused in part, wrong, a raw error, or no end."""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np

import freeness as fr
from tests.fuzz import checks
from tests.fuzz.case import SIZE, Case
from tests.fuzz.networks import deep, network
from tests.fuzz.operations import operation
from tests.fuzz.polynomials import polynomial
from tests.fuzz.texts import text
from tests.fuzz.trees import tree

KINDS: dict[str, Callable[[np.random.Generator], Case]] = {
    "tree": lambda rng: tree(rng, 2),
    "polynomial": polynomial,
    "operation": operation,
    "text": text,
    "network": network,
    "deep": deep,
}
OUTCOMES = ("right", "refused", "refused in part", "wrong", "raw error", "hung")
LIMIT = 20.0  # seconds of CPU a question: a distribution function, moments, a support, quantiles
_TOLD = 0.95  # share of it after which a law is to say that it takes longer
_REFUSED = (fr.InputError, fr.ConvergenceError)


class Hung(BaseException):
    """Over the limit of CPU time; nothing that catches every Exception keeps it."""


@dataclass(frozen=True)
class Verdict:
    """One of :data:`OUTCOMES` and why."""

    outcome: str
    reason: str = ""


def judged(case: Case, seed: int, limit: float = LIMIT, transforms: bool = True) -> Verdict:
    """The verdict on a case; its matrix is drawn by the seed, without a clock."""
    eigenvalues = np.sort(case.spectrum(SIZE, np.random.default_rng(seed)))
    refused = ""
    for question, check in _questions(case, eigenvalues, transforms):
        with _limited(limit):
            try:
                wrong = check()
            except Hung:
                return Verdict("hung", question)
            except _REFUSED as error:
                if question == "law":
                    return Verdict("refused", str(error))
                refused = refused or f"{question}: {error}"
                continue
            except Exception as error:
                return Verdict("raw error", f"{question}: {error!r}")
        if wrong:
            return Verdict("wrong", wrong)
    return Verdict("refused in part", refused) if refused else Verdict("right")


def _questions(case: Case, eigenvalues: np.ndarray, transforms: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    """Each has its own time; the law is built with the first."""
    made = cache(case.law)
    yield "law", lambda: checks.distribution(made(), eigenvalues, case.allowed)
    yield "moments", lambda: checks.exact_moments(made(), case.moments)
    yield "support", lambda: checks.support(made())
    yield "quantiles", lambda: checks.quantiles(made())
    yield "rise", lambda: checks.rising(made())
    yield "density", lambda: checks.density(made(), case.moments, case.smooth)
    if transforms:
        yield "transforms", lambda: checks.transforms(made(), eigenvalues, case.moments, case.allowed)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Raises :class:`Hung` after so much CPU time, if laws do not say by then that they take longer; warnings are errors."""

    start = time.process_time()

    def over(*_: object) -> None:
        if time.process_time() - start >= seconds:  # timers count whole ticks, more than there are on a busy machine
            raise Hung

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, 1.0)  # again, where something swallows it
    try:
        with warnings.catch_warnings(), fr.time_limit(_TOLD * seconds):
            warnings.simplefilter("error")
            yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def counted(verdicts: list[Verdict]) -> dict[str, int]:
    """How many there are of each outcome."""
    return {outcome: sum(verdict.outcome == outcome for verdict in verdicts) for outcome in OUTCOMES}


Progress = Callable[[int, Case, Verdict], None]


def drawn(kind: str, seed: int, number: int) -> Case:
    """Case ``number`` of a seed: the same in every run."""
    return KINDS[kind](np.random.default_rng((seed, number)))


def run(cases: int, seed: int, kind: str = "tree", told: Progress | None = None) -> list[Verdict]:
    """Verdicts on so many random cases of a kind."""
    verdicts = []
    for k in range(cases):
        case = drawn(kind, seed, k)
        verdicts.append(judged(case, k))
        if told is not None:
            told(k, case, verdicts[-1])
    return verdicts
