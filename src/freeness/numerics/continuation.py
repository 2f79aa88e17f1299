"""Newton's method continued from far above the real axis down to it, point by point, all points at once.

Far from the support the physical solution is known asymptotically. The imaginary part is then lowered by a factor that
each point chooses for itself: a step is accepted only when Newton contracts from the last accepted solution (Deuflhard's
test: the second update at most a quarter of the first) and the solution stays physical; otherwise the step is halved in
the logarithm. The last step goes to the real axis itself, so no imaginary part is left in the answer.

Source: Deuflhard, Newton Methods for Nonlinear Problems (2004), ch. 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Inexact

_CONTRACTION = 0.25  # largest accepted ratio of the second update to the first
_LONG = 0.5  # ratio of heights up to which powers tell more than the last solution
_STEEP, _STEEPEST = 1e-3, 1e-7  # least ratio of one height to the last
_FROM = 1e3  # times the magnitude, the height from which on the target itself is tried
_CLEAN = 0.01  # a larger one leaves an error that the next step would feel: one more Newton step
_EASY = 0.05  # below it the next step is squared
_CLOSE = 0.1  # largest accepted second update, relative: what remains is that times the contraction
_IMPROVED, _FARTHEST, _NEARLY = (
    12,
    2.0,
    1e-4,
)  # steps from a rough guess, the longest of them, relative, and when it is none
_REGULAR = 1e-11  # a last step from there is longer at solutions that are nearly multiple
_TOLERANCE = 4e-15  # relative size of the last update
_SHRINKING = 0.9  # an update that shrinks less is rounding; near an m-fold root they shrink by 1 - 1/m
_STALLED = 1e-5  # up to which rounding may be felt near a multiple root (an edge, a cusp)
_NUDGE = 1e-10  # relative change of the target by which its effect on the parameters is measured
_FORGIVEN = 1e-12  # relative rounding of the target, generously
_PHYSICAL = -1e-6  # smallest accepted margin: 0 up to the rounding at a nearly double root
_ROUNDS = 400
_ON_EDGE = 1e-14  # relative height below which a target that Newton does not reach lies on an edge
_STUCK = 1e-11  # the same where rounding stops the way down earlier
_POLISH = 40  # Newton steps at most: near a double root each only halves the distance

Update = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
Size = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Standard:
    """``size``: (k, m) ↦ (k, m), what a change of each parameter is compared with; ``negligible``: such a last Newton step is.

    ``enough``: none is taken after one that is so small. ``powers``: a height below which the parameters are powers of it, so
    that it may fall in long steps.
    """

    size: Size = np.abs
    negligible: float = 1e-12
    enough: float = _TOLERANCE
    powers: float = 0.0


_PLAIN = Standard()


@dataclass(frozen=True, eq=False)
class Solution:
    """``parameters`` (k, n), the imaginary part ``height`` left (n,), their relative ``noise`` (n,), which converged (n,).

    ``height`` is 0 except where the target is a double root to working precision (it lies on a soft edge); ``noise`` is
    the size of the last Newton update.
    """

    parameters: Inexact[np.ndarray, "unknowns points"]
    height: Float[np.ndarray, " points"]
    noise: Float[np.ndarray, " points"]
    converged: Bool[np.ndarray, " points"]


def follow(
    update: Update,
    start: Inexact[np.ndarray, "unknowns points"],
    target: Inexact[np.ndarray, " points"],
    height: Float[np.ndarray, " points"],
    magnitude: Float[np.ndarray, " points"],
    standard: Standard = _PLAIN,
) -> Solution:
    """Solves F(parameters) = target for each of n targets in the closed upper half-plane.

    Args:
        update: (parameters (k, m), target (m,)) ↦ (Newton update (k, m), margin (m,)); margin < 0 means unphysical.
        start: approximate parameters (k, n) at target + i·height.
        target: (n,) complex with Im ≥ 0.
        height: where each point's continuation starts, far above the support's radius.
        magnitude: of the numbers that F adds up, whose rounding is felt as one of the target, times how much they add up.
        standard: what a change of the parameters is compared with, and which is negligible.
    """
    parameters = start.astype(complex).copy()
    parameters, _, alive = _newton(update, parameters, target + 1j * height, np.maximum(height, magnitude), standard)
    noise = np.zeros(target.shape)
    y = np.broadcast_to(height, target.shape).astype(float)
    ratio = np.full(target.shape, 0.1)
    direct = np.zeros(target.shape, dtype=bool)  # whether to try the target itself next
    done = np.zeros(target.shape, dtype=bool)
    span = np.where(magnitude == 0, 1e-2 * height, magnitude)
    rate = np.zeros_like(parameters)  # d log parameters / d log y along the last step
    for _ in range(_ROUNDS):
        active = np.flatnonzero(alive & ~done)
        if active.size == 0:
            break
        step = np.where(direct[active], 0.0, y[active] * ratio[active])
        begin = parameters[:, active]
        leap = (y[active] < standard.powers) & (step > 0) & (ratio[active] < _LONG)
        if leap.any():
            with np.errstate(all="ignore"):
                begin = begin * np.exp(rate[:, active] * np.where(leap, np.log(step / y[active]), 0.0))
        trial, contraction, good = _attempt(update, begin, target[active] + 1j * step, standard, leap)
        final = good & (step == 0.0)
        if final.any():
            trial[:, final], noise[active[final]], good[final] = _newton(
                update, trial[:, final], target[active[final]], magnitude[active[final]], standard
            )
        if standard.powers > 0:
            rate[:, active[good]] = _power(trial[:, good], parameters[:, active[good]], step[good] / y[active[good]])
        parameters[:, active[good]] = trial[:, good]
        y[active[good]] = step[good]
        done[active] = good & final
        moved = good & ~final
        easy = moved & (contraction <= _EASY)
        hard = ~good & ~direct[active]
        least = np.where(y[active[easy]] < standard.powers, _STEEPEST, _STEEP)
        ratio[active[easy]] = np.maximum(ratio[active[easy]] ** 2, least)
        ratio[active[hard]] = np.sqrt(ratio[active[hard]])
        direct[active] = easy & (y[active] <= _FROM * span[active])
        stuck = active[hard & (ratio[active] >= 0.999)]
        alive[stuck] = False
        done |= alive & (y <= _ON_EDGE * span)
        done[stuck] = y[stuck] <= _STUCK * span[stuck]
    return Solution(parameters, y, noise, done)


def _power(new: np.ndarray, old: np.ndarray, fall: np.ndarray) -> np.ndarray:
    """The power of the height that each parameter (k, m) was between heights of ratio ``fall``; 0 where it turned far."""
    with np.errstate(all="ignore"):
        turn = np.log(new / old)
        return np.where(np.isfinite(turn) & (np.abs(np.imag(turn)) < 1) & (fall > 0), turn / np.log(fall), 0.0)


def confirmed(
    update: Update,
    parameters: Inexact[np.ndarray, "unknowns points"],
    target: Inexact[np.ndarray, " points"],
    magnitude: Float[np.ndarray, " points"],
    standard: Standard = _PLAIN,
) -> Solution:
    """The solutions near approximate ones: those to which Newton contracts from there by the standards of :func:`follow`."""
    trial, _, good = _attempt(update, parameters, target, standard, np.zeros(target.shape, dtype=bool))
    noise = np.zeros(target.shape)
    trial[:, good], noise[good], good[good] = _newton(update, trial[:, good], target[good], magnitude[good], standard)
    return Solution(trial, np.zeros(target.shape), noise, good)


def improved(
    update: Update,
    parameters: Inexact[np.ndarray, "unknowns points"],
    target: Inexact[np.ndarray, " points"],
    magnitude: Float[np.ndarray, " points"],
    standard: Standard = _PLAIN,
) -> Solution:
    """What Newton comes to from rough guesses, for those who know a solution when they see it: no step need contract at once.

    Points are given up whose steps stay long, or do not fall by a half in each two steps, and those that end where rounding still
    moves them: solutions may lie densely there.
    """
    trial, noise = parameters.copy(), np.zeros(target.shape)
    running, good = np.arange(target.size), np.zeros(target.shape, dtype=bool)
    last = np.full((2, target.size), np.inf)
    with np.errstate(all="ignore"):
        for _ in range(_IMPROVED):
            change, _ = update(trial[:, running], target[running])
            left = _relative(change, trial[:, running], standard)
            kept = np.isfinite(left) & (left <= _FARTHEST) & ~(left > last[0, running] / 2)
            running, change, left = running[kept], change[:, kept], left[kept]
            trial[:, running] += change
            last[0, running], last[1, running] = last[1, running], left
            good[running] |= left <= _NEARLY
            running = running[left > _NEARLY]
            if running.size == 0:
                break
    trial[:, good], noise[good], good[good] = _newton(update, trial[:, good], target[good], magnitude[good], standard)
    return Solution(trial, np.zeros(target.shape), noise, good & (noise <= _REGULAR))


def _attempt(
    update: Update, parameters: np.ndarray, target: np.ndarray, standard: Standard, leap: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two Newton steps, a third where they contract slowly or end a little off the half-plane; behind a leap not even that.

    Returns the new parameters, the contraction, and whether to accept.
    """
    with np.errstate(all="ignore"):
        first, _ = update(parameters, target)
        trial = parameters + first
        second, margin = update(trial, target)
        contraction, left = _contraction(first, second, trial, standard)
        trial = trial + second
        good = (contraction <= _CONTRACTION) & (left <= _CLOSE) & np.isfinite(trial).all(axis=0)
        good &= ~leap | (margin > 0)
        rough = np.flatnonzero(good & ((contraction > _CLEAN) | (margin < _PHYSICAL)))
        if rough.size:
            third, margin = update(trial[:, rough], target[rough])
            again, _ = _contraction(second[:, rough], third, trial[:, rough], standard)
            trial[:, rough] += third
            good[rough] = (again <= _CONTRACTION) & (margin >= _PHYSICAL)
    return trial, contraction, good


