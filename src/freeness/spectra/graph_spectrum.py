"""The law of a network's graph, by its equations, and one matrix of the graph drawn at random."""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.errors import ConvergenceError, InputError, TimeLimitError
from freeness.laws import Atom, Atoms, Law
from freeness.operators import (
    BlockEquation,
    DiagonalEquation,
    GraphEquation,
    GraphLaw,
    LargeBlockEquation,
    SharedMatrix,
)
from freeness.spectra.graph import NetworkGraph

Place = tuple[int, int]  # segment, node within it

_FORMED = 4000  # unknowns of a graph: beyond, a Jacobian alone takes a quarter of a gigabyte, and none is formed
_MOST = 40_000  # beyond, a point takes minutes
_MOST_ENTRIES = 60_000_000  # of the pencil's inverse: a gigabyte
_SAMPLE = 160  # rows of the sampled matrix that says where the support is, about
_SAMPLE_OF_BLOCKS = 500
_SMALL = 1e-9  # relative size of eigenvalues of it that are 0
_LIGHTEST = 1e-5  # atom at 0 that is told
_CLOSE = 1e-5, 1e-4  # heights above an atom in units of the distance to the nearest other eigenvalue
_HEIGHTS = 0.05 * 0.5 ** np.arange(5.0)  # the same, where no digits are lost
_LIKE, _STEADY = 1e-2, 1e-5  # relative difference of masses that are read in two ways; and of the last two polynomials
_FEW, _OWN = 8, 0.5  # single eigenvalues at most that may be atoms; then they have about the mass of one


def graph_law(graph: NetworkGraph) -> GraphLaw:
    """The law of a graph, by its equations; a sampled matrix says where to look for the support.

    At the lower bound (0, or what the output layer adds to Θ) an atom is told from mass that mounts towards it, which is followed
    to 10⁻¹⁴ of the spectrum; other atoms are where the sampled matrix has one eigenvalue several times, or a few single ones
    beside such. Up to 4,000 unknowns (P(P + 1)/2 on both sides of each weight layer, P positions × samples) all points are solved
    together by factorisation; up to 40,000 one after the other by products (7×7 positions, 64 channels and three layers: 5 to
    25 s a point), in at most about 2 GB. Then an atom at 0 is read when it is asked for, and ``upper_end`` costs some ten points,
    ``hull`` perhaps a hundred.

    Raises:
        InputError: more unknowns or channels than that, no random matrices, or a signal that vanished.
        ConvergenceError: equations that could not be solved.

    Example:
        >>> from freeness.network import Branch, resnet
        >>> from freeness.spectra.graph import network_graph
        >>> law = graph_law(network_graph(resnet(2, 40, Branch("tanh", scale=0.5))))
        >>> 1.0 < law.mean < 1.5
        True
    """
    if not graph.matrices:
        raise InputError(
            "expected weights behind the first ones, got none; the Fisher of one layer is a given matrix, so measure it instead."
        )
    rows = _SAMPLE_OF_BLOCKS if graph.plain is None else _SAMPLE
    values = sampled_eigenvalues(graph, np.random.default_rng(1), rows)
    top = float(values[-1])
    if not (np.isfinite(top) and top > 0):
        raise InputError(
            f"expected a spectrum of finite positive size, got {top}; the signal or the gradient vanished."
        )
    equation = _equation(graph, top)
    groups = _alike(values, equation.floor, _SMALL * top)
    places = np.array([place for place, _ in groups])
    single = np.concatenate(
        [np.empty(0), *(group for place, group in groups if group.size == 1 and place > equation.floor)]
    )
    law = GraphLaw(equation, (float(single[0]) if single.size else float(places[0]), top))
    if law.costly:
        return law.with_atom_read_at_zero() if places[0] == equation.floor == 0 else law
    atoms: list[Atom] = []
    for k in sorted(range(len(groups)), key=lambda k: (places[k] != equation.floor, -groups[k][1].size)):
        at_floor, lone = places[k] == equation.floor, groups[k][1].size == 1
        if lone and not at_floor and single.size > _FEW:
            break
        nearest = float(np.abs(np.delete(places, k) - places[k]).min(initial=top))
        mass = law.mass_at_floor if at_floor else np.nan
        if np.isnan(mass):
            mass = _mass_at(float(places[k]), law.cauchy, nearest, _SMALL * top)
        if mass > (_LIGHTEST if at_floor or not lone else _OWN / values.size):
            atoms.append(Atom(float(places[k]), mass))
        elif not at_floor:  # equal samples double all eigenvalues: where many are no atom, fewer are none
            break
    return law.with_atoms(tuple(sorted(atoms))) if atoms else law


