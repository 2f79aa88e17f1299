"""Atoms of free products and sums."""

from __future__ import annotations

from collections.abc import Callable

from freeness.laws import Atom
from freeness.numerics import NEGLIGIBLE


def product_atoms(left: tuple[Atom, ...], right: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """Atoms of μ ⊠ ν: max(μ{a} + ν{b} - 1, 0) at ab ≠ 0 and max(μ{0}, ν{0}) at 0.

    Source: Belinschi, The atoms of the free multiplicative convolution of two probability distributions (2003).

    Example:
        >>> product_atoms((Atom(0.0, 0.25), Atom(1.0, 0.75)), (Atom(0.0, 0.5), Atom(2.0, 0.5)))
        (Atom(position=0.0, mass=0.5), Atom(position=2.0, mass=0.25))
    """
    zero = max((mass for x, mass in (*left, *right) if x == 0), default=0.0)
    return _heavy(left, right, lambda a, b: a * b if a and b else None, {0.0: zero} if zero > NEGLIGIBLE else {})


def sum_atoms(left: tuple[Atom, ...], right: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """Atoms of μ ⊞ ν: max(μ{a} + ν{b} - 1, 0) at a + b.

    Source: Bercovici, Voiculescu, Regularity questions for free convolution (1998).

    Example:
        >>> sum_atoms((Atom(0.0, 0.25), Atom(1.0, 0.75)), (Atom(0.0, 0.5), Atom(2.0, 0.5)))
        (Atom(position=1.0, mass=0.25), Atom(position=3.0, mass=0.25))
    """
    return _heavy(left, right, lambda a, b: a + b, {})


def _heavy(
    left: tuple[Atom, ...],
    right: tuple[Atom, ...],
    place: Callable[[float, float], float | None],
    found: dict[float, float],
) -> tuple[Atom, ...]:
    """Where two atoms have more than all mass together, their excess; beside those that are ``found`` already."""
    heaviest = max((mass for _, mass in left), default=0.0)
    for b, mass_b in right:
        if heaviest + mass_b - 1 <= NEGLIGIBLE:
            continue
        for a, mass_a in left:
            position = place(a, b)
            if position is not None and mass_a + mass_b - 1 > NEGLIGIBLE:
                found[position] = found.get(position, 0.0) + mass_a + mass_b - 1
    return tuple(Atom(x, mass) for x, mass in sorted(found.items()))