def _contraction(
    before: np.ndarray, after: np.ndarray, at: np.ndarray, standard: Standard
) -> tuple[np.ndarray, np.ndarray]:
    """Size of an update over that of the one before, and its relative size; an update of rounding size counts as none."""
    left = _relative(after, at, standard)
    ratio = np.where(left <= 1e-13, 0.0, left / _relative(before, at, standard))
    return np.where(np.isfinite(ratio), ratio, np.inf), left


def _newton(
    update: Update, parameters: np.ndarray, target: np.ndarray, magnitude: np.ndarray, standard: Standard
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Newton to rounding: the parameters, their noise, and whether they converged.

    Converged means that the update became negligible, or stopped shrinking at what rounding of a target of that ``magnitude``
    does to it; near a multiple root that is far above the rounding of the parameters.
    """
    parameters = parameters.copy()
    last = np.full(target.shape, np.inf)
    margin = np.zeros(target.shape)
    running = np.arange(target.size)
    with np.errstate(all="ignore"):
        for _ in range(_POLISH):
            change, margin[running] = update(parameters[:, running], target[running])
            relative = _relative(change, parameters[:, running], standard)
            better = relative < np.where(last[running] < _STALLED, _SHRINKING * last[running], np.inf)
            parameters[:, running[better]] += change[:, better]
            last[running[better]] = relative[better]
            running = running[better & (relative > standard.enough)]
            if running.size == 0:
                break
        converged = last <= standard.negligible
        open_ = np.flatnonzero(~converged & (last <= _STALLED))
        if open_.size:
            at, x = parameters[:, open_], target[open_]
            moved = update(at, x + _NUDGE * magnitude[open_])[0] - update(at, x)[0]
            converged[open_] = last[open_] <= _FORGIVEN / _NUDGE * _relative(moved, at, standard)
    return parameters, last, converged & (margin >= _PHYSICAL)


def _relative(change: np.ndarray, parameters: np.ndarray, standard: Standard) -> np.ndarray:
    return (np.abs(change) / np.maximum(standard.size(parameters), np.finfo(float).tiny)).max(axis=0)
