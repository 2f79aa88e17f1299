"""The equations of a graph with positions where a Jacobian would not fit: Newton's steps by products with it alone.

A change δθ_e of the field at one port moves the response at another by the mean over channels of H δθ_e Hᵀ, H being the entry of
the pencil's inverse between the two. These are kept instead of the mean of H ⊗ H: a product costs O(channels·P³) a pair
of ports where a matrix would have P⁴/4 entries. GMRES solves what :class:`BlockEquation` solves by factorisation; the
equations, what their solutions must satisfy and the tests that they do are the same.

Source: the derivative is that of theory.md §3.4; inexact Newton steps as Dembo, Eisenstat, Steihaug (1982).
"""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from freeness.errors import ConvergenceError
from freeness.numerics import solved_by_products
from freeness.operators.block_equation import BlockEquation
from freeness.operators.field_equation import EXACT, SWEEPS, Corner, Responses
from freeness.operators.packing import doubled, packed, symmetric, unpacked

_INEXACT = 1e-4  # relative residual of a Newton step: each divides the error by so much at least
_PRECISE = 1e-7  # of slopes
_STEP = 1e-4  # of steps along the axis, which Newton repeats
_PRODUCTS = 200  # at most in one step


@dataclass(frozen=True, eq=False)
class _Pair:
    """H (channels, P_f, P_e) from port e to port f, laid out (P_f, channels, P_e), and back (P_e, channels, P_f) if e ≠ f."""

    source: int
    target: int
    there: np.ndarray
    back: np.ndarray | None


@dataclass(frozen=True, eq=False)
class _Linear:
    """The equations around one point: responses, H of all pairs of ports, and the derivatives from and to the end.

    ``by_zeta``: d responses/dζ (k,); ``end``: d response of the end/d fields (k,); ``end_slope``: its derivative by ζ.
    """

    at: Responses
    pairs: list[_Pair]
    by_zeta: np.ndarray
    end: np.ndarray
    end_slope: complex


