"""The lower end of a law on a half-line: real unknowns followed from far below to the bound, and through a gap behind it.

Below the support all unknowns are real and meromorphic, so that nothing is continued from above the axis, however near the bound
points lie. From the nearest one Newton is tried on the other side. Where it contracts there is a gap, and the walk goes on until
solutions end in a fold; where it does not, mass mounts towards the bound. In the limit -d·G(bound - d) is the mass at the bound.
"""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

_NEAREST = 1e-14  # distance from the bound in units of the radius: what lies nearer is not told from it
_ROUNDED = 1e-9  # the same in units of a bound > 0
_ENOUGH = 1e-6  # in units of the radius: where rounding stops the walk so near, it has arrived
FAR = 4.0  # where the walk starts, in units of the radius
_FIRST, _GROWTH, _LONGEST = 0.5, 1.5, 4.6  # steps in the logarithm of the distance
_SHORTEST = COARSE = 0.01
_ON = 2.0  # times the distance where it begins: a walk through a gap that ends nearer was lost in rounding
_BEHIND = 20.0  # times the step at which a walk ends: so far on has its end been passed
_WHOLE = 0.1  # distance of a power from a whole one that is none
_MOVED = 1e-9  # of the distribution function: in a gap it rests
_STILL = 1e-9  # change of the mass by the logarithm of the distance that is rounding
_STEADY = 0.01  # the same in units of the mass, for one that is an atom
_TRIES = 5  # Newton steps that need not contract at once, to the other side of an atom
_TOLD = 0.02  # the lightest atom told where mass mounts towards it


class NearSolution(Protocol):
    """(unknowns, x) ↦ the solution at x near them, None where Newton does not contract, from so many steps on at the latest."""

    def __call__(self, start: np.ndarray, x: float, tries: int = 1) -> np.ndarray | None: ...


class Seen(NamedTuple):
    """G, G' and the distribution function at a real point outside the support, less the mass of atoms that were passed."""

    g: float
    slope: float
    reached: float


@dataclass(frozen=True, eq=False)
class WalkedEnd:
    """``mass`` at the bound; ``dark``, the last point of a gap behind it, with ``unknowns``, and ``bright`` beyond its end.

    Where mass mounts towards the bound both are the bound.
    """

    mass: float
    dark: float
    bright: float
    unknowns: np.ndarray


def lower_end(
    start: np.ndarray,
    near: NearSolution,
    seen: Callable[[np.ndarray, float], Seen],
    bound: float,
    radius: float,
    sharp: float = COARSE,
) -> WalkedEnd | None:
    """Walks to the bound, and through the gap behind it if there is one; None where Newton stops on the way.

    Args:
        start: approximate unknowns (k, 1) at bound - 4 radius.
        near: solutions near others.
        seen: (unknowns, x) ↦ what is known there.
        bound: no mass lies below.
        radius: nor above it.
        sharp: step in the logarithm of the distance at which the walk through a gap ends.
    """
    first = near(start, bound - FAR * radius)
    if first is None:
        return None
    down = _Walk(near, bound, -1.0, first, FAR * radius)
    nearest = max(_NEAREST * radius, _ROUNDED * bound)
    while down.distance > nearest and down.step > _SHORTEST:
        down.steps(-min(down.step, np.log(down.distance / nearest) + _SHORTEST))
    if down.distance > _ENOUGH * radius:
        return None
    mass = _mass(seen, down)
    best = WalkedEnd(mass, bound, bound, down.unknowns)
    for end in range(len(down.known), 1, -1):  # where rounding is felt the other side may be found from farther away
        walk = down.crossed(end)
        if walk is None:
            continue
        reached = seen(walk.unknowns, walk.x).reached
        if abs(reached - mass) <= max(_MOVED, _STEADY * reached):
            begun = walk.distance
            found = _through(walk, seen, reached, radius, sharp)
            if found is None or found.dark - bound > _ON * begun:
                return found
            best = found if found.dark > best.dark else best
    return best


def upper_end(
    start: np.ndarray,
    near: NearSolution,
    seen: Callable[[np.ndarray, float], Seen],
    bound: float,
    radius: float,
    sharp: float = COARSE,
) -> WalkedEnd | None:
    """The same from bound + 4 radius down to the upper end of the law, which ``dark`` lies above; its ``mass`` is 0.

    Takes what :func:`lower_end` does, with approximate unknowns at bound + 4 radius.
    """
    first = near(start, bound + FAR * radius)
    if first is None:
        return None
    walk = _Walk(near, bound, 1.0, first, FAR * radius)
    reached = seen(first, walk.x).reached
    while walk.step > sharp:
        walk.steps(-walk.step, lambda unknowns, x: abs(seen(unknowns, x).reached - reached) <= _MOVED)
    return WalkedEnd(0.0, walk.x, walk.at(walk.distance * np.exp(-_BEHIND * sharp)), walk.unknowns)


