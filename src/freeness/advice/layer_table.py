"""What every layer of a model does at the start, measured in one forward and one backward pass; where the fault is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

_SCATTERS = (
    6.0  # by which a layer may depart from theory: scatters are a first order in 1/width, and the tails are heavier
)


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
    absolute scale of a normalisation, None elsewhere. ``trained``: whether any of its weights is. ``signal_predicted`` and
    ``gradient_predicted``: the same of wide random layers, None without a theory. One network's gradient departs from that by
    about the factor 1 ± ``scatter``, its signal by 1 ± ``signal_scatter``. ``begins``: what it reads has
    passed no weights, as in front of an encoder and of a decoder.
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
    signal_predicted: float | None = None
    gradient_predicted: float | None = None
    scatter: float | None = None
    signal_scatter: float | None = None
    begins: bool = False

    @property
    def departs(self) -> tuple[str, ...]:
        """Which of "signal" and "gradient" lie farther from theory than six scatters.

        Example:
            >>> ModuleRow("fc", "Linear", 9.0, 0.0, 1.0, 1.0, 8, 1, True, (), None, 1.0, 1.1, 0.1, 0.1).departs
            ('signal',)
        """
        known = (
            ("signal", self.signal, self.signal_predicted, self.signal_scatter),
            ("gradient", self.gradient, self.gradient_predicted, self.scatter),
        )
        return tuple(name for name, seen, told, scatter in known if _far(seen, told, scatter))


def _far(seen: float | None, told: float | None, scatter: float | None) -> bool:
    """Products of many layers are about log-normal: around a mean that is told, their logarithm is lower by half its variance."""
    if seen is None or told is None or scatter is None or not told > 0:
        return False
    return abs(math.log(max(seen, 1e-300) / told) + scatter**2 / 2) > _SCATTERS * scatter


@dataclass(frozen=True)
class ActivationRow:
    """An activation: the share of entries whose slope is below a tenth, and of neurons whose slope is 0 on all samples.

    ``neurons``: how many it has; None where that is not known.
    """

    name: str
    kind: str
    saturated: float
    dead: float
    neurons: int | None = None


@dataclass(frozen=True)
class SumRow:
    """A sum of two signals: root mean squares of the later (branch) over the earlier one (skip), and of the tokens behind.

    ``cosine``: mean cosine between different tokens of one sample, None where there are none. ``branch``: root mean square of the
    branch by itself.
    """

    name: str
    branch_over_skip: float
    cosine: float | None
    branch: float = 0.0


@dataclass(frozen=True)
class AttentionRow:
    """Attention weights: mean entropy of a row over its largest possible one, and effective rank of A over the tokens."""

    name: str
    entropy: float
    rank: float


@dataclass(frozen=True)
class LayerTable(Sequence[ModuleRow]):
    """The rows in the order of the forward pass, the loss, and the first place where a number is not finite.

    ``around``: what theory took from the model's own forward pass, where that of wide random layers does not cover it; then it
    knows gradients alone. ``refused``: why there is no theory of these rows, "" where there is or nobody asked. A sequence of its
    rows; it has none, and no loss, where the model could not be watched.

    Example:
        >>> table = LayerTable(1.0, (ModuleRow("fc", "Linear", 1.0, 0.0, 0.1, 0.1, 8, 1, True),))
        >>> len(table), table[0].signal, [row.name for row in table], bool(LayerTable())
        (1, 1.0, ['fc'], False)
    """

    loss: float | None = None
    modules: tuple[ModuleRow, ...] = ()
    activations: tuple[ActivationRow, ...] = ()
    sums: tuple[SumRow, ...] = ()
    attention: tuple[AttentionRow, ...] = ()
    not_finite: str | None = None
    around: str = ""
    refused: str = ""

    def __len__(self) -> int:
        return len(self.modules)

    @overload
    def __getitem__(self, index: int) -> ModuleRow: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[ModuleRow, ...]: ...

    def __getitem__(self, index: int | slice) -> ModuleRow | tuple[ModuleRow, ...]:
        return self.modules[index]

    @property
    def departure(self) -> str:
        """The layer where signals first depart from theory by more than chance, or gradients do, in one sentence; "" for none."""
        apart = [row for row in self.modules if row.departs]
        if not apart:
            return ""
        more = f", and so do {len(apart) - 1} more layers" if len(apart) > 1 else ""
        row = next((row for row in apart if "signal" in row.departs), apart[-1])  # gradients meet the last one first
        what = row.departs[0]
        if what == "signal":
            seen, told, scatter = row.signal, row.signal_predicted, row.signal_scatter
        else:
            seen, told, scatter = row.gradient, row.gradient_predicted, row.scatter
        return (
            f"The {what} of layer {row.name!r} departs from theory{more}: {seen:.3g} where wide random layers have {told:.3g}, "
            f"and one network scatters by about {scatter:.0%}. Its weights, or those beside it, are not random."
        )

    @property
    def assumption(self) -> str:
        """What realised predictions rest on, in one sentence with how far one network scatters; "" for theory of wide layers."""
        scatters = [
            row.scatter for row in self.modules if row.gradient_predicted is not None and row.scatter is not None
        ]
        if not self.around or not scatters:
            return ""
        most = f"up to {max(scatters):.0%}" if max(scatters) >= 0.005 else "less than 1%"
        return f"Realised theory of gradients: around {self.around}; one network scatters by {most}."

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
