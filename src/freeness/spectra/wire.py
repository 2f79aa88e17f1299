"""A signal along the wires of a network: its value, and how it follows from nodes and from what random matrices write."""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from freeness.errors import InputError


@dataclass(frozen=True, eq=False)
class Wire:
    """A signal (C, n, *positions), and how it follows from nodes and from what random matrices write.

    Q positions of all samples. ``channels``: how many there are, of which C may stand for more. ``parents``: (node, map
    (1 or C, Q, Q')). ``written``: (matrix, map (1 or C, Q, Q')). ``factor``: of a normalisation, see
    :class:`~freeness.operators.Port`; ``kept``: share of channels that it keeps. ``heads``: (attention, map (Q, Q')).
    ``joined``: signals whose channels lie behind one another here; each follows from its own.
    """

    value: np.ndarray
    channels: int
    flat: bool = False
    parents: tuple[tuple[int, np.ndarray], ...] = ()
    written: tuple[tuple[int, np.ndarray], ...] = ()
    factor: np.ndarray | None = None
    kept: float = 1.0
    heads: tuple[int, np.ndarray] | None = None
    joined: tuple[Wire, ...] = ()

    @property
    def positions(self) -> int:
        """Q."""
        return self.value[0].size

    @property
    def plain(self) -> bool:
        """Whether it is read from one place, without a node of its own."""
        return self.heads is not None or (len(self.parents) == 1 and not self.written) or self.constant

    @property
    def constant(self) -> bool:
        """Whether it depends on no input."""
        return not (self.parents or self.written or self.heads or self.joined)

    def mapped(self, map_: np.ndarray, value: np.ndarray, flat: bool) -> Wire:
        """Behind a given map, (k, Q', Q) or a diagonal (k, 1 or Q)."""
        through = map_ if map_.ndim == 3 else np.broadcast_to(map_, (len(map_), self.positions))[:, :, None]

        def behind(before: np.ndarray) -> np.ndarray:
            return through @ before if map_.ndim == 3 else through * before

        heads = None if self.heads is None else (self.heads[0], _alike(behind(self.heads[1][None])))
        return replace(
            self,
            value=value,
            flat=self.flat or flat,
            parents=tuple((node, behind(before)) for node, before in self.parents),
            written=tuple((matrix, behind(before)) for matrix, before in self.written),
            heads=heads,
        )


def spread_out(wires: tuple[Wire, ...]) -> tuple[Wire, ...]:
    """Signals that meet, those of one channel or one position at all of the others'.

    Example:
        >>> scale, signal = Wire(np.ones((4, 1, 1)), 4), Wire(np.ones((4, 1, 3)), 4)
        >>> [wire.value.shape for wire in spread_out((scale, signal))]
        [(4, 1, 3), (4, 1, 3)]
    """
    shape = max((wire.value.shape[1:] for wire in wires), key=np.prod)
    channels = max(len(wire.value) for wire in wires)
    found: list[Wire] = []
    for wire in wires:
        if wire.value.shape[1:] != shape and wire.value[0, 0].size == 1:
            value = np.broadcast_to(
                wire.value.reshape(*wire.value.shape[:2], *(1 for _ in shape[1:])), (len(wire.value), *shape)
            )
            every = np.kron(np.eye(shape[0]), np.ones((value[0, 0].size, 1)))
            wire = wire.mapped(every[None], value, False)
        if wire.constant and len(wire.value) == 1:
            wire = replace(wire, value=np.broadcast_to(wire.value, (channels, *wire.value.shape[1:])))
        found.append(wire)
    return tuple(found)


def _alike(map_: np.ndarray) -> np.ndarray:
    """The one map of all channels."""
    if len(map_) > 1:
        raise InputError(
            "expected weights behind attention, got an operation that acts on single channels; measure the spectrum instead."
        )
    return map_[0]
