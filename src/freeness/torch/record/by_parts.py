"""Queries, keys and values of each head behind one another in one packed projection: its outputs in another order.

The outputs of weights that are drawn alike may be counted in any order. So what a model takes as a part of every head's outputs
is one range of all outputs, where those are counted by parts first and by heads then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from freeness.network import Weights
from freeness.torch.operations.kind import Unread
from freeness.torch.record.layout import AxisPart, Dims, joined
from freeness.torch.record.steps import Step
from freeness.torch.record.walk import Signal, Walk


def counted_by_parts(walk: Walk, signal: Signal, axis: int, parts: int) -> Signal:
    """The signal with the outputs of its weights counted by the parts of an axis first."""
    atoms, place = signal.layout[axis], signal.place
    number = next((k for k, step in enumerate(walk.steps) if step.name == place.name), None)
    step = None if number is None else walk.steps[number]
    given = step is not None and signal.slot == 0 and not (place.calls or place.settled or place.closed)
    read = any(one.name == place.name for each in walk.steps for one in each.reads)
    if step is None or number is None or not given or read or len(atoms) != 1 or atoms[0].axis != "channels":
        raise Unread("of entries that do not follow one another")
    if atoms[0].size % parts or not _drawn_alike(step):
        raise Unread("of entries that do not follow one another")
    channels = place.typing.channels
    assert channels is not None
    renumbered = _by_parts(atoms[0], parts, channels)
    walk.steps[number] = replace(step, dims=renumbered(step.dims))
    place.dims = renumbered(place.dims)
    for node, value in walk.values.items():
        if isinstance(value, Signal) and value.place is place:
            walk.values[node] = replace(value, dims=renumbered(value.dims))
    return replace(signal, dims=renumbered(signal.dims))


def _drawn_alike(step: Step) -> bool:
    """Whether a step has weights of whose outputs one is like another."""
    record = None if step.record is None else step.record()
    return isinstance(record, Weights) and record.sizes[1] == step.typing.channels and getattr(record, "groups", 1) == 1


def _by_parts(cut: AxisPart, parts: int, channels: int) -> Callable[[Dims], Dims]:
    """What the atoms of channels become."""
    low, high = cut.size // parts * cut.stride, cut.size * cut.stride

    def renumbered(dims: Dims) -> Dims:
        return tuple(joined([piece for atom in atoms for piece in _moved(atom)]) for atoms in dims)

    def _moved(atom: AxisPart) -> list[AxisPart]:
        if atom.axis != "channels":
            return [atom]
        found: list[AxisPart] = []
        first, last = atom.stride, atom.stride * atom.size
        for bottom, top in ((high, max(last, high)), (low, high), (1, low)):
            start, stop = max(first, bottom), min(last, top)
            if start >= stop:
                continue
            if stop % start or start % bottom:
                raise Unread("of entries that do not follow one another")
            stride = start if bottom == 1 else start // low * (channels // parts) if bottom == low else start // parts
            found.append(AxisPart("channels", stop // start, stride))
        return found

    return renumbered
