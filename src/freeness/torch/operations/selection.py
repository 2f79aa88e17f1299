"""Parts of a signal: chunks of packed projections, a class token, the last position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from torch import Tensor

from freeness.network import Selection
from freeness.torch.operations.kind import Kind, Theory, Unread
from freeness.torch.record.by_parts import counted_by_parts
from freeness.torch.record.layout import AxisPart, Dims, Typing, joined, size_of
from freeness.torch.record.walk import Asked, Several, Signal, Value

KIND = Kind(
    "selection",
    (
        "select",
        "slice",
        "index",
        "gather",
        "chunk",
        "split",
        "split_with_sizes",
        "index_select",
        "narrow",
        "unbind",
        "tensor_split",
    ),
    "spectra",
    "of positions that follow one another; of channels, in kernels only",
)
CHANNELS: tuple[Theory, str] = ("kernels", "of channels: spectra need weights of its own for each part")


@dataclass(frozen=True, eq=False)
class Narrowed:
    """``start``:``stop`` of an axis; the axis itself is left out where ``single``."""

    axis: int
    start: int
    stop: int
    single: bool

    def __call__(self, x: Tensor) -> Tensor:
        """The part."""
        found = x.narrow(self.axis, self.start, self.stop - self.start)
        return found.squeeze(self.axis) if self.single else found


def read(asked: Asked) -> Value:
    """A part of the channels or of the positions, or several of them."""
    signal = asked.signal("self")
    arguments, count = asked.arguments, len(signal.dims)
    if asked.name in ("index", "gather", "index_select"):
        raise Unread
    axis = arguments["dim"] % count
    size = signal.shape[axis]
    if asked.name == "select":
        index = arguments["index"] % size
        signal = _by_parts(asked, signal, axis, size)
        return _noted(asked, lambda: selected(asked, signal, axis, index, index + 1, single=True))
    if asked.name == "slice":
        if arguments["step"] != 1:
            raise Unread("of every other entry")
        start, stop, _ = slice(arguments["start"], arguments["end"]).indices(size)
        return (
            signal if (start, stop) == (0, size) else _noted(asked, lambda: selected(asked, signal, axis, start, stop))
        )
    if asked.name == "narrow":
        start = arguments["start"] % size
        return _noted(asked, lambda: selected(asked, signal, axis, start, start + arguments["length"]))
    sizes = [part.shape[axis] if asked.name != "unbind" else 1 for part in asked.node.meta["val"]]
    ranges = list(pairwise(accumulate(sizes, initial=0)))
    if len(set(sizes)) == 1:
        signal = _by_parts(asked, signal, axis, len(sizes))
    of = _check(signal, axis).axis
    asked.note(*_theory(of))
    single = asked.name == "unbind"
    return Several(lambda item: selected(asked, signal, axis, *ranges[item], single=single))


def _noted(asked: Asked, made: Callable[[], Signal]) -> Signal:
    found = made()
    asked.note(
        *_theory(
            "positions" if found.place.typing.channels == asked.signal("self").place.typing.channels else "channels"
        )
    )
    return found


def _by_parts(asked: Asked, signal: Signal, axis: int, parts: int) -> Signal:
    """The signal, of packed projections counted by parts first."""
    atoms, channels = signal.layout[axis], signal.place.typing.channels
    apart = len(atoms) == 1 and atoms[0].axis == "channels" and atoms[0].size * atoms[0].stride != channels
    return counted_by_parts(asked.walk, signal, axis, parts) if apart and channels is not None else signal


def _theory(of: str) -> tuple[Theory, str]:
    return CHANNELS if of == "channels" else (KIND.theory, "")


def _check(signal: Signal, axis: int) -> AxisPart:
    """The first atom that an axis is: the outermost of all channels, or of all positions."""
    atoms, typing = signal.layout[axis], signal.place.typing
    if typing.channels is None or len({atom.axis for atom in atoms}) != 1 or atoms[0].axis == "samples":
        raise Unread("of samples, or of channels and positions together")
    total = typing.channels if atoms[0].axis == "channels" else typing.count
    if atoms[0].size * atoms[0].stride != total:
        raise Unread("of entries that do not follow one another")
    return atoms[0]


def selected(asked: Asked, signal: Signal, axis: int, start: int, stop: int, single: bool = False) -> Signal:
    """The step of ``start``:``stop`` of an axis."""
    walk = asked.walk
    signal = walk.close(signal)
    walk.typed(signal)
    atom, typing = _check(signal, axis), signal.place.typing
    rest = signal.layout[axis][1:]
    inner = size_of(rest)
    if start % inner or stop % inner:
        raise Unread("of entries that do not follow one another")
    low, high = start // inner * atom.stride, stop // inner * atom.stride
    name, of = asked.label, atom.axis
    assert of in ("channels", "positions")
    vector = of == "positions" and high - low == 1 and single
    kept = _kept(typing, of, start // inner, stop // inner, atom, vector)
    made = walk.add(
        name,
        [signal],
        Narrowed(axis, start, stop, single),
        lambda: Selection(of, low, high, vector, name),
        kept,
        _cut(signal.layout, axis, (AxisPart(of, (stop - start) // inner, atom.stride), *rest), single),
    )
    return made


def _kept(typing: Typing, of: str, start: int, stop: int, atom: AxisPart, vector: bool) -> Typing:
    assert typing.channels is not None
    if of == "channels":
        return Typing(channels=(stop - start) * atom.stride, positions=typing.positions)
    if vector:
        return Typing(channels=typing.channels)
    inner = 1
    for count, size in enumerate(reversed(typing.positions)):
        if inner == atom.stride:
            rest = typing.positions[len(typing.positions) - count :]
            return Typing(channels=typing.channels, positions=(stop - start, *rest))
        inner *= size
    return Typing(channels=typing.channels, positions=((stop - start) * atom.stride,))


def _cut(dims: Dims, axis: int, left: tuple[AxisPart, ...], single: bool) -> Dims:
    atoms = joined([atom for atom in left if atom.size > 1])
    return dims[:axis] + (() if single else (atoms,)) + dims[axis + 1 :]


READERS = ((KIND, read),)