def _through(
    walk: _Walk, seen: Callable[[np.ndarray, float], Seen], reached: float, radius: float, sharp: float
) -> WalkedEnd | None:
    """The gap behind the bound, at which there is so much mass."""
    while walk.step > sharp and walk.distance < radius:
        walk.steps(walk.step, lambda unknowns, x: abs(seen(unknowns, x).reached - reached) <= _MOVED)
    if walk.distance >= radius:
        return None
    return WalkedEnd(reached, walk.x, walk.at(walk.distance * np.exp(_BEHIND * sharp)), walk.unknowns)


def _mass(seen: Callable[[np.ndarray, float], Seen], walk: _Walk) -> float:
    """At the bound: m = -d·G and m' = dm/d log d at the last two points, with m - m₀ a power of d."""
    masses, changes = np.empty(2), np.empty(2)
    for k, (unknowns, distance) in enumerate(walk.known[-2:]):
        there = seen(unknowns, walk.at(distance))
        masses[k], changes[k] = -distance * there.g, -distance * (there.g - distance * there.slope)
    if abs(changes[1]) <= _STILL + _STEADY * abs(masses[1]):
        return float(masses[1] - changes[1]) if masses[1] > _STILL else 0.0
    with np.errstate(all="ignore"):
        power = np.log(changes[0] / changes[1]) / np.log(walk.known[-2][1] / walk.known[-1][1])
        mass = masses[1] - changes[1] / power
    return float(mass) if power > 0 and mass > _TOLD else 0.0


def _patient(near: NearSolution) -> NearSolution:
    """Beside a pole Newton steps may first go away, however near they begin; what they come back to is the solution."""

    def found(start: np.ndarray, x: float, tries: int = _TRIES) -> np.ndarray | None:
        there = near(start, x, tries)
        return None if there is None or np.any(np.abs(there - start) > _WHOLE * np.abs(start)) else there

    return found


class _Walk:
    """Solutions on one ``side`` of the bound, from one distance to the next."""

    def __init__(self, near: NearSolution, bound: float, side: float, unknowns: np.ndarray, distance: float) -> None:
        self._near, self._bound, self._side = near, bound, side
        self.known, self.step = [(unknowns, distance)], _FIRST

    @property
    def unknowns(self) -> np.ndarray:
        return self.known[-1][0]

    @property
    def distance(self) -> float:
        return self.known[-1][1]

    @property
    def x(self) -> float:
        return self.at(self.distance)

    def at(self, distance: float) -> float:
        return self._bound + self._side * distance

    def steps(self, step: float, kept: Callable[[np.ndarray, float], bool] | None = None) -> None:
        """Tries the distance e^step times as large; the next step is longer where what it finds is kept, else half."""
        distance = self.distance * np.exp(step)
        x = self.at(distance)
        guesses = self._ahead(distance) if x != 0 else []
        found = next((found for guess in guesses if (found := self._near(guess, x)) is not None), None)
        if found is None or (kept is not None and not kept(found, x)):
            self.step = abs(step) / 2
            return
        self.known.append((found, distance))
        self.step = min(max(self.step, abs(step)) * _GROWTH, _LONGEST)

    def crossed(self, end: int) -> _Walk | None:
        """A walk on the other side, from as far as the last of so many solutions.

        It begins with what nearer ones are there, by which its steps are guessed.
        """
        distance = self.known[end - 1][1]
        guess = self._mirrored(end)
        if guess is None:
            return None
        found = _patient(self._near)(guess, self._bound - self._side * distance)
        if found is None:
            return None
        walk = _Walk(_patient(self._near), self._bound, -self._side, found, distance)
        nearer = [(self._mirrored(k), self.known[k - 1][1]) for k in (end + 2, end + 1) if k <= len(self.known)]
        walk.known = [(there, away) for there, away in nearer if there is not None] + walk.known
        return walk

    def _mirrored(self, end: int) -> np.ndarray | None:
        """About the unknowns on the other side: near the bound all are whole powers of the distance, to first order in it.

        For what is meromorphic has such a series on both sides.
        """
        (before, last), (now, distance) = self.known[end - 2 : end]
        with np.errstate(all="ignore"):
            power = np.where(now == 0, 0.0, np.log(np.abs(now / before)) / np.log(distance / last))
            whole = np.round(power)
            bent = now - 2 * distance * (now - before * (distance / last) ** whole) / (distance - last)
            known = bool(
                (np.abs(power - whole) <= _WHOLE).all()
            )  # not of one that was 0 a step before: its power is infinite
        if not known:
            return None
        return np.where(whole % 2 == 1, -1.0, 1.0) * bent

    def _ahead(self, distance: float) -> list[np.ndarray]:
        """Guesses there: powers of the distance, or quotients of lines, by which unknowns pass 0 and poles."""
        if len(self.known) < 3:
            return [self.unknowns]
        (first, a), (second, b), (third, c) = self.known[-3:]
        with np.errstate(all="ignore"):
            ratio = third / second
            power = third * np.abs(ratio) ** (np.log(distance / c) / np.log(c / b))
            one, two = (b - a) / (second - first), (c - a) / (third - first)
            bend = (two - one) / (c - b)
            line = first + (distance - a) / (one + (distance - b) * bend)  # Thiele's fraction through all three
        line = np.where(np.isfinite(line), line, third)
        return [np.where((np.real(ratio) > 0) & np.isfinite(power), power, line), line]
