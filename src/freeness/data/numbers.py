"""Arrays of a user as finite real numbers, or one sentence why not."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

from freeness.errors import InputError, brief

_HUGE = 1e100  # squares of squares stay within float64
_CLASSES = 10_000  # below which an integer counts as a class
_KINDS = {"b": np.int64, "i": np.int64, "u": np.int64, "f": np.float64}  # of arrays, and what they become


def numbers_of(value: object, name: str, file: str, *, finite: bool = True) -> Shaped[np.ndarray, "*shape"]:
    """An array of real numbers with elements.

    Args:
        value: an array, or what numpy makes one of.
        name: what it holds.
        file: where it comes from, for the sentence.
        finite: convert to int64 or float64, and look at every number; otherwise only at type and shape.

    Raises:
        InputError: no numbers, complex ones, none at all, or NaN, infinity and what is beyond 1e100.

    Example:
        >>> numbers_of([[True, False]], "targets", "data.npz").tolist()
        [[1, 0]]
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"expected an array as {name} in {file!r}, got {brief(error)}; convert it.") from error
    if array.dtype.kind == "c":
        raise InputError(
            f"expected real {name} in {file!r}, got complex numbers; pass real and imaginary parts as features."
        )
    if array.dtype.kind not in _KINDS:
        raise InputError(f"expected numbers as {name} in {file!r}, got {array.dtype} entries; convert them.")
    if array.size == 0:
        raise InputError(f"expected {name} with elements in {file!r}, got shape {array.shape}; store some samples.")
    if not finite:
        return array
    with np.errstate(over="ignore"):
        array = array.astype(_KINDS[array.dtype.kind])
    if not bool((np.abs(array) < _HUGE).all()):
        raise InputError(
            f"expected finite {name} below {_HUGE:g} in {file!r}, got NaN, infinity or larger; clean the data."
        )
    return array


def targets_of(value: object, samples: int, file: str) -> Shaped[np.ndarray, " samples *shape"]:
    """Targets of so many samples: int64 or float64.

    Raises:
        InputError: as there, or another number of them.
    """
    targets = numbers_of(value, "targets", file)
    if targets.ndim == 0 or len(targets) != samples:
        raise InputError(
            f"expected targets for the {samples} inputs, got shape {targets.shape} in {file!r}; make one a sample."
        )
    return targets


def aims_of(
    targets: Shaped[np.ndarray, "*shape"], file: str, classes: int | None = None
) -> Float[np.ndarray, "samples outputs"]:
    """What outputs are to be: numbers as they are, of classes a 1 in the place of each.

    Args:
        targets: classes (n,) or numbers (n, C).
        file: where they come from, for the sentence.
        classes: how many there are; one more than the largest when left out.

    Raises:
        InputError: another shape, or what is no class.

    Example:
        >>> aims_of(np.array([1, 0]), "data.npz").tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    if targets.ndim not in (1, 2):
        raise InputError(
            f"expected classes (n,) or numbers (n, C) in {file!r}, got shape {targets.shape}; save one of these."
        )
    if targets.ndim == 2:
        return targets.astype(float)
    if targets.dtype.kind != "i" or targets.min() < 0 or targets.max() >= _CLASSES:
        raise InputError(
            f"expected classes 0, 1, … below {_CLASSES} in {file!r}, got others; save integers, or numbers of shape (n, C)."
        )
    return np.eye(classes or int(targets.max()) + 1)[targets]
