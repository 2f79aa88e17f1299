"""The inverses of functions on panels, branch by branch, continued into the complex plane: starts for Newton's method."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from freeness.laws.panels import ORDER, Panels, Stretch
from freeness.numerics import legendre_rule

_FAR = 4.0  # half-panels from the node with the nearest value, beyond which no root is near
_BESIDE = 0.5  # half-panels from an extremum up to which the square root starts better than the nearest node
_CURVED = 1e-9  # curvature of f at an extremum, relative to its values, from which a square root starts well


class Turn(NamedTuple):
    """An extremum value + curvature·(h - position)² of F (f or log f), at the end of a stretch on one side of it."""

    panel: int
    position: float
    value: float
    curvature: float
    side: Literal[1, -1]


class InverseBranch:
    """The inverse of f on a monotone stretch: values at nodes, and the parabolas at its ends."""

    def __init__(self, panels: Panels, stretch: Stretch, even: bool) -> None:
        self.panels = panels
        inside = (panels.nodes > stretch.low) & (panels.nodes < stretch.high)
        panel, node = np.nonzero(inside)
        order = slice(None) if stretch.end > stretch.start else slice(None, None, -1)
        self.panel, self.h, self.values = (
            panel[order],
            panels.nodes[panel, node][order],
            panels.values[panel, node][order],
        )
        t = legendre_rule(ORDER)[0][node[order]]
        self.slope = panels.value_and_slope(self.panel, t)[1]
        self.values = np.maximum.accumulate(self.values)
        ends: tuple[tuple[float, Literal[1, -1]], ...] = ((stretch.low, 1), (stretch.high, -1)) if self.h.size else ()
        turns = [self._turn(end, side, even) for end, side in ends]
        self.turns = [turn for turn in turns if turn is not None]

    def _turn(self, end: float, side: Literal[1, -1], even: bool) -> Turn | None:
        """The parabola of F at an end of the stretch at which f' vanishes."""
        panels = self.panels
        near = int(self.panel[np.argmin(np.abs(self.h - end))])
        at_break = end in (panels.breaks[panels.first[near]], panels.breaks[panels.last[near] + 1])
        if at_break and not (even and end == 0):
            return None
        panel, h = np.array([near]), np.array([end])
        for _ in range(0 if at_break else 3):  # f' = 0: the extremum was known to the root of the rounding
            _, slope, bend = panels.at(panel, (h - panels.middle[panel]) / panels.half[panel], 2)
            h = h - np.clip(slope / bend, -0.1 * panels.half[panel], 0.1 * panels.half[panel])
        value, _, bend = panels.at(panel, (h - panels.middle[panel]) / panels.half[panel], 2)
        size = 1.0 if panels.logarithmic[near] else np.abs(panels.values[near]).max()
        if abs(bend[0]) * panels.half[near] ** 2 <= _CURVED * size:
            return None
        return Turn(near, float(h[0]), float(value[0]), float(bend[0] / 2), side)


class _Turns(NamedTuple):
    """Turns of several branches."""

    panel: np.ndarray
    position: np.ndarray
    value: np.ndarray
    curvature: np.ndarray
    side: np.ndarray


class InverseBranches:
    """The branches of several lines of joined panels, asked together.

    Args:
        panels: all of them.
        parts: the branches of each line, on its own panels.
        offsets: of each line's panels among all.
    """

    def __init__(self, panels: Panels, parts: Sequence[Sequence[InverseBranch]], offsets: Sequence[int]) -> None:
        self.panels = panels
        counts = np.array([len(part) for part in parts])
        self._first, self._count = np.cumsum(counts) - counts, counts  # branches of each line
        branches = [(branch, offset) for part, offset in zip(parts, offsets, strict=True) for branch in part]
        sizes = np.array([len(branch.values) for branch, _ in branches], dtype=int)
        self._low = np.cumsum(sizes) - sizes  # nodes of each branch
        self._high = self._low + sizes - 1
        names = ("panel", "h", "values", "slope")
        rows = [[getattr(branch, name) for branch, _ in branches] for name in names]
        panel, self._h, self._values, self._slope = (np.concatenate(row) for row in rows)
        self._panel = panel + np.repeat([offset for _, offset in branches], sizes)
        self._keys = np.repeat(np.arange(sizes.size), sizes) + 1j * self._values
        self._turns: list[tuple[np.ndarray, _Turns]] = []
        for k in range(2):
            own = [(i, b.turns[k], offset) for i, (b, offset) in enumerate(branches) if len(b.turns) > k]
            if own:
                place = np.full(sizes.size, -1)
                place[[i for i, _, _ in own]] = np.arange(len(own))
                moved = [turn._replace(panel=turn.panel + offset) for _, turn, offset in own]
                self._turns.append((place, _Turns(*(np.array(column) for column in zip(*moved, strict=True)))))

    def starts(self, z: np.ndarray, level: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points h near roots, their panels, and of which z: of those for which a root may be near at all.

        Args:
            z: points of the closed upper half-plane.
            level: where among the values each is looked for.
            line: of each point.
        """
        count = self._count[line]
        point = np.repeat(np.arange(z.size), count)
        branch = np.arange(point.size) - np.repeat(np.cumsum(count) - count, count) + self._first[line[point]]
        z, level = z[point], level[point]
        above = np.searchsorted(self._keys, branch + 1j * level)
        above = np.clip(above, self._low[branch] + 1, self._high[branch])
        nearest = above - (np.abs(self._values[above - 1] - level) < np.abs(self._values[above] - level))
        panel, value = self._panel[nearest], self._values[nearest]
        logarithmic, half = self.panels.logarithmic, self.panels.half
        logs = np.log(z)
        change = np.where(logarithmic[panel], value * np.log(z / value), z - value)
        h = self._h[nearest] + change / self._slope[nearest]
        near = np.abs(h - self._h[nearest]) < _FAR * half[panel]
        for place, turns in self._turns:
            chosen = np.flatnonzero(place[branch] >= 0)
            own = place[branch[chosen]]
            at, position, value, curvature, side = (column[own] for column in turns)
            target = np.where(logarithmic[at], logs[chosen], z[chosen])
            start = position + side * np.sqrt((target - value) / curvature)
            distance = np.abs(start - position) / half[at]
            beyond = np.real(target - value) * curvature < 0
            better = distance < np.where(beyond, _FAR, _BESIDE)
            taken = chosen[better]
            h[taken], panel[taken], near[taken] = start[better], at[better], True
        return h[near], panel[near], point[near]
