"""Single eigenvalues outside the law of a graph: freeness is silent about them, the mean direction of the signal makes them.

Given the forward pass, a matrix is known on one vector: W x = h. The rest of it is as random as before. A test direction u at the
output is passed backwards with that knowledge, Wᵀz = x(h·z)/‖x‖² + (a random vector of the size that the rest gives), and
R = uᵀXu/‖u‖² adds up where the graph accumulates. A free spike u with that mean on top of the law has its eigenvalue where
G(λ) = 1/(R - mean), if R is that large (Benaych-Georges, Nadakuditi 2011).

Source: this project's derivation; tested against drawn networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import eigh

from freeness.laws import Law
from freeness.operators import RandomMatrix, Segment
from freeness.spectra.graph import NetworkGraph
from freeness.spectra.graph_builder import MatrixPass

_DRAWS = 4  # of the random rest, averaged
_ZOOMS, _POINTS = 4, 17
_OUTSIDE = 1.03  # of the law's upper end: nearer ones are not told from its own largest eigenvalue


def outliers(graph: NetworkGraph, law: Law, rng: np.random.Generator | None = None) -> tuple[float, ...]:
    """The eigenvalue that the output's mean direction pulls out of the law, or none.

    Args:
        graph: of JJᵀ or Θ; with positions or several samples none is looked for.
        law: of that graph.
        rng: for the parts of the matrices that the forward pass does not determine; the same every time when left out.

    Example:
        >>> from freeness.network import Branch, resnet
        >>> from freeness.spectra import graph_law, network_graph
        >>> graph = network_graph(resnet(6, 60, Branch("tanh", scale=0.3)))
        >>> outliers(graph, graph_law(graph))
        ()
    """
    generator = rng or np.random.default_rng(2)
    output = graph.output[:, 0]
    if graph.plain is None or output.size < 2 or not output.any():
        return ()
    directions = [output] if np.allclose(output, output.mean()) else [output, np.ones(output.size)]
    start = np.stack(directions, axis=1)
    means = np.mean([_means(graph, start, generator) for _ in range(_DRAWS)], axis=0)
    rayleigh = float(eigh(means, _represented(graph, -1) * start.T @ start, eigvals_only=True)[-1])
    edge = law.hull[1]
    if rayleigh <= law.mean:
        return ()
    wanted = 1 / (rayleigh - law.mean)
    low, high = edge * (1 + 1e-6), 4 * max(rayleigh, edge)
    for _ in range(_ZOOMS):
        x = np.geomspace(low, high, _POINTS)
        beyond = np.real(law.cauchy(x)) > wanted  # G falls outside the support
        if not beyond[0]:
            return ()
        last = int(np.flatnonzero(beyond)[-1])
        low, high = x[last], x[min(last + 1, _POINTS - 1)]
    return (float(low),) if low > _OUTSIDE * edge else ()


def _represented(graph: NetworkGraph, segment: int) -> float:
    """How many neurons of the network each one of the graph stands for."""
    assert graph.plain is not None
    part = graph.plain[0][segment]
    return part.channels / part.accumulated.shape[1]


def _means(graph: NetworkGraph, start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uᵀXu for the columns of ``start`` at the output, (k, k)."""
    assert graph.plain is not None
    segments, matrices = graph.plain
    columns = start.shape[1]
    vectors = [[np.zeros((s.accumulated.shape[1], columns)) for _ in s.accumulated] for s in segments]
    vectors[-1][-1] = start
    total = np.zeros((columns, columns))
    by_target: dict[tuple[int, int], list[tuple[RandomMatrix, MatrixPass]]] = {}
    for matrix, written in zip(matrices, graph.passes, strict=True):
        by_target.setdefault(matrix.target, []).append((matrix, written))
    for segment, node in _backwards(segments, matrices):
        v = vectors[segment][node]
        accumulated, links = segments[segment].accumulated[node], segments[segment].links
        here = _represented(graph, segment)
        total += here * v.T @ (accumulated[:, None] * v)
        if node > 0:
            vectors[segment][node - 1] += links[node - 1][:, None] * v
        for matrix, written in by_target.get((segment, node), []):
            there, place = matrix.source
            passed = _transposed(matrix, written, v, (_represented(graph, there), here), rng)
            vectors[there][place] += matrix.d_source[:, None] * passed
    return total


def _backwards(segments: Sequence[Segment], matrices: Sequence[RandomMatrix]) -> list[tuple[int, int]]:
    """Places, each behind all that it feeds."""
    fed: dict[tuple[int, int], set[tuple[int, int]]] = {
        (s, n): set() for s, segment in enumerate(segments) for n in range(len(segment.accumulated))
    }
    for s, n in list(fed):
        if n > 0:
            fed[s, n - 1].add((s, n))
    for matrix in matrices:
        fed[matrix.source].add(matrix.target)
    order: list[tuple[int, int]] = []
    while len(order) < len(fed):
        order += [place for place, behind in fed.items() if place not in order and behind <= set(order)]
    return order


def _transposed(
    matrix: RandomMatrix,
    written: MatrixPass,
    v: np.ndarray,
    represented: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Wᵀ(D_target v): along the input x as W x = h says, and a random rest orthogonal to x with the Gram matrix of z."""
    source, target = represented
    z = matrix.d_target[:, None] * v
    x, h = written.inputs[:, 0], written.outputs[:, 0]
    square = source * float(x @ x)
    along = target * np.outer(x, h @ z) / square if square > 0 else np.zeros((x.size, z.shape[1]))
    known = h / np.sqrt(float(h @ h)) if h.any() else np.zeros(h.size)
    rest = z - np.outer(known, known @ z) if matrix.kind == "haar" else z
    values, basis = np.linalg.eigh(matrix.square * target / (source * x.size) * rest.T @ rest)
    random = rng.standard_normal((x.size, z.shape[1])) * np.sqrt(np.maximum(values, 0.0))
    fresh = random @ basis.T
    if x.any():
        fresh -= np.outer(x, x @ fresh) / float(x @ x)
    return along + fresh
