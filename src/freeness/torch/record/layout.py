"""Which axes of a tensor hold samples, channels and positions, followed through views and permutations.

An axis of a tensor is a product of atoms: a range of one canonical axis with its stride there. Channels 6 seen as heads (2, 3)
are the atoms of sizes 2 and 3 with strides 3 and 1. Two tensors with the same atoms are laid out alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from freeness.torch.operations.kind import Unread

Axis = Literal["samples", "channels", "positions", "unknown"]
_ORDER: tuple[Axis, ...] = ("samples", "channels", "positions", "unknown")


@dataclass(frozen=True)
class AxisPart:
    """``size`` steps of width ``stride`` along a canonical axis."""

    axis: Axis
    size: int
    stride: int = 1

    def split(self, outer: int) -> tuple[AxisPart, AxisPart]:
        """The first ``outer`` of the two factors, and the rest."""
        inner = self.size // outer
        return AxisPart(self.axis, outer, self.stride * inner), AxisPart(self.axis, inner, self.stride)


Dims = tuple[tuple[AxisPart, ...], ...]


def whole(axis: Axis, size: int) -> tuple[AxisPart, ...]:
    """All of a canonical axis; nothing where it has one entry, unless samples are counted.

    Example:
        >>> whole("channels", 4), whole("positions", 1)
        ((AxisPart(axis='channels', size=4, stride=1),), ())
    """
    return (AxisPart(axis, size),) if size > 1 or axis == "samples" else ()


def size_of(atoms: Iterable[AxisPart]) -> int:
    """The number of entries."""
    return math.prod(atom.size for atom in atoms)


def of_axis(dims: Dims, axis: Axis) -> tuple[AxisPart, ...]:
    """All atoms of a canonical axis in the order of the tensor's axes, neighbours joined."""
    return joined([atom for atoms in dims for atom in atoms if atom.axis == axis])


def holds(atoms: Iterable[AxisPart], axis: Axis) -> bool:
    """Whether some of the atoms belong to a canonical axis."""
    return any(atom.axis == axis for atom in atoms)


def joined(atoms: Sequence[AxisPart]) -> tuple[AxisPart, ...]:
    """Neighbours that continue each other as one."""
    found: list[AxisPart] = []
    for atom in atoms:
        last = found[-1] if found else None
        if last is not None and last.axis == atom.axis and last.stride == atom.size * atom.stride:
            found[-1] = AxisPart(atom.axis, last.size * atom.size, atom.stride)
        else:
            found.append(atom)
    return tuple(found)


def unknown(shape: Sequence[int], batch: int | None) -> tuple[Dims, int]:
    """The layout of a tensor of which only the samples' axis is known, and how many entries a sample has.

    Example:
        >>> unknown((2, 3, 4), 2)[1]
        12
    """
    first = next((axis for axis, size in enumerate(shape) if size == batch), None)
    total = math.prod(size for axis, size in enumerate(shape) if axis != first)
    dims, left = [], total
    for axis, size in enumerate(shape):
        if axis == first:
            dims.append(whole("samples", size))
        else:
            left //= max(size, 1)
            dims.append((AxisPart("unknown", size, left),) if size > 1 else ())
    return tuple(dims), total


def reshaped(dims: Dims, sizes: Sequence[int]) -> Dims:
    """The layout behind a view of other sizes.

    Example:
        >>> image = (whole("samples", 1), whole("channels", 3), (AxisPart("positions", 4, 4),), (AxisPart("positions", 4),))
        >>> reshaped(image, (1, 3, 16))[2]
        (AxisPart(axis='positions', size=16, stride=1),)
    """
    waiting = [atom for atoms in dims for atom in atoms]
    found: list[tuple[AxisPart, ...]] = []
    for size in sizes:
        taken: list[AxisPart] = []
        while size > 1 or (waiting and waiting[0].size == 1 and not taken):
            if not waiting:
                raise Unread("it repeats entries")
            atom = waiting.pop(0)
            if size % atom.size == 0:
                taken.append(atom)
                size //= atom.size
            elif atom.size % size == 0 and atom.axis != "samples":
                outer, inner = atom.split(size)
                taken.append(outer)
                waiting.insert(0, inner)
                size = 1
            else:
                raise Unread("it cuts samples, channels and positions anew")
        found.append(joined(taken))
    if waiting and size_of(waiting) > 1:
        raise Unread("it leaves out entries")
    if waiting and found:
        found[-1] = (*found[-1], *waiting)
    return tuple(found)


