"""What becomes of one case: right, refused, refused in part, wrong, a raw error, or no end."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import freeness as fr
from tests.fuzz.case import SIZE, Case
from tests.fuzz.networks import network
from tests.fuzz.polynomials import polynomial
from tests.fuzz.trees import tree

KINDS: dict[str, Callable[[np.random.Generator], Case]] = {
    "tree": lambda rng: tree(rng, 2),
    "polynomial": polynomial,
    "network": network,
}
OUTCOMES = ("right", "refused", "refused in part", "wrong", "raw error", "hung")
LIMIT = 20.0  # seconds of CPU a question: a distribution function, moments, a support, quantiles
_REACH = 0.01  # of the spread, by which points may be displaced
_MOMENT = 1e-7  # relative, as are those of six moments from their recursions
_REFUSED = (fr.InputError, fr.ConvergenceError)


class Hung(Exception):
    """Over the limit of CPU time."""


@dataclass(frozen=True)
class Verdict:
    """One of :data:`OUTCOMES` and why."""

    outcome: str
    reason: str = ""


def judged(case: Case, seed: int, limit: float = LIMIT) -> Verdict:
    """The verdict on a case; its matrix is drawn by the seed, without a clock."""

    def over(*_: object) -> None:
        raise Hung

    eigenvalues = np.sort(case.spectrum(SIZE, np.random.default_rng(seed)))
    before = signal.signal(signal.SIGVTALRM, over)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _judged(case, eigenvalues, lambda: signal.setitimer(signal.ITIMER_VIRTUAL, limit))
    except Hung:
        return Verdict("hung")
    except _REFUSED as error:
        return Verdict("refused", str(error))
    except Exception as error:
        return Verdict("raw error", repr(error))
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def _judged(case: Case, eigenvalues: np.ndarray, wound: Callable[[], object]) -> Verdict:
    wound()
    law = case.law()
    wrong = _distribution(law, eigenvalues, case.allowed)
    if wrong:
        return Verdict("wrong", wrong)
    refused = ""
    for check in (lambda: _moments(law, case.moments), lambda: _support(law), lambda: _quantiles(law)):
        wound()
        try:
            wrong = check()
        except _REFUSED as error:
            refused = refused or str(error)
            continue
        if wrong:
            return Verdict("wrong", wrong)
    return Verdict("refused in part", refused) if refused else Verdict("right")


def _distribution(law: fr.Law, eigenvalues: np.ndarray, bound: float) -> str:
    """Lévy's distance of both distribution functions, nearly: each at points that are displaced a little to either side."""
    reach = _REACH * max(float(np.ptp(eigenvalues)), 1e-9)
    x = np.quantile(eigenvalues, np.linspace(0.01, 0.99, 41))
    sampled = (np.searchsorted(eigenvalues, at, side="right") / eigenvalues.size for at in (x - reach, x + reach))
    left, right = sampled
    known = law.cdf(np.concatenate([x - reach, x + reach]))
    below, above = np.split(known, 2)
    gap = float(max(np.max(left - above), np.max(below - right)))
    return f"distribution functions differ by {gap:.3g}, allowed {bound:.3g}" if gap > bound else ""


def _moments(law: fr.Law, moments: np.ndarray) -> str:
    if moments.size == 0:
        return ""
    found = law.moments(moments.size)
    size = np.maximum(np.abs(moments), max(map(abs, law.hull)) ** np.arange(1, moments.size + 1) * 1e-3)
    off = float(np.max(np.abs(found - moments) / size))
    return f"moments {found} instead of {moments}" if off > _MOMENT else ""


def _support(law: fr.Law) -> str:
    """Bands and atoms hold all mass, and lie in the hull."""
    low, high = law.hull
    atoms = sum(mass for _, mass in law.atoms)
    near = 1e-9 * max(abs(low), abs(high))
    if any(a < low - near or b > high + near for a, b in law.support):
        return f"support {law.support} outside the hull {law.hull}"
    held = atoms
    for a, b in law.bands:
        inside = sum(mass for position, mass in law.atoms if a < position <= b)
        held += float(law.cdf(b) - law.cdf(a)) - inside
    allowed = 1e-6 + law.bands_error
    return f"bands and atoms hold {held:.9g}: {law.bands}" if abs(held - 1) > allowed else ""


def _quantiles(law: fr.Law) -> str:
    levels = np.array([0.1, 0.5, 0.9])
    places = law.quantile(levels)
    near = 1e-7 * (law.hull[1] - law.hull[0] + 1e-300)
    reached = law.cdf(np.minimum(places + near, law.hull[1] + near))
    return f"quantiles {places} reach {reached}" if np.any(reached < levels - 1e-6) else ""


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