def law_of_graph(graph: NetworkGraph) -> Law:
    """:func:`graph_law`, or without random matrices the eigenvalues of what is given: Θ of a single layer of weights.

    Example:
        >>> from freeness.network import cnn, mlp
        >>> from freeness.spectra.graph import network_graph
        >>> one = cnn(mlp(1, 8, weights="gaussian"), kernel=(3,))
        >>> law = law_of_graph(network_graph(one, samples=np.ones((1, 8, 5)), fisher=True))
        >>> [(round(x, 6), round(mass, 6)) for x, mass in law.atoms]  # one direction in 5, of 3 taps of 8 channels
        [(0.0, 0.8), (120.0, 0.2)]
    """
    if graph.matrices:
        return graph_law(graph)
    widest = max(s.channels * k.shape[-1] for s in graph.segments for k in s.accumulated)
    values = sampled_eigenvalues(graph, np.random.default_rng(0), widest)
    groups = _alike(values, 0.0, _SMALL * float(np.abs(values[-1])))
    return Atoms([place for place, _ in groups], [group.size / values.size for _, group in groups])


def _alike(values: np.ndarray, floor: float, near: float) -> list[tuple[float, np.ndarray]]:
    """Ascending eigenvalues in groups that rounding could have parted, each with its place: the floor, or their mean."""
    groups = np.split(values, np.flatnonzero(np.diff(values) > near) + 1)
    return [(floor if group[0] <= floor + near else float(group.mean()), group) for group in groups]


def _mass_at(position: float, cauchy: Callable[[np.ndarray], np.ndarray], nearest: float, small: float) -> float:
    """f(y) = iy·G(position + iy) as y → 0, the nearest other eigenvalue being so far away.

    At the first height where it converges digits are lost, as beside any pole. Where density beside the atom is analytic, so is
    f: the value of the polynomial through a few larger heights is kept if it agrees, and settles.
    """
    rough = 0.0
    for height in (*(close * nearest for close in _CLOSE), small):
        with _or_unknown():
            rough = float(np.real(1j * height * cauchy(np.array([position + 1j * height])))[0])
            break
    heights = nearest * _HEIGHTS
    with _or_unknown():
        values = np.real(1j * heights * cauchy(position + 1j * heights))
        fewer, mass = (float(_at_zero(heights[k:]) @ values[k:]) for k in (1, 0))
        if abs(mass - rough) <= _LIKE * rough and abs(mass - fewer) <= _STEADY * mass:
            return mass
    return rough


@contextmanager
def _or_unknown() -> Generator[None]:
    """Passes over what does not converge; what comes too late is raised, for an atom may well be there."""
    try:
        yield
    except TimeLimitError:
        raise
    except ConvergenceError:
        pass


def _at_zero(nodes: np.ndarray) -> np.ndarray:
    """Weights of values at nodes in the value at 0 of the polynomial through them (Lagrange)."""
    same = np.eye(nodes.size)
    return np.where(same > 0, 1.0, nodes / (nodes - nodes[:, None] + same)).prod(axis=1)


def _equation(graph: NetworkGraph, scale: float) -> GraphEquation | BlockEquation | DiagonalEquation:
    if graph.plain is not None:
        return GraphEquation(*graph.plain, scale)
    apart = DiagonalEquation.of(graph.segments, graph.matrices, scale)
    if apart is not None:
        return apart
    equation = BlockEquation(graph.segments, graph.matrices, scale)
    if equation.unknowns <= _FORMED:
        return equation
    if equation.unknowns > _MOST:
        raise InputError(
            f"expected a graph of at most {_MOST} unknowns, got {equation.unknowns} (P(P + 1)/2 for P positions × samples); "
            "take fewer positions or samples, or measure the spectrum."
        )
    if equation.pair_entries > _MOST_ENTRIES:
        raise InputError(
            f"expected layers with positions of at most {_MOST_ENTRIES} numbers (channels × the square of positions × samples), "
            f"got {equation.pair_entries}; take fewer channels, positions, samples or blocks, or measure the spectrum."
        )
    return LargeBlockEquation(graph.segments, graph.matrices, scale)