@dataclass(eq=False)
class Typing:
    """What the entries of a sample are: ``channels`` and ``positions``, counted in rows; None until a layer says it.

    ``pieces`` say where the entries of unknown kind, of which there are ``size``, came to stand.
    """

    size: int = 0
    channels: int | None = None
    positions: tuple[int, ...] = ()
    pieces: tuple[tuple[AxisPart, AxisPart], ...] = ()

    @property
    def count(self) -> int:
        """The number of positions."""
        return math.prod(self.positions)

    def settle(self, dims: Dims, channel: Iterable[int]) -> None:
        """Say which axes of a tensor are channels, the others being positions."""
        channel = set(channel)
        kinds: tuple[Axis, Axis] = ("positions", "channels")
        found: list[tuple[AxisPart, Axis]] = [
            (atom, kinds[axis in channel])
            for axis, atoms in enumerate(dims)
            for atom in atoms
            if atom.axis == "unknown"
        ]
        if size_of(atom for atom, _ in found) != self.size:
            raise Unread("it shows a part of a signal whose channels are not known")
        found.sort(key=lambda each: each[0].stride)
        strides: dict[Axis, int] = {"channels": 1, "positions": 1}
        pieces = []
        for atom, axis in found:
            pieces.append((atom, AxisPart(axis, atom.size, strides[axis])))
            strides[axis] *= atom.size
        self.pieces, self.channels = tuple(pieces[::-1]), strides["channels"]
        samples = {axis for axis, atoms in enumerate(dims) if holds(atoms, "samples")}
        rest = [axis for axis in range(len(dims)) if axis not in channel and axis not in samples]
        self.positions = tuple(size_of(dims[axis]) for axis in rest)

    def resolved(self, dims: Dims) -> Dims:
        """A layout with channels and positions in the place of unknown entries.

        Raises:
            Unread: an axis joins a part of the channels with positions.
        """
        if self.channels is None or not any(holds(atoms, "unknown") for atoms in dims):
            return dims
        return tuple(joined([part for atom in atoms for part in self._parts(atom)]) for atoms in dims)

    def canonical(self, value: Tensor, dims: Dims) -> Tensor:
        """A tensor of a layout as (samples, channels, *positions).

        Example:
            >>> import torch
            >>> tokens = (whole("samples", 1), whole("positions", 2), whole("channels", 3))
            >>> Typing(channels=3, positions=(2,)).canonical(torch.ones(1, 2, 3), tokens).shape
            torch.Size([1, 3, 2])
        """
        atoms = [atom for each in self.resolved(dims) for atom in each]
        sizes = [-1 if atom.axis == "samples" else atom.size for atom in atoms]
        order = sorted(range(len(atoms)), key=lambda i: (_ORDER.index(atoms[i].axis), -atoms[i].stride))
        samples = -1 if any(atom.axis == "samples" for atom in atoms) else 1
        channels = self.size if self.channels is None else self.channels
        return value.reshape(sizes).permute(order).reshape(samples, channels, *self.positions)

    def _parts(self, atom: AxisPart) -> list[AxisPart]:
        if atom.axis != "unknown":
            return [atom]
        found = []
        low, high = atom.stride, atom.stride * atom.size
        for piece, meaning in self.pieces:
            first, last = max(low, piece.stride), min(high, piece.stride * piece.size)
            if first >= last:
                continue
            if last % first or first % piece.stride:
                raise Unread("it cuts samples, channels and positions anew")
            found.append(AxisPart(meaning.axis, last // first, meaning.stride * (first // piece.stride)))
        return found
