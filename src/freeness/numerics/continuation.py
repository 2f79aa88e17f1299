"""Newton's method continued from far above the real axis down to it, point by point, all points at once.

Far from the support the physical solution is known asymptotically; the way starts nearer where Newton contracts from that to
inside the half-plane, where there is one solution. The imaginary part is then lowered by a factor that each point chooses for
itself: a step is accepted only when Newton contracts from the last accepted solution (Deuflhard's test: the second update at
most a quarter of the first) and the solution stays physical; otherwise the step is halved in the logarithm. After a good step
(of matrices a short one, or far down) Newton starts from a guess by the last two solutions; that one must end inside the
half-plane as well. The last step goes to the real axis itself, so no imaginary part is left in the answer.

Source: Deuflhard, Newton Methods for Nonlinear Problems (2004), ch. 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Inexact

from freeness.numerics.cpu_time import check_time

_CONTRACTION = 0.25  # largest accepted ratio of the second update to the first
_FIRST_FALL, _NEAR_FALL = 2.3, 1.2  # of log y in the first step, from far and from near
_DEEP = 1e-3  # share of the first height below which matrices are guessed, too
_LONG = 0.7  # a longer step is guessed where parameters are powers
_LEAST_POWER = 1e-3  # a smaller one is a logarithm
_RISES = 3.0  # a part that rises by more from one height to the next is guessed on a line
_STEEP, _STEEPEST = 6.9, 16.1  # most fall of log y in a step
_STOPPED = 1e-3  # a shorter step is none
_WARY, _FORGETS = (
    0.7,
    1.15,
)  # of a fall that was refused, the next are at most; by which that bound grows from step to step
_AIM = 0.1  # contraction that guessed steps are made for: it grows like the square of their length
_FROM = 1e3  # times the magnitude, the height from which on the target itself is tried
_NEARER = (1e-3, 0.5)  # share of a height at which that failed, at which it is tried again
_CLEAN = 0.01  # a larger one leaves an error that the next step would feel: one more Newton step
_EASY = 0.05  # below it the target itself is tried next
_CLOSE = 0.1  # largest accepted second update, relative: what remains is that times the contraction
_IMPROVED, _FARTHEST, _NEARLY = (
    12,
    2.0,
    1e-4,
)  # steps from a rough guess, the longest of them, relative, and when it is none
_ROUGHLY = 5  # steps from each of several starts
_REGULAR = 1e-11  # a last step from there is longer at solutions that are nearly multiple
_TOLERANCE = 4e-15  # relative size of the last update
_SHRINKING = 0.9  # an update that shrinks less is rounding; near an m-fold root they shrink by 1 - 1/m
_STALLED = 1e-5  # up to which rounding may be felt near a multiple root (an edge, a cusp)
_NUDGE = 1e-10  # relative change of the target by which its effect on the parameters is measured
_FORGIVEN = 1e-12  # relative rounding of the target, generously
_PHYSICAL = -1e-6  # smallest accepted margin: 0 up to the rounding at a nearly double root
_ROUNDS = 400
_ON_EDGE = 1e-14  # relative height below which a target that Newton does not reach lies on an edge
_RESTING = 1e-2  # relative change of parameters over that of log y that is none there
_STUCK = 1e-11  # the same where rounding stops the way down earlier
_TINY = np.finfo(float).tiny
_POLISH = 40  # Newton steps at most: near a double root each only halves the distance

Update = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, Callable[[], np.ndarray]]]
Start = Callable[[np.ndarray, np.ndarray], np.ndarray]
Size = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Standard:
    """``size``: (k, m) ↦ (k, m), what a change of each parameter is compared with; ``negligible``: such a last Newton step is.

    ``enough``: none is taken after one that is so small. ``near``: share of the height at which the way is tried to start.
    ``powers``: a height below which the parameters are powers of it, so that it may fall in long steps. ``guesses``: whether
    steps may start from a guess by the last two solutions, and these must rest where the way down stops. ``joint``: guesses
    change all parameters alike, as entries of matrices want it, which are related to one another. ``wary``: steps remember
    which was refused, and a guess is judged by how far it missed.
    """

    size: Size = np.abs
    negligible: float = 1e-12
    enough: float = _TOLERANCE
    near: float = 1.0
    powers: float = 0.0
    guesses: bool = True
    joint: bool = False
    wary: bool = False


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
    start: Start,
    target: Inexact[np.ndarray, " points"],
    height: Float[np.ndarray, " points"],
    magnitude: Float[np.ndarray, " points"],
    standard: Standard = _PLAIN,
) -> Solution:
    """Solves F(parameters) = target for each of n targets in the closed upper half-plane.

    Args:
        update: (parameters (k, m), target (m,)) ↦ (Newton update (k, m), what tells the margin (m,)); one < 0 is unphysical.
        start: (target (m,), height (m,)) ↦ approximate parameters (k, m) at target + i·height.
        target: (n,) complex with Im ≥ 0.
        height: where each point's continuation starts, far above the support's radius.
        magnitude: of the numbers that F adds up, whose rounding is felt as one of the target, times how much they add up.
        standard: what a change of the parameters is compared with, and which is negligible.
    """
    parameters, y, fall, alive = _begun(update, start, target, height, magnitude, standard)
    noise = np.zeros(target.shape)
    before, above = np.full_like(parameters, np.nan), y.copy()  # the last accepted solution but one, and its height
    bound = np.full(target.shape, np.inf)  # of the fall of log y in the next step
    span = np.where(magnitude == 0, 1e-2 * height, magnitude)
    low = _FROM * span  # from which on the target itself is tried
    direct = np.zeros(target.shape, dtype=bool)  # whether it is tried next
    done = np.zeros(target.shape, dtype=bool)
    led = np.zeros(target.shape, dtype=bool)  # whether the next one is guessed from two before
    pace = np.full((3, *target.shape), np.nan)  # power of the height that they follow; logarithms of rate and height
    for _ in range(_ROUNDS):
        active = np.flatnonzero(alive & ~done)
        if active.size == 0:
            break
        here, guessed = direct[active], led[active] & ~direct[active] & standard.guesses
        guessed |= ~here & (fall[active] > _LONG) & (y[active] < standard.powers)
        step = np.where(here, 0.0, y[active] * np.exp(-fall[active]))
        begin = parameters[:, active]
        if guessed.any():
            heights = np.stack([step, y[active], above[active]])
            ahead = _ahead(begin, before[:, active], heights, pace[0, active], standard)
            guessed &= np.isfinite(ahead).all(axis=0)
            begin = np.where(guessed, ahead, begin)
        trial, contraction, good = _attempt(update, begin, target[active] + 1j * step, standard, guessed)
        final = good & here
        if final.any():
            trial[:, final], noise[active[final]], good[final] = _newton(
                update, trial[:, final], target[active[final]], magnitude[active[final]], standard
            )
        moved, hard, missed = good & ~final, ~good & ~here, ~good & here
        before[:, active[moved]], above[active[moved]] = parameters[:, active[moved]], y[active[moved]]
        parameters[:, active[good]] = trial[:, good]
        y[active[good]] = step[good]
        if standard.joint:
            on = active[moved]
            pace[:, on] = _pace(parameters[:, on], before[:, on], y[on], above[on], pace[:, on], standard)
        done[active] = good & final
        easy = moved & (contraction <= _EASY)
        most = np.where(y[active] < standard.powers, _STEEPEST, _STEEP)
        growth = np.where(
            guessed, np.clip(np.sqrt(_AIM / np.maximum(contraction, _CLEAN)), 0.5, 2.0), np.where(easy, 2.0, 1.0)
        )
        low_down = y[active] < _DEEP * height[active]
        short = (fall[active] < _LONG) & ~easy
        # entries of matrices would leap onto other branches from far up
        due = guessed | low_down | short if standard.joint else True
        led[active] = (moved & due) | (led[active] & here)
        if standard.wary:
            bound[active] = np.where(hard, _WARY * fall[active], bound[active] * np.where(moved, _FORGETS, 1.0))
        most = np.maximum(np.minimum(most, bound[active]), 0.5 * fall[active])
        fall[active] = np.where(moved, np.minimum(fall[active] * growth, most), fall[active] * np.where(hard, 0.5, 1.0))
        low[active[missed]] = y[active[missed]] * np.clip(_AIM / np.maximum(contraction[missed], _CLEAN), *_NEARER)
        direct[active] = easy & (y[active] <= low[active])
        stuck = active[hard & (fall[active] <= _STOPPED)]
        alive[stuck] = False
        done[stuck] = y[stuck] <= _STUCK * span[stuck]
        edge = np.flatnonzero(alive & ~done & (y <= _ON_EDGE * span))
        rest = _resting(parameters[:, edge], before[:, edge], np.log(above[edge] / y[edge]), standard)
        done[edge[rest]], alive[edge[~rest]] = True, False
    return Solution(parameters, y, noise, done)


def _begun(
    update: Update, start: Start, target: np.ndarray, height: np.ndarray, magnitude: np.ndarray, standard: Standard
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Solutions (k, n) to begin with, their heights, how far log y falls in the first step, and which points have one."""
    y = standard.near * height
    fall, alive = np.full(target.shape, _NEAR_FALL), np.zeros(target.shape, bool)
    parameters = start(target, y).astype(complex)
    if standard.near < 1:
        parameters, _, alive = _attempt(update, parameters, target + 1j * y, standard, ~alive)
    far = np.flatnonzero(~alive)
    if far.size:
        x, high = target[far], height[far]
        begin = start(x, high).astype(complex) if standard.near < 1 else parameters
        parameters[:, far], _, alive[far] = _newton(
            update, begin, x + 1j * high, np.maximum(high, magnitude[far]), standard
        )
        y[far], fall[far] = high, _FIRST_FALL
    return parameters, y, fall, alive


