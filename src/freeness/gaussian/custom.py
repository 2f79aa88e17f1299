"""Activations of the user's own: any elementwise function, with its derivative and its kinks given or found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from freeness.errors import InputError
from freeness.gaussian.activations import ActivationFunction, Elementwise, activation_names

_REACH = 10.0  # kinks are looked for in [-10, 10]
_CELLS = 4000
_JUMP = 1e-3  # of φ' over a cell, relative to its size, that is looked at
_NEAR = 1e-6  # step of the plain difference quotient by which jumps of φ' are told from steep slopes
_DIGITS = 9  # decimals of a kink, as exact as it is located
_WIDTH = 1e-3  # spacing of the points on each side from which a kink is located
_STEP = 1e-3  # of the difference quotients, of fourth order: their error is about 1e-11
_QUIET = 1e-9
_CENTRAL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
_FORWARD = ((0, -25 / 12), (1, 4), (2, -3), (3, 4 / 3), (4, -1 / 4))


def custom_activation(
    function: Elementwise,
    derivative: Elementwise | None = None,
    kinks: Sequence[float] | None = None,
    name: str = "custom",
) -> ActivationFunction:
    """A record of φ for everything that takes an activation.

    Args:
        function: elementwise on float64 arrays.
        derivative: φ'; by difference quotients of fourth order when left out, one-sided beside kinks.
        kinks: points where φ' jumps; searched for in [-10, 10] when left out.
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
    grid = np.linspace(-_REACH, _REACH, _CELLS + 1) + 1e-9 * np.pi
    _check(function, grid, "function")
    if derivative is not None:
        _check(derivative, grid, "derivative")
    if kinks is not None:
        found = tuple(sorted(float(kink) for kink in kinks))
        if not np.isfinite(found).all():
            raise InputError(f"expected finite kinks, got {kinks}; leave them out to have them searched for.")
    else:
        found = _searched(function, grid)
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
    """φ' by central differences; where halving the step changes them, beside a kink of φ or φ', by those of the quieter side."""

    def quotient(points: np.ndarray, step: np.ndarray, rule: tuple[tuple[int, float], ...]) -> np.ndarray:
        return sum((weight * function(points + shift * step) for shift, weight in rule), np.zeros(points.shape)) / step

    def slope(x: np.ndarray) -> np.ndarray:
        points = np.asarray(x, dtype=float)
        step = _STEP * np.maximum(1.0, np.abs(points) / _REACH)
        value = quotient(points, step, _CENTRAL)
        rough = np.abs(quotient(points, step / 2, _CENTRAL) - value) > _QUIET * (1 + np.abs(value))
        if rough.any():
            near, small = points[rough], step[rough] / 2
            sides = np.stack([quotient(near, sign * small, _FORWARD) for sign in (-1.0, 1.0)])
            finer = np.stack([quotient(near, sign * small / 2, _FORWARD) for sign in (-1.0, 1.0)])
            quieter = np.abs(sides - finer).round(12).argmin(axis=0)  # the left one of two quiet ones
            value[rough] = np.take_along_axis(sides, quieter[None], axis=0)[0]
        return value

    return slope


def _searched(function: Elementwise, grid: np.ndarray) -> tuple[float, ...]:
    """Points where φ' jumps: a change over a cell that halving the cell does not make smaller."""

    def slope(x: np.ndarray) -> np.ndarray:
        return (function(x + _NEAR) - function(x - _NEAR)) / (2 * _NEAR)

    values = slope(grid)
    scale = max(float(np.abs(values).max()), np.finfo(float).tiny)
    found: list[float] = []
    for i in np.flatnonzero(np.abs(np.diff(values)) > _JUMP * scale):
        left, right, jump = grid[i], grid[i + 1], abs(values[i + 1] - values[i])
        low, high = values[i], values[i + 1]
        while right - left > 4 * _NEAR:
            middle = (left + right) / 2
            value = float(slope(np.array([middle]))[0])
            if abs(value - low) < abs(value - high):
                left, low = middle, value
            else:
                right, high = middle, value
        if abs(high - low) > 0.5 * jump:
            place = _located(function, float(left + right) / 2)
            found += [] if found and abs(place - found[-1]) < 4 * _NEAR else [place]
    return tuple(found)


def _located(function: Elementwise, about: float) -> float:
    """Where the quartics through five points on either side cross, to about 1e-10."""
    places = np.arange(1, 6) / 2
    sides = [np.polyfit(sign * places, function(about + sign * places * _WIDTH), 4) for sign in (-1.0, 1.0)]
    roots = np.roots(sides[0] - sides[1])
    real = np.real(roots[np.abs(roots.imag) < 1e-6])
    if real.size == 0 or np.abs(real).min() > 0.1:
        return about
    return round(about + float(real[np.abs(real).argmin()]) * _WIDTH, _DIGITS) + 0.0
