"""What every layer of a model does at the start, measured in one forward and one backward pass; where the fault is."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TensorRow:
    """One trained tensor: the root mean square of its loss gradient over that of its entries."""

    name: str
    size: int
    weight: float
    gradient: float

    @property
    def ratio(self) -> float:
        """RMS of the gradient over RMS of the weights; infinite for weights that start at 0."""
        return self.gradient / self.weight if self.weight > 0 else math.inf


@dataclass(frozen=True)
class ModuleRow:
    """A module with weights of its own, by its name in ``named_modules``.

    ``signal`` and ``mean``: mean square and mean of its output; ``gradient``: sum of squares of the loss gradient of its trained
    weights, ``output_gradient``: mean square of that of its output. They are None where the module itself did not run, as where
    another one takes its weights. ``outputs``: entries of its output, of all the times (``uses``) that it ran. ``scale``: mean
    absolute scale of a normalisation, None elsewhere. ``trained``: whether any of its weights is.
    """

    name: str
    kind: str
    signal: float | None
    mean: float | None
    gradient: float
    output_gradient: float | None
    outputs: int
    uses: int
    trained: bool
    tensors: tuple[TensorRow, ...] = ()
    scale: float | None = None


@dataclass(frozen=True)
class ActivationRow:
    """An activation: the share of entries whose slope is below a tenth, and of neurons whose slope is 0 on all samples."""

    name: str
    kind: str
    saturated: float
    dead: float


@dataclass(frozen=True)
class SumRow:
    """A sum of two signals: root mean squares of the later (branch) over the earlier one (skip), and of the tokens behind.

    ``cosine``: mean cosine between different tokens of one sample, None where there are none.
    """

    name: str
    branch_over_skip: float
    cosine: float | None


@dataclass(frozen=True)
class AttentionRow:
    """Attention weights: mean entropy of a row over its largest possible one, and effective rank of A over the tokens."""

    name: str
    entropy: float
    rank: float


@dataclass(frozen=True)
class LayerTable:
    """All rows in the order of the forward pass, the loss, and the first place where a number is not finite."""

    loss: float
    modules: tuple[ModuleRow, ...]
    activations: tuple[ActivationRow, ...] = ()
    sums: tuple[SumRow, ...] = ()
    attention: tuple[AttentionRow, ...] = ()
    not_finite: str | None = None

    @property
    def signal_growth(self) -> float | None:
        """Mean square of the last module's output over that of the first's."""
        found = [row.signal for row in self.modules if row.signal is not None]
        return _ratio(found[-1], found[0]) if len(found) > 1 else None

    @property
    def gradient_growth(self) -> float | None:
        """Sum of squares of the loss gradient at the first module's output over that at the last's.

        Sums, as they are what orthogonal weights keep between layers of different sizes.
        """
        found = [row.output_gradient * row.outputs for row in self.modules if row.output_gradient is not None]
        return _ratio(found[0], found[-1]) if len(found) > 1 else None


def _ratio(above: float, below: float) -> float | None:
    return above / below if below > 0 else None