def _resting(now: np.ndarray, before: np.ndarray, fall: np.ndarray, standard: Standard) -> np.ndarray:
    """Whether parameters no longer change with the height, as at a soft edge, where they have a limit; not at a hard one."""
    with np.errstate(all="ignore"):
        return (_relative(now - before, now, standard) <= _RESTING * fall) | (not standard.guesses)


def _ahead(
    now: np.ndarray, before: np.ndarray, heights: np.ndarray, power: np.ndarray, standard: Standard
) -> np.ndarray:
    """Parameters (k, m) guessed at the first of three heights (3, m) from those at the others.

    Real and imaginary parts are powers of the height, each for itself, so that no half-plane is left; on a line where one rises
    fast or passes 0. Joint ones stay on the line through both, by the power that their last two steps told.
    """
    with np.errstate(all="ignore"):
        onward, back = np.log(heights[:-1] / heights[1:])
        if standard.joint:
            power = np.where(np.abs(power) > _LEAST_POWER, power, _LEAST_POWER)
            return now - np.expm1(power * onward) / np.expm1(-power * back) * (now - before)
        real, imaginary = (_part_ahead(part(now), part(before), onward / back) for part in (np.real, np.imag))
        return real + 1j * imaginary


def _pace(
    now: np.ndarray, before: np.ndarray, y: np.ndarray, above: np.ndarray, pace: np.ndarray, standard: Standard
) -> np.ndarray:
    """The power of the height that parameters follow, by the rates of two steps; logarithms of the last and of its height."""
    with np.errstate(all="ignore"):
        rate = np.log(_relative(now - before, now, standard) / np.log(above / y))
        place = np.log(above * y) / 2
        power = np.clip((rate - pace[1]) / (place - pace[2]), -1.0, 1.0)
    return np.stack([np.where(np.isfinite(power), power, 1.0), rate, place])


