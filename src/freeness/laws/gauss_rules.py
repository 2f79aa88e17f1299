"""Transforms of laws of many atoms by Gauss rules of as few nodes as a proven bound allows, and by the full sum elsewhere.

A rule of K nodes integrates polynomials of degree 2K - 1 exactly, so on an interval of foci ±1 its error for 1/(w - x) is at
most twice that of the best polynomial, which falls as ρ^{-2K} where w lies on the ellipse with |w - 1| + |w + 1| = ρ + 1/ρ.
The bound that is used allows for x/(w - x) and for the derivatives as well, and is below the rounding of the full sum.

Source: Trefethen, Approximation Theory and Approximation Practice (2013), ch. 8 and 19.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
import scipy
from jaxtyping import Float, Inexact, Int

from freeness.numerics import gauss_rule

_LADDER = (8, 12, 24, 48)
_ERROR = 1e-17  # relative to the sum of moduli
_TAIL = 1e-22  # mass at either end that a rule leaves out, where w is not near it
_NEAR = 1e-2  # nearer to the tail than this, relative to |w| and the support, the full sum is taken
BLOCK = 100_000  # entries of one (points × nodes) block, which then stays in the cache


def _axis(count: int, spread: float) -> float:
    """The half-sum of the distances from the foci beyond which the rule of ``count`` nodes has relative error 1e-17."""

    def excess(log_rho: float) -> float:
        rho = np.exp(log_rho)
        return np.log(8 * count * spread / _ERROR) - (2 * count - 2) * log_rho - 2 * np.log(rho - 1)

    return float(np.cosh(scipy.optimize.root_scalar(excess, bracket=(1e-3, 50.0)).root))


class GaussRules:
    """The rules of one law with masses at positions ≥ 0: those that pay, and from which ellipse on each holds.

    Args:
        positions: ascending.
        masses: of the positions.
        full: G, G', u, u' (4 × n) where no rule will do; the sums over all positions when left out.
    """

    def __init__(
        self,
        positions: Float[np.ndarray, " atoms"],
        masses: Float[np.ndarray, " atoms"],
        full: Callable[[Inexact[np.ndarray, " points"]], Inexact[np.ndarray, "4 points"]] | None = None,
    ) -> None:
        self.positions, self.masses, self.full = positions, masses, full
        inside = (np.cumsum(masses) > _TAIL) & (np.cumsum(masses[::-1])[::-1] > _TAIL)
        self._bulk = positions[inside], masses[inside]
        self.low, self.high = float(self._bulk[0][0]), float(self._bulk[0][-1])
        size = max(abs(float(positions[0])), abs(float(positions[-1])))
        self.size = size
        spread = size / max(float(masses @ np.abs(positions)), 1e-300)
        self.ladder = tuple(k for k in _LADDER if 2 * k <= self._bulk[0].size)
        self.axes = np.array([_axis(k, spread) for k in self.ladder])
        self.tailed = not inside.all()
        self._rules: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def rule(self, step: int) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
        """Nodes and weights (K,) of a step of the ladder, or all the atoms behind its last one."""
        if step >= len(self.ladder):
            return self.positions, self.masses
        count = self.ladder[step]
        if count not in self._rules:
            nodes, weights = gauss_rule(*self._bulk, count)
            short = count - nodes.size  # where Lanczos' method has found that fewer nodes are exact
            self._rules[count] = np.append(nodes, np.full(short, nodes[0])), np.append(weights, np.zeros(short))
        return self._rules[count]

    @cached_property
    def _centre(self) -> tuple[float, float]:
        return (self.low + self.high) / 2, max((self.high - self.low) / 2, 1e-300)

    def steps(self, w: Inexact[np.ndarray, "*points"]) -> Int[np.ndarray, "*points"]:
        """Which step of the ladder each point may take; its length where only the full sum will do."""
        middle, half = self._centre
        t = (w - middle) / half
        axis = (np.abs(t - 1) + np.abs(t + 1)) / 2
        found = len(self.ladder) - np.searchsorted(self.axes[::-1], axis)
        if self.tailed:
            real = np.real(w)
            ends = (float(self.positions[0]), self.low), (self.high, float(self.positions[-1]))
            near = np.zeros(w.shape, dtype=bool)
            for start, end in ends:
                if start < end:
                    near |= np.abs(w - np.clip(real, start, end)) < _NEAR * (np.abs(w) + self.size)
            found = np.where(near, len(self.ladder), found)
        return found


Sums = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # G, G', u, u'


def transforms_of(rules: list[GaussRules], w: Inexact[np.ndarray, "laws points"]) -> Sums:
    """G, G' and u = wG - 1, u' of each law at its row of points.

    Args:
        rules: m laws, the same object where they are one law.
        w: (m, n), complex or real.
    """
    found = np.empty((4, *w.shape), dtype=np.result_type(w, float))
    flat, points = found.reshape(4, -1), w.ravel()
    groups: dict[int, list[int]] = {}
    for row, rule in enumerate(rules):
        groups.setdefault(id(rule), []).append(row)
    shared = len(groups) < len(rules) or len(rules) == 1
    steps = np.empty(w.shape, dtype=int)
    for rows in groups.values():
        rows_ = rows if len(rows) > 1 else slice(rows[0], rows[0] + 1)
        steps[rows_] = rules[rows[0]].steps(w[rows_])
    ladder = rules[0].ladder
    if not shared and all(rule.ladder == ladder for rule in rules):
        for step in range(len(ladder)):
            chosen = np.flatnonzero(steps.ravel() == step)
            if chosen.size:
                laws = chosen // w.shape[1]
                present, local = np.unique(laws, return_inverse=True)
                nodes, weights = (np.array(v) for v in zip(*(rules[i].rule(step) for i in present), strict=True))
                _gathered(flat, points, chosen, (local, nodes, weights))
        steps = np.where(steps < len(ladder), -1, steps)
    for rows in groups.values():
        rule = rules[rows[0]]
        own = steps[rows].ravel()
        if own.max(initial=-1) < 0:
            continue
        index = (np.array(rows)[:, None] * w.shape[1] + np.arange(w.shape[1])).ravel()
        for step in np.unique(own[own >= 0]):
            chosen = index[own == step]
            if step == len(rule.ladder) and rule.full is not None:
                flat[:, chosen] = rule.full(points[chosen])
            else:
                _summed(flat, points, chosen, rule.rule(int(step)))
    return found[0], found[1], found[2], found[3]


def _summed(found: np.ndarray, points: np.ndarray, chosen: np.ndarray, rule: tuple[np.ndarray, np.ndarray]) -> None:
    """The sums of one rule at the chosen points."""
    nodes, masses = rule
    weights = np.stack([masses, masses * nodes])
    width = max(1, BLOCK // nodes.size)
    for start in range(0, chosen.size, width):
        block = chosen[start : start + width]
        found[:, block] = kernel_sums(points[block], nodes, weights)


def kernel_sums(
    points: np.ndarray, nodes: np.ndarray, weights: np.ndarray, hidden: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Σ weights/(z - x) and its derivative, for two rows of weights in turn, (4 × points).

    Parts are summed apart: narrow products of complex matrices cost five times as much.

    Args:
        points: complex or real.
        nodes: the x.
        weights: (2 × nodes).
        hidden: (nodes, points), pairs that do not count.
    """
    real = np.real(points) - nodes[:, None]
    if not np.iscomplexobj(points):
        kernel = np.divide(1.0, real, out=real)
        if hidden is not None:
            kernel[hidden] = 0.0
        value = weights @ kernel
        slope = weights @ np.square(kernel, out=kernel)
        return np.stack([value[0], -slope[0], value[1], -slope[1]])
    height = np.imag(points)
    size = 1.0 / (real * real + height * height)
    if hidden is not None:
        size[hidden] = 0.0
    real *= size
    size *= -height  # the imaginary part of 1/(z - x)
    value = weights @ real + 1j * (weights @ size)
    cross = weights @ (real * size)
    real *= real
    size *= size
    real -= size
    slope = weights @ real + 2j * cross
    return np.stack([value[0], -slope[0], value[1], -slope[1]])


def _gathered(
    found: np.ndarray, points: np.ndarray, chosen: np.ndarray, rules: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    """The sums at the chosen points, each by the rule of its own law: ``rules`` = (its row, nodes, weights)."""
    law, nodes, masses = rules
    moments = masses * nodes
    width = max(1, BLOCK // nodes.shape[1])
    for start in range(0, chosen.size, width):
        block, own = chosen[start : start + width], law[start : start + width]
        kernel = 1.0 / (points[block, None] - nodes[own])
        mass, moment = masses[own], moments[own]
        found[0, block] = np.einsum("pk,pk->p", kernel, mass)
        found[2, block] = np.einsum("pk,pk->p", kernel, moment)
        np.square(kernel, out=kernel)
        found[1, block] = -np.einsum("pk,pk->p", kernel, mass)
        found[3, block] = -np.einsum("pk,pk->p", kernel, moment)
