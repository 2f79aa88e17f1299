"""From the table of layers to one sentence: where the fault is and what mends it, or that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from scipy.special import bdtrc  # the chance of more of so many

from freeness.advice.layer_table import ActivationRow, LayerTable, ModuleRow

_LOST = 1e-4  # of a mean square from end to end: a hundredth in amplitude
_STEP = 30.0  # by which a single layer changes a mean square, to be called the place
_DEAD, _SATURATED = 0.5, 0.9
_RARE = 1e-3  # chance below which so many dead neurons are no accident
_MOSTLY = 0.9  # dead neurons beyond which a layer is lost; half are of any layer whose inputs hardly differ
_SHARP, _RANK = 0.05, 1.5  # entropy of attention, and its effective rank in tokens
_ALIKE, _APART = 0.98, 0.5  # cosine between tokens
_NONE = "No single layer is at fault."
_LOUD = 5.0  # root mean square of a branch over its skip connection


@dataclass(frozen=True)
class Fault:
    """Where a model is at fault (None: nowhere), in one sentence with the remedy.

    ``mild``: the rest of the model learns all the same.
    """

    place: str | None
    sentence: str
    mild: bool = False

    @property
    def found(self) -> bool:
        """Whether there is one at all."""
        return self.sentence != _NONE

    @property
    def grave(self) -> bool:
        """Whether the model trains badly of it."""
        return self.found and not self.mild


def fault_of(table: LayerTable) -> Fault:
    """The first fault that a table shows, grave ones before mild ones, and of these the gravest kind first.

    Looked for, in this order: numbers that are not finite, trained weights without a gradient, dead or saturated activations,
    signals or gradients that vanish or explode from end to end, tokens that become alike, attention that sees one token, and
    branches that drown their skip connection.

    Example:
        >>> fault_of(LayerTable(1.0, (ModuleRow("fc", "Linear", 1.0, 0.0, 0.1, 0.1, 8, 1, True),))).sentence
        'No single layer is at fault.'
    """
    found = (fault for look in _LOOKS for fault in look(table))
    mild = None
    for fault in found:
        if fault.grave:
            return fault
        mild = mild or fault
    return mild or Fault(None, _NONE)


def _not_finite(table: LayerTable) -> Iterator[Fault]:
    if table.not_finite is not None:
        yield Fault(
            table.not_finite,
            f"{_named(table.not_finite)} returns NaN or infinity; scale the inputs or the weights in front of it down.",
        )


def _dead(table: LayerTable) -> Iterator[Fault]:
    for row in table.activations:
        if row.dead > _DEAD and not _is_chance(row):
            yield Fault(
                row.name,
                f"{row.dead:.0%} of the neurons of the {row.kind} in {_named(row.name)} are dead: their slope is 0 on every "
                "sample. Start with smaller or centred biases in front of it, or take leaky_relu or gelu.",
                mild=row.dead <= _MOSTLY,
            )
    for row in table.activations:
        if row.saturated > _SATURATED and row.kind not in _HALF:
            yield Fault(
                row.name,
                f"{row.saturated:.0%} of the {row.kind} in {_named(row.name)} is saturated; divide the weights in front of it.",
            )


def _is_chance(row: ActivationRow) -> bool:
    """Whether so many are dead once in a thousand layers, where each is dead with chance a half, as if its inputs hardly differ.

    Where all are, nothing passes, whatever made it so.

    Example:
        >>> told = ((0.75, 4), (0.75, 56), (1.0, 4))
        >>> [_is_chance(ActivationRow("", "relu", 1.0, dead, count)) for dead, count in told]
        [True, False, False]
    """
    if row.neurons is None or row.dead == 1:
        return False
    return bool(bdtrc(round(row.dead * row.neurons) - 1, row.neurons, 0.5) > _RARE)


_HALF = ("relu", "relu_", "relu6", "leaky_relu", "leaky_relu_")


def _without_gradient(table: LayerTable) -> Iterator[Fault]:
    silent = [row for row in table.modules if row.trained and row.gradient == 0 and row.tensors and not _cancels(row)]
    if silent and len(silent) == sum(row.trained for row in table.modules):
        yield Fault(silent[-1].name, "No trained weight has a gradient; check that the loss depends on the outputs.")
        return
    later = waiting(table)
    rows = [row for row in table.modules if row.trained and row.tensors and row.uses and row.name not in later]
    silent = [row for row in silent if row in rows]  # what did not run is no fault of what did
    if not silent:
        return
    # backward, the last layer without gradient is where it stops
    place, count = silent[-1].name, f"({len(silent)} of {len(table.modules)} modules do not)"
    if rows[0] is silent[0]:
        yield Fault(
            place,
            f"The weights of {_named(place)} get no gradient {count}; check that its output is used and nothing behind it starts "
            "at zero or is detached.",
        )
        return
    why = "what comes back to its uses cancels" if silent[-1].output_gradient else "its output does not reach the loss"
    yield Fault(place, f"The weights of {_named(place)} get no gradient {count}: {why}. All else learns.", mild=True)


def _cancels(row: ModuleRow) -> bool:
    """Whether it has biases alone, whose gradients are sums over samples, and gradients come to its output."""
    biases = all(one.name.rpartition(".")[2].startswith("bias") for one in row.tensors)
    return biases and bool(row.output_gradient)


def waiting(table: LayerTable) -> set[str]:
    """Modules in front of a weight that starts at 0, as branches may: they have a gradient from the second step on."""
    opening = max((place for place, row in enumerate(table.modules) if _opens(row)), default=0)
    return {row.name for row in table.modules[:opening] if row.gradient == 0}


def _opens(row: ModuleRow) -> bool:
    """Whether its weight stands at 0 and leaves it with the first step."""
    weight = max(row.tensors, key=lambda one: one.size, default=None)  # no bias, which stands behind it
    return weight is not None and weight.weight == 0 and weight.gradient > 0


def _end_to_end(table: LayerTable) -> Iterator[Fault]:
    later = waiting(table)
    for what in ("signal", "gradient"):
        backward = what == "gradient"
        rows = [row for row in table.modules if not (backward and row.name in later)]
        known = [_Size(row.name, value, row.begins) for row in rows if (value := _size(row, backward)) is not None]
        growth, apart = _growth(known, backward), ""
        if len(known) > 1 and growth is not None and growth < _LOST:
            known = known[:-1]  # a last layer that starts small, or at 0, is sound
            rest = _growth(known, backward)
            if rest is None or rest >= _LOST or rest > _STEP * growth:
                growth, apart = rest, ", the last layer left out"
        if growth is None or _LOST <= growth <= 1 / _LOST:
            continue
        verb = "vanishes" if growth < 1 else "explodes"
        way = "on its way back to the first layer" if backward else "from the first to the last layer"
        place, jump = _largest_step(known, growth < 1, backward)
        told = f", most of all at {_named(place)} (by {jump:.2g})" if place is not None else ", a little in every layer"
        remedy = (
            "start deep chains with freeness design, or add normalisation and skip connections"
            if place is None
            else "rescale the weights there"
        )
        yield Fault(
            place, f"The {what} {verb} {way}: its square changes by a factor of {growth:.3g}{apart}{told}; {remedy}."
        )


def _size(row: ModuleRow, backward: bool) -> float | None:
    if not backward:
        return row.signal
    return None if row.output_gradient is None else row.output_gradient * row.outputs


class _Size(NamedTuple):
    """Of what a module returns, or of the gradient there; ``begins``: no weights stand in front of the module."""

    name: str
    value: float
    begins: bool


def _growth(known: list[_Size], backward: bool) -> float | None:
    """From the first to the last, or back again."""
    if len(known) < 2:
        return None
    first, last = known[0].value, known[-1].value
    above, below = (first, last) if backward else (last, first)
    return above / below if below > 0 else None


def _largest_step(known: list[_Size], shrinks: bool, backward: bool) -> tuple[str | None, float]:
    """The module at which a mean square changes most, if one does so by far more than the others.

    Modules lie on one way until one begins a way of its own, as a decoder does that runs after an encoder. A gradient that is
    lost is lost in all modules in front on that way; those beside one another, as queries and values, need not be alike.
    """
    steps: list[tuple[float, str]] = []
    front = 0.0  # the largest in front, on the same way
    for earlier, later in pairwise(known):
        front = max(0.0 if earlier.begins else front, earlier.value)
        if later.begins:
            continue
        if backward:  # gradients pass the later one's weights
            before, after = later.value, front if shrinks else earlier.value
        else:
            before, after = earlier.value, later.value
        steps.append((after / before if before > 0 else 1.0, later.name))
    if not steps:
        return None, 1.0
    jump, name = min(steps) if shrinks else max(steps)
    return (name, jump) if (jump < 1 / _STEP if shrinks else jump > _STEP) else (None, jump)


def _collapse(table: LayerTable) -> Iterator[Fault]:
    known = [(row.name, row.cosine) for row in table.sums if row.cosine is not None]
    if len(known) > 1 and known[-1][1] > _ALIKE and known[0][1] < _APART:
        name = next(name for name, cosine in known if cosine > _ALIKE)
        yield Fault(
            name,
            f"The tokens become alike: their mean cosine is {known[0][1]:.2f} at the first sum and above {_ALIKE} from "
            f"{_named(name)} on. Scale the residual branches down, by 1/√(2·blocks) say, or put the normalisation first.",
        )


def _attention(table: LayerTable) -> Iterator[Fault]:
    for row in table.attention:
        if row.entropy < _SHARP:
            yield Fault(
                row.name,
                f"The attention in {_named(row.name)} sees nearly one token only (entropy {row.entropy:.0%} of its largest); "
                "scale queries and keys down, or normalise them.",
            )


def _branches(table: LayerTable) -> Iterator[Fault]:
    deep = [row for row in table.sums if row.branch_over_skip > _LOUD]
    if deep and len(table.sums) > 2:
        yield Fault(
            deep[0].name,
            f"The branch that is added in {_named(deep[0].name)} is {deep[0].branch_over_skip:.2g} times as large as its skip "
            "connection; scale the last weights of the branch down.",
        )


_LOOKS: tuple[Callable[[LayerTable], Iterator[Fault]], ...] = (
    _not_finite,
    _dead,
    _without_gradient,
    _end_to_end,
    _collapse,
    _attention,
    _branches,
)


def _named(name: str) -> str:
    return f"{name!r}" if name else "the forward of the model"