def _part_ahead(now: np.ndarray, before: np.ndarray, share: np.ndarray) -> np.ndarray:
    ratio = now / before
    return np.where((ratio > 0) & (ratio < _RISES), now * ratio**share, now + share * (now - before))


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
    rounding: float = _REGULAR,
) -> Solution:
    """What Newton comes to from rough guesses, for those who know a solution when they see it: no step need contract at once.

    Points are given up whose steps stay long, or do not fall by a half in each two steps, and those that end where ``rounding``
    still moves them by more: solutions may lie densely there.
    """
    trial, noise = parameters.copy(), np.zeros(target.shape)
    running, good = np.arange(target.size), np.zeros(target.shape, dtype=bool)
    last = np.full((2, target.size), np.inf)
    with np.errstate(all="ignore"):
        for _ in range(_IMPROVED):
            check_time()
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
    return Solution(trial, np.zeros(target.shape), noise, good & (noise <= rounding))


def nearest(
    update: Update, starts: Inexact[np.ndarray, "starts unknowns points"], target: Inexact[np.ndarray, " points"]
) -> Inexact[np.ndarray, "unknowns points"]:
    """Rough parameters for :func:`improved`: those of several starts that a few Newton steps bring nearest to a solution.

    What is left of the steps tells how near, of starts that stay in the half-plane where there is one.
    """
    count = len(starts)
    trial, aim = np.concatenate(starts, axis=1), np.tile(target, count)
    with np.errstate(all="ignore"):
        change = update(trial, aim)[0]
        for _ in range(_ROUGHLY - 1):
            trial = trial + change
            change = update(trial, aim)[0]
        trial = trial + change
        left = _relative(change, trial, _PLAIN) + np.any(np.imag(trial) < 0, axis=0)
    best = np.argmin(np.where(np.isfinite(left), left, np.inf).reshape(count, -1), axis=0)
    return trial.reshape(len(trial), count, -1)[:, best, np.arange(target.size)]


