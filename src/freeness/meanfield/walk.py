"""A network's samples followed through its graph, by the rules that its operations have for second moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError
from freeness.meanfield.gram_noises import GramNoises, common_departures
from freeness.meanfield.length_noises import Norm, ends_lengths, followed, freed, length_behind
from freeness.meanfield.repeats import Recalled, recallable
from freeness.network import (
    INPUT,
    Activation,
    DrawnSource,
    Embedding,
    Length,
    Network,
    Node,
    Operation,
    Pairs,
    Step,
    Stream,
    Weights,
    dependence,
    described,
    forward,
    joined,
)


@dataclass(frozen=True, eq=False)
class Compiled:
    """A network prepared for the samples at hand: their ``streams`` behind every node, and every node's step for pairs.

    ``wholes``: all pairs of the batch behind every node, where a layer normalises over it. ``lengths``: of signals,
    where ``norms`` divide by those of a network of its widths.
    """

    nodes: tuple[Node, ...]
    streams: dict[str, Stream]
    steps: tuple[Step, ...]
    wholes: dict[str, Pairs | None]
    lengths: dict[str, Length]
    norms: dict[str, Norm]

    @property
    def end(self) -> Stream:
        """The samples at the output."""
        return self.streams[self.nodes[-1].name]

    def choice(self, node: Node) -> Node | None:
        """The node that alone reads an activation and chooses among its entries, by which the derivatives there differ."""
        if not node.operation.bends:
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
        scales = None if before is None else before.operation.sums
        if before is None or scales is None or not isinstance(node.operation, Activation):
            return
        names = before.inputs
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

    def all_free(self, gradient: np.ndarray) -> np.ndarray:
        """Of Γ at the output, of each sample, what is free to lie along mean and signal of a norm: all of it, of both."""
        return np.stack([self.end._replace(second=gradient).variance] * 2) if self.lengths else np.zeros(1)

    def of_widths(
        self,
        node: Node,
        gradient: np.ndarray,
        parts: tuple[np.ndarray, ...],
        free: np.ndarray,
        pairs: Pairs | None = None,
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """What comes back through a node of its widths, and what of it is free to lie along mean and signal.

        ``gradient``, ``parts``: Γ of each sample, or of all ``pairs``, which are those in front of the node then.
        """
        if not self.lengths:
            return parts, (free,) * len(parts)
        streams, found = [self.streams[name] for name in reads(node)], self.streams[node.name]
        if node.name in self.norms:
            each = gradient if pairs is None else of_each(gradient)
            parts = (parts[0] * self.norms[node.name].returned(each, free, pairs),)
        own = parts if pairs is None else [of_each(part) for part in parts]
        return parts, tuple(freed(node, k, streams, found, part, free) for k, part in enumerate(own))

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
            bent = node.operation.bends  # the weights behind φ show it soon enough
            if not (bent or found.theta.max() < np.inf):
                raise InputError(
                    f"expected finite kernels, got overflow behind {described(node.operation)}; the network is chaotic or "
                    "diverges, so take fewer layers or a smaller sigma_w."
                )
        return found


def compiled(network: Network, stream: Stream, whole: Pairs | None, *, finite: bool = False) -> Compiled:
    """Follow the samples through a network.

    ``whole``: the pairs of the whole batch at its input, where a layer normalises over it. ``finite``: norms divide by lengths as
    they are in a network of its widths.
    """
    streams, wholes = (
        {INPUT: stream},
        {INPUT: whole if whole is None or not finite else whole._replace(known=whole.value)},
    )
    lengths, norms = {INPUT: Length.given(stream)} if finite else {}, dict[str, Norm]()
    steps: list[Step] = []
    recalled: dict[type[Operation], Recalled] = {}
    attends = finite and any(node.operation.multiplies for node in network.nodes)
    grams = GramNoises(network.nodes) if attends else None
    for node in network.nodes:
        known = None if whole is not None or node.shares else _recalled(node, streams, recalled)
        found, step = _behind(node, streams, wholes) if known is None else known
        if known is None and whole is None and node.operation.arity == 1 and recallable(streams[node.inputs[0]]):
            recalled[type(node.operation)] = Recalled(node.operation, streams[node.inputs[0]], found, step)
        if finite:
            before = [(streams[name], lengths[name]) for name in reads(node)]
            if ends_lengths(node.operation):
                norms[node.name] = norm = _norm(node, *before[0], found, grams)
                found, step = norm.behind(), norm.step(step)
            lengths[node.name], step = length_behind(node, before, found), followed(node.operation, step)
        if grams is not None and node.name not in norms:
            grams.follow(node, tuple(streams[name] for name in node.inputs), found)
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
    if grams is not None:
        for name, common in common_departures(network.nodes, streams, grams).items():
            streams[name] = streams[name]._replace(common=common)
    return Compiled(network.nodes, streams, tuple(steps), wholes, lengths, norms)


def _norm(node: Node, stream: Stream, length: Length, found: Stream, grams: GramNoises | None) -> Norm:
    """With what it makes of differences between positions."""
    norm = Norm(node.operation, stream, length, found)
    return norm if grams is None else norm._replace(grown=grams.normed(node, norm))


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
    if node.shares and not isinstance(
        node.operation, Embedding
    ):  # what reads other tokens of a table meets it behind weights
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
        found = found.drawn_at(node.shares or node.name)
    return found, step


def of_each(pairs: np.ndarray) -> np.ndarray:
    """Of all pairs of samples those of each with itself."""
    own = np.arange(len(pairs))
    return pairs[own, own]


def reads(node: Node) -> tuple[str, ...]:
    """The signals that a node's rules are given; a tensor beside the signal asks the input how many samples there are."""
    return node.inputs or (INPUT,)


def _worst(variance: np.ndarray) -> str:
    bad = variance[~(np.isfinite(variance) & (variance > 0))]
    return f"{bad.flat[0]:g}" if bad.size else "that is not finite"
