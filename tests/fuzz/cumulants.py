"""Free cumulants and free products of moments, by non-crossing partitions written out: small, and nobody else's."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np

Partition = tuple[tuple[int, ...], ...]


@cache
def noncrossing(count: int) -> tuple[Partition, ...]:
    """All non-crossing partitions of 0, …, count-1: the block of 0, and between its elements partitions of the gaps."""

    def of(points: tuple[int, ...]) -> list[Partition]:
        if not points:
            return [()]
        found = []
        first, rest = points[0], points[1:]
        for size in range(len(rest) + 1):
            for chosen in combinations(rest, size):
                block = (first, *chosen)
                gaps = [
                    tuple(p for p in points if low < p < high)
                    for low, high in zip(block, (*chosen, points[-1] + 1), strict=True)
                ]
                parts: list[Partition] = [()]
                for gap in gaps:
                    parts = [(*left, *right) for left in parts for right in of(gap)]
                found += [(block, *part) for part in parts]
        return found

    return tuple(of(tuple(range(count))))


def moments_of(cumulants: np.ndarray) -> np.ndarray:
    """m_n = Σ_s κ_s Σ m_{i₁}⋯m_{i_s} over i₁ + … + i_s = n - s: the block of the first point, and what fills its gaps."""
    count = len(cumulants)
    moments = np.zeros(count + 1)
    moments[0] = 1.0
    for n in range(1, count + 1):
        power = np.ones(1)
        for s in range(1, n + 1):
            power = np.convolve(power, moments[:n])[:n]
            moments[n] += cumulants[s - 1] * (power[n - s] if n - s < len(power) else 0.0)
    return moments[1:]


def cumulants_of(moments: np.ndarray) -> np.ndarray:
    """The inverse, order by order: κ_n enters m_n once."""
    found = np.zeros(len(moments))
    for n in range(len(moments)):
        found[n] = moments[n] - moments_of(found[: n + 1])[n]
    return found


@cache
def kreweras(part: Partition, count: int) -> Partition:
    """The complement: the largest partition of the points between that crosses nothing of ``part``."""
    after = {}
    for block in part:
        for here, following in zip(block, (*block[1:], block[0]), strict=True):
            after[here] = following
    left, found = set(range(count)), []
    while left:
        start = point = min(left)
        cycle = []
        while point not in cycle:
            cycle.append(point)
            point = next(k for k, v in after.items() if v == (point + 1) % count)
        left -= set(cycle)
        found.append(tuple(sorted(cycle)))
        assert start in cycle
    return tuple(found)


def product_moments(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Moments of a·b for free a, b: Σ κ_π(a) m_{K(π)}(b) (Nica, Speicher, theorem 14.4)."""
    cumulants = cumulants_of(first)
    found = []
    for n in range(1, len(first) + 1):
        total = 0.0
        for part in noncrossing(n):
            own = np.prod([cumulants[len(block) - 1] for block in part])
            total += own * np.prod([second[len(block) - 1] for block in kreweras(part, n)])
        found.append(total)
    return np.array(found)