def _attempt(
    update: Update, parameters: np.ndarray, target: np.ndarray, standard: Standard, leap: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two Newton steps, a third where they contract slowly or end a little off the half-plane.

    Behind a leap they may not end off it. Its first step mends how far parameters are from one another and is as long as the
    second, so that the third tells whether they contract.

    Returns the new parameters, the contraction, and whether to accept.
    """
    check_time()
    with np.errstate(all="ignore"):
        first, _ = update(parameters, target)
        trial = parameters + first
        second, margin_of = update(trial, target)
        contraction, left = _contraction(first, second, trial, standard)
        trial = trial + second
        good = (contraction <= _CONTRACTION) & (left <= _CLOSE) & np.isfinite(trial).all(axis=0)
        margin = margin_of()
        good &= ~leap | (margin > 0)
        late = leap & ~good & standard.wary & (left <= _CLOSE) & np.isfinite(trial).all(axis=0)
        rough = np.flatnonzero(late | (good & ((contraction > _CLEAN) | (margin < _PHYSICAL))))
        if rough.size:
            third, margin_of = update(trial[:, rough], target[rough])
            again, _ = _contraction(second[:, rough], third, trial[:, rough], standard)
            trial[:, rough] += third
            good[rough] = (again <= _CONTRACTION) & (margin_of() >= np.where(leap[rough], 0.0, _PHYSICAL))
        if standard.wary:  # how long the next leap may be is told by how far this one missed
            missed = _relative(first, parameters + first, standard)
            contraction = np.where(leap & good, missed, np.where(late & ~good, np.inf, contraction))
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
        for step in range(_POLISH):
            change, margin_of = update(parameters[:, running], target[running])
            relative = _relative(change, parameters[:, running], standard)
            better = relative < np.where(last[running] < _STALLED, _SHRINKING * last[running], np.inf)
            parameters[:, running[better]] += change[:, better]
            last[running[better]] = relative[better]
            going_on = better & (relative > standard.enough)
            if step == _POLISH - 1 or not going_on.all():
                margin[running] = margin_of()
            running = running[going_on]
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
    return (np.abs(change) / np.maximum(standard.size(parameters), _TINY)).max(axis=0)
