"""Nodes, attentions and random matrices that a forward pass met, as the parts and ports of equations."""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from freeness.errors import InputError
from freeness.operators import (
    GivenPart,
    HeadSignals,
    HeadsPart,
    Link,
    Port,
    PortMatrix,
    UnitsPart,
    WiredEquation,
    WiredPart,
)

_Place = tuple[tuple[str, int], int]  # ("nodes", group) or ("heads", number), and a port there
_OUTPUT = 3  # port of attention that is read


@dataclass(eq=False)
class WiredNode:
    """Noise (Q, Q) or (C, Q, Q), channels, and the links that lead to it, (node, map, factor).

    ``layer``: name of the operation whose own gradients the noise is. ``normal``: the signal (C, Q) of a norm, and the share of
    channels that it keeps.
    """

    accumulated: np.ndarray
    channels: int
    links: list[tuple[int, np.ndarray, np.ndarray | None]] = field(
        default_factory=list[tuple[int, np.ndarray, np.ndarray | None]]
    )
    layer: str = ""
    normal: tuple[np.ndarray, float] | None = None


@dataclass(eq=False)
class WiredMatrix:
    """A random matrix, and where its ends are: ("node" or "heads", number), map (1 or C, P, Q) as of a port, factor.

    ``accumulated``: noise of its own gradients where it writes. ``selected``: of its outputs, those that count as of matrices by
    themselves. ``layer``: its name in the network. ``kept``: share of channels that a norm in front leaves.
    """

    taps: np.ndarray
    square: float
    channels: tuple[int, int]
    kind: str
    read: tuple[str, int, np.ndarray, np.ndarray | None]
    accumulated: np.ndarray | None = None
    write: tuple[str, int, np.ndarray, int] | None = None
    selected: set[int] = field(default_factory=set[int])
    layer: str = ""
    kept: float = 1.0


@dataclass(eq=False)
class Met:
    """What was met so far: nodes, matrices, and signals of attentions."""

    nodes: list[WiredNode] = field(default_factory=list[WiredNode])
    matrices: list[WiredMatrix] = field(default_factory=list[WiredMatrix])
    attentions: list[HeadSignals] = field(default_factory=list[HeadSignals])


def assembled(met: Met, end: int, outputs: int, kept: float = 1.0) -> WiredEquation:
    """Parts of nodes that are linked, and of attentions, with the matrices between their ports.

    ``kept``: share of the outputs that a last projection keeps.
    """
    groups = _linked(met.nodes)
    ports: dict[tuple[str, int], list[Port]] = {("nodes", group): [] for group in set(groups)}
    heads: dict[int, list[np.ndarray]] = {number: [np.empty(0)] * 4 for number in range(len(met.attentions))}
    members = {group: [node for node, own in enumerate(groups) if own == group] for group in set(groups)}
    used = [matrix for matrix in met.matrices if matrix.write is not None]

    def ported(kind: str, number: int, map_: np.ndarray, factor: np.ndarray | None, port: int, reads: bool) -> _Place:
        if kind == "heads":
            if heads[number][port].size:
                raise InputError("expected one matrix behind attention, got several; measure the spectrum instead.")
            heads[number][port] = map_[0]
            return ("heads", number), port
        group = groups[number]
        ports["nodes", group].append(Port(members[group].index(number), reads, map_, factor))
        return ("nodes", group), len(ports["nodes", group]) - 1

    ends: list[tuple[_Place, _Place]] = []
    for matrix in used:
        assert matrix.write is not None
        kind, number, map_, factor = matrix.read
        source = ported(kind, number, map_, factor, _OUTPUT, True)
        kind, number, map_, port = matrix.write
        ends.append((source, ported(kind, number, map_, None, port, False)))
    size = met.nodes[end].accumulated.shape[-1]
    last = ported("node", end, np.eye(size)[None], None, 0, True)
    order: list[tuple[str, int]] = [("nodes", group) for group in dict.fromkeys(groups) if ports["nodes", group]]
    order += [("heads", number) for number in heads]
    parts: list[GivenPart] = []
    for kind, number in order:
        if kind == "heads":
            parts.append(HeadsPart(met.attentions[number], heads[number]))
        else:
            parts.append(_part(met.nodes, members[number], ports["nodes", number]))
    place = {name: index for index, name in enumerate(order)}
    matrices = [
        PortMatrix(
            (place[source[0]], source[1]),
            (place[target[0]], target[1]),
            matrix.taps,
            matrix.square,
            matrix.channels,
            "haar" if matrix.kind == "haar" else "gaussian",
            matrix.accumulated,
            matrix.layer,
            matrix.kept,
        )
        for matrix, (source, target) in zip(used, ends, strict=True)
    ]
    return WiredEquation(parts, matrices, (place[last[0]], last[1]), outputs, kept)


def _part(nodes: Sequence[WiredNode], members: Sequence[int], ports: Sequence[Port]) -> GivenPart:
    links = [
        Link(members.index(parent), here, map_, factor)
        for here, number in enumerate(members)
        for parent, map_, factor in nodes[number].links
    ]
    noise = [nodes[number].accumulated for number in members]
    channels, accumulated = nodes[members[0]].channels, [k if k.ndim == 3 else k[None] for k in noise]
    derivatives = [_diagonal(port.map) for port in ports if not port.reads]
    reads = [port for port in ports if port.reads]
    units = len(members) == 1 and not accumulated[0].any() and len(reads) == 1 and not ports[-1].factor is not None
    if units and derivatives and is_one(reads[0].map) and all(one is not None and len(one) > 1 for one in derivatives):
        return UnitsPart(channels, [one for one in derivatives if one is not None])
    return WiredPart(channels, accumulated, links, ports, [nodes[number].layer for number in members])


def _diagonal(maps: np.ndarray) -> np.ndarray | None:
    """(C, Q) of maps that are diagonal."""
    if maps.shape[1] != maps.shape[2]:
        return None
    found = np.diagonal(maps, axis1=1, axis2=2)
    return found if np.count_nonzero(maps) == np.count_nonzero(found) else None


def _linked(nodes: Sequence[WiredNode]) -> list[int]:
    """For each node the first of those that links tie together."""
    group = list(range(len(nodes)))
    for number, node in enumerate(nodes):
        for parent, _, _ in node.links:
            one, other = sorted((group[parent], group[number]))
            group = [one if own == other else own for own in group]
    return group


def is_one(maps: np.ndarray) -> bool:
    """Whether maps (k, Q', Q) are the identity, of all channels alike.

    Example:
        >>> is_one(np.eye(2)[None]), is_one(np.ones((1, 2, 2)))
        (True, False)
    """
    return maps.shape[0] == 1 and maps.shape[1] == maps.shape[2] and bool((maps[0] == np.eye(maps.shape[1])).all())
