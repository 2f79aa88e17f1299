"""Transforms of laws of many atoms by Gauss rules of as few nodes as a proven bound allows, and by the full sum elsewhere.

A rule of K nodes integrates polynomials of degree 2K - 1 exactly, so on an interval of foci ±1 its error for 1/(w - x) is at
most twice that of the best polynomial, which falls as ρ^{-2K} where w lies on the ellipse with |w - 1| + |w + 1| = ρ + 1/ρ.
The bound that is used allows for x/(w - x) and for the derivatives as well, and is below the rounding of the full sum.

Source: Trefethen, Approximation Theory and Approximation Practice (2013), ch. 8 and 19.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy and scipy return here are not known to it.

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import scipy
from jaxtyping import Float, Inexact, Int

from freeness.laws.curve import CauchyLaw
from freeness.laws.kernel_sums import BLOCK, kernel_sums
from freeness.laws.near_panels import NearPanels
from freeness.laws.panel_sums import PanelSums
from freeness.numerics import gauss_rule

_LADDER = (8, 12, 24, 48)
_ERROR = 1e-17  # relative to the sum of moduli
_TAIL = 1e-22  # mass at either end that a rule leaves out, where w is not near it
_NEAR = 1e-2  # nearer to the tail than this, relative to |w| and the support, the full sum is taken


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
        full: what knows them where no rule will do; the sums over all positions when left out.
    """

    def __init__(
        self,
        positions: Float[np.ndarray, " atoms"],
        masses: Float[np.ndarray, " atoms"],
        full: PanelSums | None = None,
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

    @property
    def centre(self) -> tuple[float, float]:
        """Middle and half-width of what the rules are made of."""
        return (self.low + self.high) / 2, max((self.high - self.low) / 2, 1e-300)

    @property
    def tails(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The intervals at both ends that the rules leave out."""
        return (float(self.positions[0]), self.low), (self.high, float(self.positions[-1]))


Sums = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # G, G', u, u'


class RulesTogether:
    """The rules of several laws, the same object where they are one law: asked together, each at its own points."""

    def __init__(self, rules: Sequence[GaussRules]) -> None:
        self.rules = list(rules)
        groups: dict[int, list[int]] = {}
        for row, rule in enumerate(self.rules):
            groups.setdefault(id(rule), []).append(row)
        self._groups = list(groups.values())
        self._alike = len(self._groups) == len(self.rules) > 1 and len({rule.ladder for rule in self.rules}) == 1
        panelled = [rows for rows in self._groups if self.rules[rows[0]].full is not None]
        self._place = np.full(len(self.rules), -1)  # of each row among the laws on panels
        for place, rows in enumerate(panelled):
            self._place[rows] = place
        self._panelled = [rows[0] for rows in panelled]

    def transforms(self, w: Inexact[np.ndarray, "laws points"]) -> Sums:
        """G, G' and u = wG - 1, u' of each law at its row of points, complex or real."""
        found = np.empty((4, *w.shape), dtype=np.result_type(w, float))
        flat, points = found.reshape(4, -1), w.ravel()
        steps = self.steps(w)
        if np.iscomplexobj(w):
            steps = self._near(found, w, steps)
        if self._alike:
            steps = self._by_rows(flat, points, steps)
        for rows in self._groups:
            rule = self.rules[rows[0]]
            own = steps[rows].ravel()
            if own.max(initial=-1) < 0:
                continue
            index = (np.array(rows)[:, None] * w.shape[1] + np.arange(w.shape[1])).ravel()
            for step in np.unique(own[own >= 0]):
                chosen = index[own == step]
                if step == len(rule.ladder) and rule.full is not None:
                    flat[:, chosen] = rule.full.transforms(points[chosen])
                else:
                    _summed(flat, points, chosen, rule.rule(int(step)))
        return found[0], found[1], found[2], found[3]

    def steps(self, w: Inexact[np.ndarray, "laws points"]) -> Int[np.ndarray, "laws points"]:
        """Which step of its law's ladder each point may take; its length where only the full sum will do."""
        middle, half, size, axes, ends = self._bounds
        t = (w - middle) / half
        axis = (np.abs(t - 1) + np.abs(t + 1)) / 2
        found = np.zeros(w.shape, dtype=int)
        for column in axes.T:
            found += column[:, None] >= axis
        tailed = np.flatnonzero((ends[:, :, 0] < ends[:, :, 1]).any(axis=1))
        if tailed.size:
            own, length = w[tailed], np.array([len(self.rules[row].ladder) for row in tailed])[:, None]
            real, near = np.real(own), np.zeros(own.shape, dtype=bool)
            for k in range(2):
                start, end = ends[tailed, k, 0, None], ends[tailed, k, 1, None]
                beside = np.abs(own - np.clip(real, start, end)) < _NEAR * (np.abs(own) + size[tailed])
                near |= beside & (start < end)
            found[tailed] = np.where(near, length, found[tailed])
        return found

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of each law: middle, half-width, size, the axes of its ladder (-∞ behind it), and both tails."""
        middle, half, size = np.array([(*rule.centre, rule.size) for rule in self.rules]).T[:, :, None]
        axes = np.full((len(self.rules), len(_LADDER)), -np.inf)
        for row, rule in enumerate(self.rules):
            axes[row, : len(rule.ladder)] = rule.axes
        return middle, half, size, axes, np.array([rule.tails for rule in self.rules])

    @cached_property
    def _joined(self) -> NearPanels:
        laws = [full.panelled for row in self._panelled if (full := self.rules[row].full) is not None]
        return NearPanels(laws)

    def potentials(
        self, w: Inexact[np.ndarray, "laws points"], others: Sequence[CauchyLaw]
    ) -> Inexact[np.ndarray, "laws points"]:
        """∫ log(w - x) dμ of each law at its row of points; ``others``: the laws, which know it where they are not on panels."""
        found = np.empty(w.shape, dtype=complex)
        row = np.flatnonzero(self._place >= 0)
        row = row[np.argsort(self._place[row], kind="stable")]
        if row.size:
            z, place = w[row].ravel().astype(complex), np.repeat(self._place[row], w.shape[1])
            below = np.imag(z) < 0
            own = self._joined.potential(np.where(below, np.conj(z), z), place)
            found[row] = np.where(below, np.conj(own), own).reshape(row.size, -1)
        for rest in np.flatnonzero(self._place < 0).tolist():
            found[rest] = others[rest].potential(w[rest])
        return found

    def _near(self, found: np.ndarray, w: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Fills in what laws on panels know at points near their support, all at once; steps of the others, -1 there."""
        length = np.array([len(rule.ladder) for rule in self.rules])[:, None]
        asked = (steps == length) & (self._place >= 0)[:, None]
        row, column = np.nonzero(asked)
        if row.size == 0:
            return steps
        place = self._place[row]
        order = np.argsort(place, kind="stable")
        row, column, place = row[order], column[order], place[order]
        z = w[row, column]
        below = np.imag(z) < 0
        sums = self._joined.transforms(np.where(below, np.conj(z), z), place)
        found[:, row, column] = np.where(below, np.conj(sums), sums)
        return np.where(asked, -1, steps)

    def _by_rows(self, flat: np.ndarray, points: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Fills in what rules of the same length know, of all laws at once; steps of the others, -1 there."""
        for step in range(len(self.rules[0].ladder)):
            chosen = np.flatnonzero(steps.ravel() == step)
            if chosen.size:
                present, local = np.unique(chosen // steps.shape[1], return_inverse=True)
                nodes, weights = (np.array(v) for v in zip(*(self.rules[i].rule(step) for i in present), strict=True))
                _gathered(flat, points, chosen, (local, nodes, weights))
        return np.where(steps < len(self.rules[0].ladder), -1, steps)


def _summed(found: np.ndarray, points: np.ndarray, chosen: np.ndarray, rule: tuple[np.ndarray, np.ndarray]) -> None:
    """The sums of one rule at the chosen points."""
    nodes, masses = rule
    weights = np.stack([masses, masses * nodes])
    width = max(1, BLOCK // nodes.size)
    for start in range(0, chosen.size, width):
        block = chosen[start : start + width]
        found[:, block] = kernel_sums(points[block], nodes, weights)


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
