"""What initialising did to a model: a row a layer, and one a tensor, drawn or left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from freeness.shown import Printed, Shown


@dataclass(frozen=True)
class InitializedLayer:
    """What one layer got.

    Module path, ensemble ("unchanged" where only a branch scale was written, "activation" for a swapped one), σ_w as used (gain
    included, branch scale not), gain, σ_b (0 without bias), kind of module, the factor of a residual branch, and a note.
    """

    name: str
    ensemble: str
    sigma_w: float
    gain: float
    sigma_b: float
    kind: str = "Linear"
    branch_scale: float = 1.0
    note: str = ""


@dataclass(frozen=True)
class InitializedTensor:
    """What became of one tensor.

    ``name``: the first of its names in ``state_dict``, ``also``: the others, where it is shared. ``drawn``: whether it was
    written; ``how``: in a formula, "" where it was left; ``reason``: why so.
    """

    name: str
    shape: tuple[int, ...]
    drawn: bool
    how: str
    reason: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class InitializedModel(Printed, Shown, Sequence[InitializedLayer]):
    """What every layer and every tensor of a model got; the record itself is the sequence of its layers.

    ``tensors``: every parameter and buffer once. ``start``: the ensemble, "design", or the recipe's name; ``source``: where the
    recipe was published.
    """

    layers: tuple[InitializedLayer, ...]
    tensors: tuple[InitializedTensor, ...]
    start: str
    source: str = ""

    @property
    def drawn(self) -> tuple[InitializedTensor, ...]:
        """The tensors that were written."""
        return tuple(row for row in self.tensors if row.drawn)

    @property
    def left(self) -> tuple[InitializedTensor, ...]:
        """The tensors that are as they were."""
        return tuple(row for row in self.tensors if not row.drawn)

    def tensor(self, name: str) -> InitializedTensor:
        """The row of a tensor, by any of its names.

        Raises:
            KeyError: the model has no such tensor.
        """
        for row in self.tensors:
            if name in (row.name, *row.also):
                return row
        raise KeyError(name)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[InitializedLayer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> InitializedLayer: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[InitializedLayer, ...]: ...
    def __getitem__(self, index: int | slice) -> InitializedLayer | tuple[InitializedLayer, ...]:
        return self.layers[index]
