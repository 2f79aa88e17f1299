"""Activations of the user's own: any elementwise function, with its derivative and its kinks given or found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from freeness.errors import InputError
from freeness.gaussian.activations import ActivationFunction, Elementwise, activation_names
from freeness.gaussian.kinks import REACH, find_kinks

_CELLS = 4000
_STEP = 2.0**-10  # of the central difference quotients, of eighth order; a power of two, so that the points are exact
_NARROWER = (4, 32)  # times finer are those of one side, which must not reach the next kink
_QUIET = 1e-9  # difference of two orders, relative to 1 + |φ'|, that is no sign of a kink
_CENTRAL = (np.array([-4, -3, -2, -1, 1, 2, 3, 4]), np.array([3, -32, 168, -672, 672, -168, 32, -3]) / 840)
_CENTRAL_SIXTH = np.array([0, -1, 9, -45, 45, -9, 1, 0]) / 60
_FORWARD = (np.arange(9), np.array([-2283, 6720, -11760, 15680, -14700, 9408, -3920, 960, -105]) / 840)
_FORWARD_SEVENTH = np.array([-1089, 2940, -4410, 4900, -3675, 1764, -490, 60, 0]) / 420


def custom_activation(
    function: Elementwise,
    derivative: Elementwise | None = None,
    kinks: Sequence[float] | None = None,
    name: str = "custom",
) -> ActivationFunction:
    """A record of φ for everything that takes an activation.

    Args:
        function: elementwise on float64 arrays.
        derivative: φ'; by difference quotients of eighth order when left out, one-sided beside kinks.
        kinks: points where φ or φ' jumps; those that :func:`find_kinks` sees when left out.
        name: to print.

    Raises:
        InputError: it changes shapes, or is not finite on [-10, 10].

    Example:
        >>> import numpy as np
        >>> found = custom_activation(lambda x: np.maximum(x, 0.3 * x))
        >>> found.kinks, found.derivative(np.array([-1.0, 1.0])).round(9).tolist()
        ((0.0,), [0.3, 1.0])
    """
    if name in activation_names():
        raise InputError(f"expected a name that the table of activations does not have, got {name!r}; choose another.")
    grid = np.linspace(-REACH, REACH, _CELLS + 1) + 1e-9 * np.pi
    _check(function, grid, "function")
    if derivative is not None:
        _check(derivative, grid, "derivative")
    if kinks is not None:
        found = tuple(sorted(float(kink) for kink in kinks))
        if not np.isfinite(found).all():
            raise InputError(f"expected finite kinks, got {kinks}; leave them out to have them searched for.")
    else:
        found = find_kinks(function)
    return ActivationFunction(name, function, derivative or _differences(function), found)


def _check(function: Elementwise, grid: np.ndarray, role: str) -> None:
    """Same shape, finite, and elementwise: the same on a reshaped array."""
    with np.errstate(all="ignore"):
        values, folded = np.asarray(function(grid)), np.asarray(function(grid[:-1].reshape(2, -1)))
    if values.shape != grid.shape or folded.shape != (2, (grid.size - 1) // 2):
        raise InputError(
            f"expected an elementwise {role}, got shape {values.shape} for {grid.shape}; use numpy's functions."
        )
    if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise InputError(f"expected a {role} with finite real values on [-10, 10], got others; correct it.")
    if not np.allclose(folded.ravel(), values[:-1], rtol=1e-12, atol=1e-300):
        raise InputError(
            f"expected an elementwise {role}, got values that depend on the other entries; take out normalisation."
        )


def _differences(function: Elementwise) -> Elementwise:
    """φ' by central differences; where two orders disagree, beside a kink of φ or φ', by those of the quieter side."""

    def slope(x: np.ndarray) -> np.ndarray:
        points = np.asarray(x, dtype=float)
        step = _STEP * 2.0 ** np.ceil(np.log2(np.maximum(1.0, np.abs(points) / REACH)))
        value, doubt = _quotient(function, points, step, _CENTRAL, _CENTRAL_SIXTH)
        rough = doubt > _QUIET
        if rough.any():
            near, size = points[rough], step[rough]
            ways = [
                _quotient(function, near, sign * size / narrower, _FORWARD, _FORWARD_SEVENTH)
                for narrower in _NARROWER
                for sign in (-1.0, 1.0)
            ]
            values, doubts = (
                np.stack([*(way[0] for way in ways), value[rough]]),
                np.stack([*(way[1] for way in ways), doubt[rough]]),
            )
            quieter = np.maximum(doubts, _QUIET).argmin(axis=0)  # the left one of two quiet ones
            value[rough] = np.take_along_axis(values, quieter[None], axis=0)[0]
        return value

    return slope


def _quotient(
    function: Elementwise, points: np.ndarray, step: np.ndarray, rule: tuple[np.ndarray, np.ndarray], lower: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A difference quotient, and how far that of lower order is from it, relative to 1 + |φ'|."""
    places, weights = rule
    values = np.asarray(function(points[..., None] + places * step[..., None]), dtype=float)
    high, low = values @ weights / step, values @ lower / step
    return high, np.nan_to_num(np.abs(high - low) / (1 + np.abs(high)), nan=np.inf)