def sampled_eigenvalues(
    graph: NetworkGraph, rng: np.random.Generator, rows: int = _SAMPLE
) -> Float[np.ndarray, " values"]:
    """Eigenvalues, ascending, of one matrix of the graph on a random part of the channels.

    Args:
        graph: from :func:`network_graph`.
        rng: for channels and weights.
        rows: of the largest node, about.

    Example:
        >>> from freeness.network import cnn, mlp
        >>> from freeness.spectra.graph import network_graph
        >>> network = cnn(mlp(2, 8, "tanh", "gaussian"), kernel=(3,))
        >>> graph = network_graph(network, samples=np.ones((1, 8, 3)), fisher=True)
        >>> sampled_eigenvalues(graph, np.random.default_rng(0)).shape
        (24,)
    """
    widest = max(s.channels * k.shape[-1] for s in graph.segments for k in s.accumulated)
    share = min(1.0, rows / widest)
    counts = [max(2, round(share * s.channels)) if s.channels > 1 else 1 for s in graph.segments]
    factors: dict[Place, _Noise] = {}
    chosen: dict[tuple[int, int], np.ndarray] = {}

    def picked(array: np.ndarray, segment: int) -> np.ndarray:
        """The chosen channels' matrices of an array (1 or C, P, P')."""
        key = (segment, len(array))
        if key not in chosen:
            every = len(array) == counts[segment]
            chosen[key] = np.arange(len(array)) if every else rng.integers(len(array), size=counts[segment])
        return array[chosen[key]]

    def factor(place: Place) -> _Noise:
        """B (channels, P, columns) with X = BBᵀ at a place, over all noise that enters before it."""
        if place in factors:
            return factors[place]
        segment, node = graph.segments[place[0]], place[1]
        own = picked(segment.accumulated[node], place[0])
        values, basis = np.linalg.eigh(own)
        roots = basis * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        count, size = own.shape[:2]
        parts: list[_Noise] = []
        if node > 0:
            link, before = picked(segment.links[node - 1], place[0]), factor((place[0], node - 1))
            parts.append(_Noise(link @ before.columns, before.entered))
        for m in graph.matrices:
            if m.target == place:
                read = None if m.read is None else picked(m.read, m.source[0])
                before = factor(m.source)
                into = before.columns if read is None else read @ before.columns
                passed = _applied(m, into, count, rng)
                passed = passed if m.write is None else picked(m.write, place[0]) @ passed
                parts.append(_Noise(passed, before.entered))
        if own.any():
            parts.append(_Noise(_diagonal(roots).reshape(count, size, -1), ((place, count * size),)))
        factors[place] = _together(parts, (count, size))
        return factors[place]

    last = len(graph.segments) - 1
    b = factor((last, len(graph.segments[last].accumulated) - 1)).columns
    b = b.reshape(b.shape[0] * b.shape[1], b.shape[2])
    return np.linalg.eigvalsh(b @ b.T)


class _Noise(NamedTuple):
    """Columns (channels, P, k), and where how many of them ``entered``, in order."""

    columns: np.ndarray
    entered: tuple[tuple[Place, int], ...]


def _together(parts: Sequence[_Noise], shape: tuple[int, int]) -> _Noise:
    """The sum; what entered at the same place adds."""
    widths = dict(entry for part in parts for entry in part.entered)
    starts = dict(zip(widths, np.cumsum([0, *widths.values()]), strict=False))
    total = np.zeros((*shape, sum(widths.values())))
    for part in parts:
        first = 0
        for place, width in part.entered:
            total[:, :, starts[place] : starts[place] + width] += part.columns[:, :, first : first + width]
            first += width
    return _Noise(total, tuple(widths.items()))


def _diagonal(blocks: np.ndarray) -> np.ndarray:
    """Channels' matrices (C, P, P) as one block-diagonal (C, P, C, P)."""
    count, size, _ = blocks.shape
    found = np.zeros((count, size, count, size))
    index = np.arange(count)
    found[index, :, index] = blocks
    return found


def _applied(matrix: SharedMatrix, into: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Σ_τ T_τ ⊗ W_τ of (channels, P_in, columns) with fresh weights."""
    channels = len(into)
    if matrix.kind == "gaussian":
        weights = np.sqrt(matrix.square / channels) * rng.standard_normal((len(matrix.taps), count, channels))
        passed = [np.tensordot(w, tap @ into, 1) for w, tap in zip(weights, matrix.taps, strict=True)]
        return np.sum(passed, axis=0)
    few = min(count, channels)
    left, right = (_orthonormal(size, few, rng) for size in (count, channels))
    squares = np.full(few, matrix.square)
    if matrix.squares is not None:
        every = np.sort(matrix.squares)
        squares = every[((np.arange(few) + 0.5) / few * every.size).astype(int)]
    return np.tensordot(left * np.sqrt(squares) @ right.T, into, 1)


def _orthonormal(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Random orthonormal columns."""
    q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
    return q * np.sign(np.diag(r))
