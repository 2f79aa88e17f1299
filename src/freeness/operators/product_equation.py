"""Newton's steps by products with the Jacobian alone: GMRES solves each, one point after the other.

Source: inexact Newton steps as Dembo, Eisenstat, Steihaug (1982); the derivatives are those of the equations.
"""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Complex, Float, Inexact

from freeness.errors import ConvergenceError
from freeness.numerics import solved_by_products
from freeness.operators.field_equation import EXACT, SWEEPS, Corner, Responses
from freeness.operators.port_equation import M, PortEquation, R, S

_INEXACT = 1e-4  # relative residual of a Newton step: each divides the error by so much at least
_PRECISE = 1e-7  # of slopes
_STEP = 1e-4  # of steps along the axis, which Newton repeats
_PRODUCTS = 200  # at most in one step
P = TypeVar("P")


@dataclass(frozen=True, eq=False)
class Linear(Generic[P]):
    """The equations around one point: responses, what leads from port to port, and the derivatives from and to the end.

    ``by_zeta``: d responses/dζ (k,); ``end``: d response of the end/d fields (k,); ``end_slope``: its derivative by ζ.
    """

    at: Responses
    pairs: list[P]
    by_zeta: np.ndarray
    end: np.ndarray
    end_slope: complex


class ProductEquation(PortEquation[S, M, R], Generic[S, M, R, P]):
    """A :class:`PortEquation` that forms no Jacobian; one point after the other."""

    costly = True

    enough = 1e-11

    @abstractmethod
    def _from_end_to_end(self, entry: np.ndarray) -> complex:
        """d response of the end/dζ."""

    @abstractmethod
    def _to_end(self, e: int, entry: np.ndarray) -> tuple[slice, np.ndarray, np.ndarray]:
        """Of a port: where its numbers lie, d its response/dζ, and d response of the end/d its field."""

    @abstractmethod
    def _pair(self, e: int, f: int, entry: np.ndarray) -> P:
        """What leads from port to port, as it is kept."""

    def _linearised(self, fields: np.ndarray, zeta: np.ndarray) -> Linear[P]:
        """At fields (k, 1) and ζ (1,); real where these are, as outside the support."""
        real = not (np.imag(fields).any() or np.imag(zeta).any())
        count = self.unknowns - 1
        values, by_zeta, by_end = (np.zeros(size, complex) for size in (count + 1, count, count))
        pairs: list[P] = []
        slope = 0.0 + 0.0j
        for index in range(len(self.segments)):
            pencil = self._pencil(index, fields, zeta)
            self._respond(pencil, values[:, None])
            for e, f, (entry,) in self._between(pencil):
                if e == self._end:  # which is the last, so f is, too
                    slope = self._from_end_to_end(entry)
                elif f == self._end:
                    own, by_zeta[own], by_end[own] = self._to_end(e, entry)
                else:
                    pairs.append(self._pair(e, f, np.real(entry) if real else entry))
        if real:
            values, by_zeta, by_end, fields, zeta = (np.real(x) for x in (values, by_zeta, by_end, fields, zeta))
        return Linear[P](Responses(fields, zeta, values[:, None], None, None), pairs, by_zeta, by_end, slope)

    @abstractmethod
    def _answered(self, linear: Linear[P], change: np.ndarray) -> np.ndarray:
        """d responses (k,) for a change (k,) of the fields."""

    @abstractmethod
    def _moved(self, linear: Linear[P], change: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """d residual (k,) for changes (k,) of the fields and of the responses."""

    def by_fields(self, linear: Linear[P], change: Inexact[np.ndarray, " fields"]) -> Inexact[np.ndarray, " fields"]:
        """The Jacobian times a change (k,)."""
        return self._moved(linear, change, self._answered(linear, change))

    def _zeta_slope(self, linear: Linear[P]) -> np.ndarray:
        """d residual/dζ (k,)."""
        return self._moved(linear, np.zeros_like(linear.by_zeta), linear.by_zeta)

    def _solution(self, linear: Linear[P], right: np.ndarray, tolerance: float) -> np.ndarray:
        """Of the Jacobian, (k,), with every port in units of its own field."""
        sizes = self.sizes_of(linear)
        return sizes * solved_by_products(
            lambda x: self.by_fields(linear, sizes * x) / sizes, right / sizes, tolerance, _PRODUCTS
        )

    def sizes_of(self, linear: Linear[P]) -> np.ndarray:
        sizes = self.size_of(np.concatenate([linear.at.fields, np.zeros((1, 1))]))[:-1, 0]
        return np.where(sizes > 0, sizes, 1.0)

    def newton_change(
        self, parameters: Complex[np.ndarray, "unknowns points"], target: Complex[np.ndarray, " points"]
    ) -> tuple[Complex[np.ndarray, "unknowns points"], Float[np.ndarray, " points"]]:
        change = np.zeros(parameters.shape, complex)
        for j in range(target.size):
            linear = self._linearised(parameters[:-1, j : j + 1], 1 / target[j : j + 1])
            change[:-1, j] = self._solution(linear, -self._residual(linear.at)[:, 0], _INEXACT)
        return change, self.depth(parameters[:-1])

    def state(self, parameters: np.ndarray, target: np.ndarray, potential: bool = False) -> Corner:
        found = Corner(*(np.full(target.shape, np.nan, complex) for _ in range(3)))
        for j in range(target.size):
            fields, zeta = parameters[:-1, j : j + 1], 1 / target[j : j + 1]
            linear = self._linearised(fields, zeta)
            rates = self._solution(linear, -self._zeta_slope(linear), _PRECISE)
            response, inverse = linear.at.values[-1, 0], zeta[0]
            slope = linear.end_slope + linear.end @ rates
            found.value[j] = inverse + inverse**2 * response
            found.slope[j] = -(inverse**2) * (1 + 2 * inverse * response + inverse**2 * slope)
            if potential:
                at = self.responses(fields, zeta, slopes=False, logarithm=True)
                found.potential[j] = self._potential(at)[0]
        return found

    def moments(self) -> tuple[float, float]:
        """First and second moment; at ζ = 0 sweeps of the equations, and of their derivative, end after depth steps."""
        fields, zeta = np.zeros((self.unknowns - 1, 1), complex), np.zeros(1, complex)
        for _ in range(SWEEPS):
            residual = self._residual(self.responses(fields, zeta, slopes=False, logarithm=False))
            fields = fields - residual
            if np.abs(residual).max(initial=0.0) <= EXACT * np.abs(fields).max(initial=0.0):
                break
        linear = self._linearised(fields, zeta)
        slope = self._zeta_slope(linear)
        rates = _swept(lambda x: self.by_fields(linear, x) + slope, np.zeros_like(slope))
        second = linear.end_slope + linear.end @ rates
        return float(np.real(linear.at.values[-1, 0])), float(np.real(second))

    def critical_step(
        self, parameters: np.ndarray, x: np.ndarray, direction: np.ndarray, wanted: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        step, moves, slopes = (
            np.zeros(parameters.shape, complex),
            np.zeros(x.shape, complex),
            np.zeros(x.shape, complex),
        )
        for j in range(x.size):
            linear = self._linearised(parameters[:-1, j : j + 1], 1 / x[j : j + 1].astype(complex))
            missing = wanted[j] - direction[:, j] @ parameters[:-1, j]
            bordered = _Bordered(self, linear, direction[:, j], -self._zeta_slope(linear) / x[j] ** 2)
            step[:-1, j], moves[j] = bordered.solved(-self._residual(linear.at)[:, 0], missing, _STEP)
            slopes[j] = bordered.solved(np.zeros(self.unknowns - 1), 1.0, _PRECISE)[1]
        return step, moves, slopes

    def rates(self, parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
        found = np.zeros((self.unknowns - 1, x.size), complex)
        for j in range(x.size):
            linear = self._linearised(parameters[:-1, j : j + 1], 1 / x[j : j + 1].astype(complex))
            found[:, j] = self._solution(linear, self._zeta_slope(linear) / x[j] ** 2, _PRECISE)
        return found


@dataclass(eq=False)
class _Bordered(Generic[P]):
    """The Jacobian with the derivative by x beside it and a row of ``direction`` below: regular at a fold."""

    equation: ProductEquation[Any, Any, Any, P]
    linear: Linear[P]
    direction: np.ndarray
    by_x: np.ndarray
    sizes: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.sizes = self.equation.sizes_of(self.linear)
        if not np.iscomplexobj(self.linear.by_zeta):
            self.direction = np.real(self.direction)

    def solved(self, right: np.ndarray, wanted: complex, tolerance: float) -> tuple[np.ndarray, complex]:
        """Changes of the fields (k,) and of x."""
        row, column = self.direction * self.sizes, self.by_x / self.sizes
        row_size, column_size = (float(np.linalg.norm(v)) for v in (row, column))
        row, column = row / row_size, column / column_size

        def product(v: np.ndarray) -> np.ndarray:
            top = self.equation.by_fields(self.linear, self.sizes * v[:-1]) / self.sizes
            return np.append(top + column * v[-1], row @ v[:-1])

        given = np.append(right / self.sizes, wanted / row_size)
        given = given.astype(row.dtype) if np.iscomplexobj(row) else np.real(given)
        found = solved_by_products(product, given, tolerance, _PRODUCTS)
        return self.sizes * found[:-1], found[-1] / column_size


def _swept(residual: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> np.ndarray:
    """Where x ↦ x - residual(x) settles."""
    x = start
    for _ in range(SWEEPS):
        missing = residual(x)
        x = x - missing
        if np.abs(missing).max(initial=0.0) <= EXACT * np.abs(x).max(initial=0.0):
            return x
    raise ConvergenceError("expected moments of a graph whose weights form no cycle, got sweeps that do not end.")
