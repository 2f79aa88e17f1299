"""The equations of a graph with positions where a Jacobian would not fit: Newton's steps by products with it alone.

A change δθ_e of the field at one port moves the response at another by the mean over channels of H δθ_e Hᵀ, H being the entry of
the pencil's inverse between the two. These are kept instead of the mean of H ⊗ H: a product costs O(channels·P³) a pair
of ports where a matrix would have P⁴/4 entries. GMRES solves what :class:`BlockEquation` solves by factorisation; the
equations, what their solutions must satisfy and the tests that they do are the same.

Source: the derivative is that of theory.md §3.4.
"""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.operators.block_equation import BlockEquation, BlockPort, BlockSegment, SharedMatrix
from freeness.operators.packing import doubled, packed, symmetric, unpacked
from freeness.operators.product_equation import Linear, ProductEquation


@dataclass(frozen=True, eq=False)
class _Pair:
    """H (channels, P_f, P_e) from port e to port f, laid out (P_f, channels, P_e), and back (P_e, channels, P_f) if e ≠ f."""

    source: int
    target: int
    there: np.ndarray
    back: np.ndarray | None


class LargeBlockEquation(ProductEquation[BlockSegment, SharedMatrix, BlockPort, _Pair], BlockEquation):
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

    def _from_end_to_end(self, entry: np.ndarray) -> complex:
        return complex((entry**2).sum() / (len(entry) * entry.shape[-1]))

    def _to_end(self, e: int, entry: np.ndarray) -> tuple[slice, np.ndarray, np.ndarray]:
        by_zeta = packed(np.tensordot(entry, entry, ((0, 1), (0, 1)))[None] / len(entry))[0]
        return self._own(e), by_zeta, by_zeta * doubled(entry.shape[2]) / entry.shape[1]

    def _pair(self, e: int, f: int, entry: np.ndarray) -> _Pair:
        back = None if e == f else np.ascontiguousarray(entry.transpose(2, 0, 1))
        return _Pair(e, f, np.ascontiguousarray(entry.transpose(1, 0, 2)), back)

    def _answered(self, linear: Linear[_Pair], change: np.ndarray) -> np.ndarray:
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

    def _moved(self, linear: Linear[_Pair], change: np.ndarray, answer: np.ndarray) -> np.ndarray:
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
