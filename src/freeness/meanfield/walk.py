"""A network's samples followed through its graph, by the rules that its operations have for second moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.meanfield.gram_noises import common_departures
from freeness.meanfield.repeats import Recalled, recallable
from freeness.network import (
    INPUT,
    Activation,
    DrawnSource,
    Network,
    Node,
    Operation,
    Pairs,
    Step,
    Stream,
    Sum,
    Weights,
    dependence,
    described,
    forward,
    joined,
)


@dataclass(frozen=True, eq=False)
class Compiled:
    """A network prepared for the samples at hand: their ``streams`` behind every node, and every node's step for pairs.

    ``wholes``: all pairs of the batch behind every node, where a layer normalises over it.
    """

    nodes: tuple[Node, ...]
    streams: dict[str, Stream]
    steps: tuple[Step, ...]
    wholes: dict[str, Pairs | None]

    @property
    def end(self) -> Stream:
        """The samples at the output."""
        return self.streams[self.nodes[-1].name]

    def choice(self, node: Node) -> Node | None:
        """The node that alone reads an activation and chooses among its entries, by which the derivatives there differ."""
        if not isinstance(node.operation, Activation):
            return None
        readers = [one for one in self.nodes if node.name in one.inputs]
        if len(readers) != 1:
            return None
        before, behind = (self.streams[name].chosen for name in (node.name, readers[0].name))
        return None if behind is before else readers[0]

    def through(self, node: Node) -> Stream:
        """The stream behind a node that chooses, for what comes back in front of the activation that it chooses from."""
        found = self.streams[node.name]
        assert found.chosen is not None
        return found._replace(chosen=found.chosen._replace(through=True))

    def dependent(self, node: Node) -> Iterator[tuple[str, float]]:
        """Activations that reach this one in a sum, without weights between, and what that adds to Γ there.

        Left out where a batch couples its samples: what batch normalisation takes back from it would be left out, too, and
        the two nearly cancel. Channels that are drawn (:mod:`freeness.meanfield.drawn_channels`) have both.
        """
        if self.wholes[INPUT] is not None:
            return
        streams, nodes = self.streams, {one.name: one for one in self.nodes}
        before = nodes.get(node.inputs[0]) if node.inputs else None
        if before is None or not (isinstance(node.operation, Activation) and isinstance(before.operation, Sum)):
            return
        names, scales = before.inputs, before.operation.scales
        for index, name in enumerate(names):
            first = nodes.get(name)
            if first is not None and isinstance(first.operation, Activation):
                order = (index, *(other for other in range(len(names)) if other != index))
                rest = tuple(streams[names[other]] for other in order[1:])
                factor = dependence(
                    first.operation,
                    streams[first.inputs[0]],
                    node.operation,
                    tuple(scales[other] for other in order),
                    rest,
                )
                yield name, scales[index] ** 2 * (factor - 1)

    def walk(self, pairs: Pairs) -> Iterator[tuple[Node, Pairs]]:
        """Pairs behind every node; each is kept until nobody reads it any more."""
        open_signals = {INPUT: pairs}
        given = [reads(node) for node in self.nodes]
        last = {name: index for index, names in enumerate(given) for name in names}
        for index, (node, step, names) in enumerate(zip(self.nodes, self.steps, given, strict=True)):
            found = step(*[open_signals[name] for name in names])
            for name in names:
                if last[name] == index:
                    open_signals.pop(name, None)  # one signal may be read twice
            open_signals[node.name] = found
            yield node, found

    def applied(self, pairs: Pairs) -> Pairs:
        """Pairs at the output."""
        found = pairs
        for node, found in self.walk(pairs):
            bent = type(node.operation) is Activation  # the weights behind φ show it soon enough
            if not (bent or found.theta.max() < np.inf):
                raise InputError(
                    f"expected finite kernels, got overflow behind {described(node.operation)}; the network is chaotic or "
                    "diverges, so take fewer layers or a smaller sigma_w."
                )
        return found


def compiled(network: Network, stream: Stream, whole: Pairs | None) -> Compiled:
    """Follow the samples through a network.

    ``whole``: the pairs of the whole batch at its input, where a layer normalises over it.
    """
    streams, wholes = {INPUT: stream}, {INPUT: whole}
    steps: list[Step] = []
    recalled: dict[type[Operation], Recalled] = {}
    for node in network.nodes:
        known = None if whole is not None or node.shares else _recalled(node, streams, recalled)
        if known is not None:
            streams[node.name], step = known
            wholes[node.name] = None
            steps.append(step)
            continue
        found, step = _behind(node, streams, wholes)
        if whole is None and node.operation.arity == 1 and recallable(streams[node.inputs[0]]):
            recalled[type(node.operation)] = Recalled(node.operation, streams[node.inputs[0]], found, step)
        variance = found.variance
        most = variance.max()
        seen = most > 0 or not node.inputs  # a tensor beside the signal may start at 0
        if not (seen and variance.min() >= 0 and most < np.inf):  # also where any is NaN
            raise InputError(
                f"expected a signal that stays finite and does not vanish, got variance {_worst(variance)} behind "
                f"{described(node.operation)}; change sigma_w, sigma_b or the inputs' norm."
            )
        streams[node.name] = found
        wholes[node.name] = None if whole is None else step(*(wholes[name] for name in reads(node)))
        steps.append(step)
    for name, common in common_departures(network.nodes, streams).items():
        streams[name] = streams[name]._replace(common=common)
    return Compiled(network.nodes, streams, tuple(steps), wholes)


def _recalled(
    node: Node, streams: dict[str, Stream], recalled: dict[type[Operation], Recalled]
) -> tuple[Stream, Step] | None:
    """What the same operation has made of the same signal before; it was checked then."""
    known = recalled.get(type(node.operation))
    if known is None:
        return None
    stream = streams[node.inputs[0]]
    if not known.fits(node.operation, stream):
        return None
    drawn = isinstance(node.operation, Weights)
    sources = frozenset((DrawnSource(node.name),)) if drawn else stream.sources
    return known.again(stream.growth, sources), known.step


def _behind(node: Node, streams: dict[str, Stream], wholes: dict[str, Pairs | None]) -> tuple[Stream, Step]:
    """A node's operation applied; independent weights are a new source."""
    if node.shares:
        raise InputError(
            f"expected weights of its own in {described(node.operation)}, got those of {node.shares!r}, with which signals "
            "depend on one another; measure the network instead."
        )
    if node.operation.arity == 1:
        (name,) = node.inputs
        found, step = forward(node.operation, streams[name], wholes[name])
    else:
        every = (streams[name]._replace(whole=wholes[name]) for name in reads(node))
        found, step = joined(node.operation, tuple(every))
    if isinstance(node.operation, Weights) or not node.inputs:
        found = found.drawn_at(node.name)
    return found, step


def reads(node: Node) -> tuple[str, ...]:
    """The signals that a node's rules are given; a tensor beside the signal asks the input how many samples there are."""
    return node.inputs or (INPUT,)


def _worst(variance: np.ndarray) -> str:
    bad = variance[~(np.isfinite(variance) & (variance > 0))]
    return f"{bad.flat[0]:g}" if bad.size else "that is not finite"
