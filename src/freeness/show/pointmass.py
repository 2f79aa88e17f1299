"""Which measured eigenvalues sit at one point (an atom) and which belong to the continuous part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Float

from freeness.laws import Atom
from freeness.spectra import Prediction

_Atom = TypeVar("_Atom", bound=tuple[float, float])  # position and mass
LISTED = 4  # atoms that a line lists, the heaviest
_SAME = 1e-7  # neighbours closer than this, relative to their value, are one point (float32 weights blur by less)
_ZERO = 1e-25  # relative to the largest eigenvalue: rounding of squared singular values
_NOISE = 10.0  # negative eigenvalues of a matrix that cannot have any are rounding; so is what is so many times larger
_REACH = 0.05  # a measured point mass belongs to a predicted atom within this part of the spectrum's range
_UNEXPECTED = 0.02  # without theory, a point of at least this mass is called a point mass
_MANY = 12  # a law with more atoms than this is drawn like a continuous one, except for those of at least
_HEAVY = 0.01  # this mass and
_STANDS_OUT = 5.0  # so many times the typical one


@dataclass(frozen=True, eq=False)
class Split:
    """Measured eigenvalues, divided: ``atoms`` with their share of all eigenvalues, and ``rest``, ascending.

    ``total`` is the number of all eigenvalues.
    """

    atoms: tuple[Atom, ...]
    rest: Float[np.ndarray, " rest"]
    total: int


def shown_atoms(prediction: Prediction) -> tuple[Atom, ...]:
    """The predicted atoms worth a stem: all where they are few, the heavy ones where they are many."""
    atoms = prediction.law.atoms
    if len(atoms) <= _MANY:
        return atoms
    least = max(_HEAVY, _STANDS_OUT * float(np.median([atom.mass for atom in atoms])))
    return tuple(atom for atom in atoms if atom.mass >= least)


def heaviest(atoms: Sequence[_Atom], most: int = LISTED) -> list[_Atom]:
    """The heaviest atoms, in their order.

    Example:
        >>> heaviest([Atom(0.0, 0.2), Atom(1.0, 0.1), Atom(2.0, 0.7)], 2)
        [Atom(position=0.0, mass=0.2), Atom(position=2.0, mass=0.7)]
    """
    return sorted(sorted(atoms, key=lambda atom: -atom[1])[:most])


def split_eigenvalues(eigenvalues: Float[np.ndarray, " eigenvalues"], prediction: Prediction | None) -> Split:
    """Divide eigenvalues into points of positive mass and the rest.

    Equal eigenvalues (up to rounding) count as a point mass if theory predicts an atom nearby; without theory, if they
    are at least 2 % of all. Where theory predicts no atom, eigenvalues that crowd at a hard edge stay continuous.

    Args:
        eigenvalues: measured, any order, (n,).
        prediction: what theory says, or None where it does not cover the network.

    Example:
        >>> split_eigenvalues(np.array([0.0, 0.0, 1.0, 3.0]), None).atoms
        (Atom(position=0.0, mass=0.5),)
    """
    values = np.sort(np.asarray(eigenvalues, dtype=float))
    scale = max(abs(values[0]), abs(values[-1]))
    floor = _ZERO * scale if values[0] >= 0 or values[0] < -1e-9 * scale else -_NOISE * values[0]
    clean = np.where(np.abs(values) <= floor, 0.0, values)
    starts = np.flatnonzero(np.diff(clean, prepend=-np.inf) > _SAME * np.abs(clean))
    groups = np.split(clean, starts[1:])
    atoms, rest = [], []
    for group in groups:
        if _is_point_mass(group, values.size, scale, prediction):
            atoms.append(Atom(float(group.mean()), group.size / values.size))
        else:
            rest.append(group)
    return Split(tuple(atoms), np.concatenate(rest) if rest else np.empty(0), values.size)


def _is_point_mass(group: np.ndarray, total: int, scale: float, prediction: Prediction | None) -> bool:
    share = group.size / total
    if prediction is None:
        return group.size > 1 and share >= _UNEXPECTED
    reach = _REACH * max(scale, abs(prediction.law.hull[1]))
    near = [atom.mass for atom in shown_atoms(prediction) if abs(atom.position - group[0]) <= reach]
    return any(group.size > 1 or mass * total < 2 for mass in near)
