"""Single eigenvalues outside the law of a graph: freeness is silent about them, what the signal says of the weights makes them.

Given the forward pass, a matrix is known on one vector: W x = y, and the rest of it is as random as before. With x̂ = x/‖x‖,
ŷ = y/‖y‖ and c = ‖y‖/‖x‖ the averaged pencil of :mod:`freeness.operators.graph_equation`, in which W has the fields b at its
source and a at its target, gets b D x̂x̂ᵀD there, a′ D ŷŷᵀD here, and -c(D ŷx̂ᵀD) with its transpose between: the rest of W does not
see x̂, and sees ŷ by a - a′, a′ = c²/b - 1/r (r: response at the target; 0 for independent entries, a·min(1, N′/N) for
semi-orthogonal ones). A normalisation over the neurons adds terms of rank one or two to its slope, which enter likewise. With all
of them as V C Vᵀ, the eigenvalues above λ outside the law are as many as eigenvalues of C⁻¹ + Vᵀ𝓜(λ)⁻¹V have changed their sign
on the way from λ = ∞.

Source: this project's derivation, by the isotropic form of the deterministic equivalent (for one spike: Benaych-Georges,
Nadakuditi 2011); tested against drawn networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from freeness.errors import ConvergenceError, InputError
from freeness.operators import Direction, GraphLaw, Outside, RandomMatrix
from freeness.spectra.above import AboveChain, AboveLaw
from freeness.spectra.graph import NetworkGraph
from freeness.spectra.graph_builder import MatrixPass
from freeness.spectra.graph_spectrum import graph_law

_OUTSIDE = 1.03  # of the law's upper end: nearer ones are not told from its own largest eigenvalue
_GROWTH, _DOUBLINGS = 4.0, 40  # of the stretch that is searched
_POINTS, _ZOOMS = 9, 5


def outliers(graph: NetworkGraph, law: GraphLaw | None = None) -> tuple[float, ...]:
    """The eigenvalues that the known directions pull out of the law at its upper end, the largest first.

    Args:
        graph: of JJᵀ or Θ; where ``graph.unseen`` says why not, none is looked for.
        law: of that graph, where it is known already; a chain needs none.

    Raises:
        ConvergenceError: a point outside the law could not be reached.

    Example:
        >>> from freeness.network import Branch, mlp, resnet
        >>> from freeness.spectra import network_graph
        >>> graph = network_graph(resnet(6, 60, Branch("tanh", scale=0.3)))
        >>> outliers(graph)
        ()
        >>> graph = network_graph(mlp(12, 200, "gelu", sigma_w=1.567, sigma_b=0.186), 0.19)
        >>> len(outliers(graph))
        1
    """
    if graph.unseen is not None or graph.plain is None or not graph.matrices:
        return ()
    above = AboveChain.of(graph) or AboveLaw(law or graph_law(graph))
    known = _Knowledge.of(graph)

    def count(s: np.ndarray) -> np.ndarray:
        return known.count(above.outside(s, known.directions))

    low = high = above.start(_OUTSIDE)
    many = int(count(np.array([low]))[0])
    if many == 0:
        return ()
    for _ in range(_DOUBLINGS):
        high *= _GROWTH
        if count(np.array([high]))[0] == 0:
            found = np.array([_located(count, (low, high), order) for order in range(1, many + 1)])
            return tuple(map(float, above.place(found)))
    raise InputError(
        f"expected single eigenvalues of finite size, got one beyond {high:.3g}; the signal grows without bound over the "
        "layers, so scale the weights down."
    )


def _located(count: Callable[[np.ndarray], np.ndarray], stretch: tuple[float, float], order: int) -> float:
    """Where the eigenvalue is above which there are ``order`` - 1 others."""
    low, high = stretch
    for _ in range(_ZOOMS):
        s = np.geomspace(low, high, _POINTS)
        found = np.flatnonzero(count(s) >= order)
        if found.size == 0:
            raise ConvergenceError(
                "expected a single eigenvalue where its count said, got none; it is lost to rounding."
            )
        low, high = s[found[-1]], s[min(found[-1] + 1, _POINTS - 1)]
    return float(np.sqrt(low * high))


@dataclass(eq=False)
class _Knowledge:
    """V as directions, and where C stands: (number of the matrix or None, indices) with a rule for each kind."""

    matrices: tuple[RandomMatrix, ...]
    channels: tuple[tuple[int, int], ...]
    shares: list[float] = field(default_factory=list[float])
    directions: list[Direction] = field(default_factory=list[Direction])
    pairs: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])  # matrix, x̂, ŷ
    reads: list[tuple[int, np.ndarray, np.ndarray, np.ndarray]] = field(
        default_factory=list[tuple[int, np.ndarray, np.ndarray, np.ndarray]]
    )  # matrix, DL, R, LᵀL
    links: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list[tuple[np.ndarray, np.ndarray]])

    @classmethod
    def of(cls, graph: NetworkGraph) -> _Knowledge:
        assert graph.plain is not None
        segments, matrices = graph.plain
        channels = tuple((segments[m.source[0]].channels, segments[m.target[0]].channels) for m in matrices)
        found = cls(matrices, channels)
        for number, written in enumerate(graph.passes):
            found._read(number, written)
        for (segment, node), aside in graph.asides:
            left = found._add((segment, node), "v", aside.left)
            found.links.append((left, found._add((segment, node - 1), "u", aside.right)))
        return found

    def _add(self, place: tuple[int, int], side: Literal["u", "v"], columns: np.ndarray) -> np.ndarray:
        first = len(self.directions)
        self.directions += [Direction(place, side, column) for column in columns.T]
        return np.arange(first, len(self.directions))

    def _read(self, number: int, written: MatrixPass) -> None:
        matrix, x, y = self.matrices[number], written.inputs, written.outputs
        self.shares.append(written.share)
        d, aside = matrix.d_source[:, None], written.aside
        if x.any() and y.any():
            x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
            read = d * x if aside is None else d * x + aside.right @ (aside.left.T @ x)
            source = self._add(matrix.source, "u", read)
            target = self._add(matrix.target, "v", matrix.d_target[:, None] * y)
            self.pairs.append((number, int(source[0]), int(target[0])))
        if aside is not None:
            left = self._add(matrix.source, "u", d * aside.left)
            right = self._add(matrix.source, "u", aside.right)
            self.reads.append((number, left, right, aside.left.T @ aside.left))

    def count(self, at: Outside) -> np.ndarray:
        """How many eigenvalues outside the law lie above each point (m,)."""
        core, forms = self._core(at), self._forms(at)
        try:
            inverse = np.linalg.inv(core)
        except np.linalg.LinAlgError as error:
            raise ConvergenceError(
                "expected weights that pass something, got a singular change of the pencil; scale them up."
            ) from error
        whole = inverse + forms
        size = 1 / np.sqrt(np.abs(inverse).max(axis=2) + np.abs(forms).max(axis=2))
        if not np.isfinite(size).all():
            raise ConvergenceError("expected directions of finite size, got overflow; scale the weights.")
        changed = np.linalg.eigvalsh(size[:, :, None] * whole * size[:, None, :])
        return np.abs((changed > 0).sum(axis=1) - (np.linalg.eigvalsh(core) > 0).sum(axis=1))

    def _forms(self, at: Outside) -> np.ndarray:
        """Vᵀ𝓜⁻¹V, where of ŷ the biases' share is a random direction."""
        forms = at.forms.copy()
        for number, _, y in self.pairs:
            share = self.shares[number]
            forms[:, y] *= share**0.5
            forms[:, :, y] *= share**0.5
            forms[:, y, y] += (1 - share) * at.values[2 * number + 1]
        return forms

    def _core(self, at: Outside) -> np.ndarray:
        """C, (m, k, k)."""
        k = len(self.directions)
        core = np.zeros((at.fields.shape[1], k, k))
        for number, x, y in self.pairs:
            b, a, r = at.fields[2 * number], at.fields[2 * number + 1], at.values[2 * number + 1]
            core[:, x, x] = b
            core[:, y, y] = self._lost(number, a, b, r)
            core[:, x, y] = core[:, y, x] = -(self._gain(number) ** 0.5)
        for number, left, right, gram in self.reads:
            b = at.fields[2 * number]
            core[:, left, right] = core[:, right, left] = -b[:, None]
            core[:, right[:, None], right] = -b[:, None, None] * gram
        for left, right in self.links:
            core[:, left, right] = core[:, right, left] = -1.0
        return core

    def _gain(self, number: int) -> float:
        """c² = E‖Wx‖²/‖x‖²."""
        matrix, (source, target) = self.matrices[number], self.channels[number]
        if matrix.squares is not None:
            return float(matrix.squares.sum()) / source
        return matrix.square * (target / source if matrix.kind == "gaussian" else min(1.0, target / source))

    def _lost(self, number: int, a: np.ndarray, b: np.ndarray, r: np.ndarray) -> np.ndarray:
        """a′: what of the field at the target the direction ŷ does not see."""
        source, target = self.channels[number]
        match self.matrices[number].kind:
            case "gaussian":
                return np.zeros_like(a)
            case "haar":
                return a * min(1.0, target / source)
            case _:
                return self._gain(number) / b - 1 / r