class LargeBlockEquation(BlockEquation):
    """A :class:`BlockEquation` that forms no Jacobian; one point after the other.

    Example:
        >>> from freeness.network import cnn, mlp
        >>> from freeness.spectra import network_graph
        >>> graph = network_graph(cnn(mlp(2, 8, "tanh", "gaussian"), kernel=(3,)), samples=np.ones((1, 8, 4)))
        >>> large = LargeBlockEquation(graph.segments, graph.matrices, 4.0)
        >>> small = BlockEquation(graph.segments, graph.matrices, 4.0)
        >>> np.allclose(large.moments(), small.moments(), rtol=1e-12, atol=0)
        True
    """

    enough = 1e-11
    costly = True

    def _linearised(self, fields: np.ndarray, zeta: np.ndarray) -> _Linear:
        """At fields (k, 1) and ζ (1,); real where these are, as outside the support."""
        real = not (np.imag(fields).any() or np.imag(zeta).any())
        end, count = len(self._ports), self.unknowns - 1
        values, by_zeta, by_end = (np.zeros(size, complex) for size in (count + 1, count, count))
        pairs: list[_Pair] = []
        slope = 0.0 + 0.0j
        for index in range(len(self.segments)):
            pencil = self._pencil(index, fields, zeta)
            self._respond(pencil, values[:, None])
            for e, f, h in self._between(pencil):
                h = np.real(h[0]) if real else h[0]
                if e == end:  # which is the last, so f is, too
                    slope = complex((h**2).sum() / (len(h) * h.shape[-1]))
                elif f == end:
                    by_zeta[self._own(e)] = packed(np.tensordot(h, h, ((0, 1), (0, 1)))[None] / len(h))[0]
                    by_end[self._own(e)] = by_zeta[self._own(e)] * doubled(h.shape[2]) / h.shape[1]
                else:
                    back = None if e == f else np.ascontiguousarray(h.transpose(2, 0, 1))
                    pairs.append(_Pair(e, f, np.ascontiguousarray(h.transpose(1, 0, 2)), back))
        if real:
            values, by_zeta, by_end, fields, zeta = (np.real(x) for x in (values, by_zeta, by_end, fields, zeta))
        return _Linear(Responses(fields, zeta, values[:, None], None, None), pairs, by_zeta, by_end, slope)

    def _answered(self, linear: _Linear, change: np.ndarray) -> np.ndarray:
        """d responses (k,) for a change (k,) of the fields."""
        found = np.zeros_like(change)
        for pair in linear.pairs:
            e, f = pair.source, pair.target
            found[self._own(f)] += self._averaged(pair.there, change, e)
            if pair.back is not None:
                found[self._own(e)] += self._averaged(pair.back, change, f)
        return found

    def _averaged(self, stack: np.ndarray, change: np.ndarray, port: int) -> np.ndarray:
        """Mean over channels of H δθ Hᵀ from the port, packed."""
        out, channels, into = stack.shape
        matrix = unpacked(change[self._own(port)][None], into)[0]
        half = stack.reshape(out * channels, into) @ matrix
        flat = (out, channels * into)
        return packed((half.reshape(flat) @ stack.reshape(flat).T)[None] / channels)[0]

    def _moved(self, linear: _Linear, change: np.ndarray, answer: np.ndarray) -> np.ndarray:
        """d residual (k,) for changes (k,) of the fields and of the responses."""
        at, found = linear.at, change.copy()
        for e, matrix in enumerate(self.matrices):
            source, target = self._own(2 * e), self._own(2 * e + 1)
            to_target, to_source = self._factors[e]
            shared = self._sharing[e]
            if shared is not None:
                found[target] -= shared[0] @ answer[source]
                found[source] -= shared[1] @ answer[target]
            elif matrix.kind == "measured":
                tie = self._tie(at, e)
                strength = tie.strength()
                by_b, by_a, by_p, by_r = tie.slopes()
                stronger = by_b * change[source] + by_a * change[target] + by_p * answer[source] + by_r * answer[target]
                found[target] -= to_target * (answer[source] * strength + tie.p * stronger)
                found[source] -= to_source * (answer[target] * strength + tie.r * stronger)
            else:
                now = [self._matrix(x, port) for x in (at.fields, at.values) for port in (2 * e, 2 * e + 1)]
                new = [self._matrix(x[:, None], port) for x in (change, answer) for port in (2 * e, 2 * e + 1)]
                (b, a, p, r), (db, da, dp, dr) = now, new
                through_p, through_r = dp @ b @ a + p @ db @ a + p @ b @ da, dr @ a @ b + r @ da @ b + r @ a @ db
                found[target] -= to_target * (matrix.square * answer[source] - packed(symmetric(through_p))[0])
                found[source] -= to_source * (matrix.square * answer[target] - packed(symmetric(through_r))[0])
        return found

    def by_fields(self, linear: _Linear, change: np.ndarray) -> np.ndarray:
        """The Jacobian times a change (k,)."""
        return self._moved(linear, change, self._answered(linear, change))

    def _zeta_slope(self, linear: _Linear) -> np.ndarray:
        """d residual/dζ (k,)."""
        return self._moved(linear, np.zeros_like(linear.by_zeta), linear.by_zeta)

    def _solution(self, linear: _Linear, right: np.ndarray, tolerance: float) -> np.ndarray:
        """Of the Jacobian, (k,), with every port in units of its own field."""
        sizes = self.sizes_of(linear)
        return sizes * solved_by_products(
            lambda x: self.by_fields(linear, sizes * x) / sizes, right / sizes, tolerance, _PRODUCTS
        )

    def sizes_of(self, linear: _Linear) -> np.ndarray:
        sizes = self.size_of(np.concatenate([linear.at.fields, np.zeros((1, 1))]))[:-1, 0]
        return np.where(sizes > 0, sizes, 1.0)

    def newton_change(self, parameters: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        change = np.zeros(parameters.shape, complex)
        for j in range(target.size):
            linear = self._linearised(parameters[:-1, j : j + 1], 1 / target[j : j + 1])
            change[:-1, j] = self._solution(linear, -self._residual(linear.at)[:, 0], _INEXACT)
        return change, self._depth(parameters[:-1])

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
class _Bordered:
    """The Jacobian with the derivative by x beside it and a row of ``direction`` below: regular at a fold."""

    equation: LargeBlockEquation
    linear: _Linear
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
