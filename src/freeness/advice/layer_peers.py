"""A layer whose weights were drawn too large or too small, seen beside its peers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from freeness.advice.fault import Fault
from freeness.advice.layer_table import LayerTable

_T = TypeVar("_T")
_FEWEST = 4  # layers of one kind that say what is usual
# In gradient over weights. Six sound families lie within 10 of their median; GPT-2, which draws what ends a branch 1/√(2·blocks)
# as large, lies 96 from it with 48 blocks. Weights that are 10 times too large are 100 from it.
_APART = 100.0
_NEAREST = 4  # peers that say what is usual: a rule may depend on depth
_OF_ROLE, _OF_ALL = 4.0, 5.0  # times from peers of one role, and from all others where there are none
_FEWEST_DRAWN = 3
_SINES = 0.1  # relative, of the size of some hundred numbers that are drawn by that rule
_AS_OTHERS = 1.5  # times at most between draws by one rule


@dataclass(frozen=True)
class DrawnWeights:
    """One tensor of a module as it was drawn: its root mean square, and over how many inputs and outputs it goes.

    ``vector``: a gain or a scale, that is drawn by no rule but is a number. ``table``: of an embedding, whose rows are signals.
    """

    name: str
    tensor: str
    size: float
    inputs: int = 1
    outputs: int = 1
    vector: bool = False
    table: bool = False

    @property
    def role(self) -> str:
        """The name without its numbers: what is drawn by one rule."""
        return _role(f"{self.name}.{self.tensor}")

    @property
    def last(self) -> str:
        """The last part of the name, which layers of one use share in modules of several names."""
        return self.role.rpartition(".")[0].rpartition(".")[2]

    @property
    def sizes(self) -> tuple[float, ...]:
        """Logarithms of the size by the rules that are in use: a number, of inputs, of outputs, of both."""
        fans = (1, self.inputs, self.outputs, (self.inputs + self.outputs) / 2)
        return tuple(math.log(self.size) + 0.5 * math.log(fan) for fan in (fans[:1] if self.vector else fans))


def odd_weights(drawn: Sequence[DrawnWeights]) -> Fault | None:
    """The module whose weights are farthest from those of its peers, where that is beyond any rule in use; None where none is.

    Peers are those whose names differ in numbers alone. What has none is compared with all others. That all of one role start at
    zero, as ends of branches, is usual. So are zeros in one whose name ends alike, and a last layer that is zero or small.
    A first layer of sines is drawn by a rule of its own.
    A table is odd that is far above 1, the largest deviation in use, which is torch's own.

    Example:
        >>> drawn = [DrawnWeights(f"blocks.{k}.a", "weight", 20.0 if k == 1 else 1.0, 4, 4) for k in range(4)]
        >>> odd_weights(drawn).place, odd_weights(drawn[2:])
        ('blocks.1.a', None)
    """
    found: dict[str, float] = {}
    for vector in (False, True):
        kind = [one for one in drawn if one.vector == vector and not one.table and math.isfinite(one.size)]
        if len(kind) >= _FEWEST_DRAWN:
            last = kind[-1].name if not vector else None
            for one in kind:
                if one is drawn[0] and _is_of_sines(one):
                    continue
                apart = _apart(one, kind)
                if apart is not None and not (one.name == last and apart < 0):
                    found.setdefault(one.name, apart)
    found |= {one.name: math.log(one.size) for one in drawn if one.table and _OF_ALL < one.size < math.inf}
    name = max(found, key=lambda one: abs(found[one]), default=None)
    return None if name is None else Fault(name, _told(name, found[name]))


def _is_of_sines(one: DrawnWeights) -> bool:
    """Whether it is uniform between ±1/inputs, as the layer of a network of sines that reads coordinates.

    Source: Sitzmann et al., NeurIPS 2020, §3.2.

    Example:
        >>> [_is_of_sines(DrawnWeights("0", "weight", size, 2, 256)) for size in (0.2887, 0.408, 2.887)]
        [True, False, False]
    """
    return not one.vector and abs(one.size * one.inputs * 3**0.5 - 1) < _SINES


def _told(name: str, apart: float) -> str:
    if apart == -math.inf:
        return (
            f"The weights of {name!r} are all zero, unlike those of others; draw them, unless they start so on purpose."
        )
    much = (
        f"about {math.exp(apart):.2g} times as large as"
        if apart > 0
        else f"about {math.exp(-apart):.2g} times smaller than"
    )
    return f"The weights of {name!r} are {much} those of its peers; draw them anew, as the others."


def _apart(one: DrawnWeights, kind: Sequence[DrawnWeights]) -> float | None:
    """The logarithm of how many times the usual its size is; None where that is usual."""
    alike = [other for other in _by_distance(kind, kind.index(one)) if other.role == one.role and other is not one]
    nearest = [other for other in alike if other.size > 0][:_NEAREST]
    others = [other for other in kind if other.size > 0 and other.role != one.role]
    if one.size == 0:
        drawn = sum(other.size > 0 for other in alike)
        called = any(other.size == 0 and other.last == one.last for other in kind if other is not one)
        alone = 4 * (len(alike) - drawn) < drawn if alike else len(others) >= _FEWEST_DRAWN and not called
        return -math.inf if alone else None
    if len(nearest) < 2:
        apart = _nearest_rule(one, others, 2) if len(others) >= 2 else 0.0
        if nearest and abs(_nearest_rule(one, nearest)) < math.log(_OF_ROLE):
            return None
        return apart if abs(apart) > math.log(_OF_ALL) else None
    apart = _nearest_rule(one, nearest)
    return apart if abs(apart) > math.log(_OF_ROLE) else None


def _by_distance(rows: Sequence[_T], place: int) -> list[_T]:
    """The nearest first."""
    return [rows[k] for k in sorted(range(len(rows)), key=lambda k: abs(k - place))]


def _nearest_rule(one: DrawnWeights, others: Sequence[DrawnWeights], rules: int | None = None) -> float:
    """By the one of the first rules that says the least; outputs tell nothing of layers that play other parts.

    Where the others follow some of these rules, only those are asked: by another one a layer of another shape is near by chance.
    """
    told = list(zip(*(each.sizes[:rules] for each in (one, *others)), strict=True))
    kept = [row for row in told if max(row[1:]) - min(row[1:]) < math.log(_AS_OTHERS)]
    return min((mine - median(theirs) for mine, *theirs in kept or told), key=abs)


def odd_branch(table: LayerTable) -> Fault | None:
    """A residual branch that is far louder than those of other blocks, beside its skip connection and by itself, or None.

    Sums inside one module, as of the gates of a recurrent cell, are no peers of each other.

    Example:
        >>> from freeness.advice import SumRow
        >>> sums = [SumRow(f"blocks.{k}", 3.0 if k == 2 else 0.2, None, 3.0 if k == 2 else 0.2) for k in range(5)]
        >>> odd_branch(LayerTable(1.0, sums=tuple(sums))).place
        'blocks.2'
    """
    found: dict[str, float] = {}
    for place, row in enumerate(table.sums):
        ordered = [other for other in _by_distance(table.sums, place) if other.name != row.name]
        nearest = [other for other in ordered if _role(other.name) == _role(row.name)][:_NEAREST]
        pairs = [(row.branch_over_skip, [other.branch_over_skip for other in nearest])]
        pairs.append((row.branch, [other.branch for other in nearest]))
        if len(nearest) >= _FEWEST_DRAWN:
            times = min(mine / usual if (usual := median(theirs)) > 0 else 1.0 for mine, theirs in pairs)
            if times > _OF_ROLE:
                found[row.name] = times
    name = max(found, key=lambda one: found[one], default=None)
    if name is None:
        return None
    much = f"about {found[name]:.2g} times as loud as those of its peers"
    return Fault(name, f"The branch that is added in {name!r} is {much}; scale it down, as the others.")


def _role(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _roles(names: Iterable[str]) -> dict[str, list[str]]:
    """By the name of every layer the others whose names differ from it in numbers alone."""
    roles: dict[str, list[str]] = {}
    for name in names:
        roles.setdefault(_role(name), []).append(name)
    return {name: [one for one in alike if one != name] for alike in roles.values() for name in alike}


def _is_as_its_peers(ratio: float, peers: Sequence[float]) -> bool:
    """Whether those of one role, all together, are that far from other kinds of layers."""
    return len(peers) > 0 and abs(math.log(ratio / median(peers))) < math.log(_APART) / 2


def _is_drawn_as_others(name: str, drawn: Sequence[DrawnWeights]) -> bool:
    """Whether its weights have the size of most others, as a number or by their inputs: then it is no draw that is odd.

    In a narrow model with the deviation of a wide one, .02 as usual, gradients over weights differ by much more than a hundred.

    Example:
        >>> drawn = [DrawnWeights(name, "weight", 0.02, 32, 32) for name in ("query", "key", "pooler", "head")]
        >>> _is_drawn_as_others("pooler", drawn), _is_drawn_as_others("pooler", [])
        (True, False)
    """
    matrices = [one for one in drawn if not (one.vector or one.table) and one.size > 0]
    mine, others = [one for one in matrices if one.name == name], [one for one in matrices if one.name != name]
    enough = len(mine) == 1 and len(others) >= _FEWEST_DRAWN
    return enough and abs(_nearest_rule(mine[0], others, 2)) < math.log(_AS_OTHERS)


def relative_ratios(table: LayerTable) -> dict[str, float]:
    """Of every layer with a weight matrix, gradient over weights (root mean squares) beside the median of its kind.

    In a chain of homogeneous functions weight times gradient, summed over a layer, is the same in every layer; in front of a
    normalisation the gradient goes with the inverse of the weights. So the ratio goes with the inverse square of the weights in
    both cases, whatever signals do.

    Source: Du, Hu, Lee, arXiv 1806.00900 (balancedness); van Laarhoven, arXiv 1706.05350 (weights before a normalisation).
    """
    found: dict[str, dict[str, float]] = {}
    for row in table.modules:
        weights = [tensor for tensor in row.tensors if tensor.name.endswith("weight") and 0 < tensor.ratio < math.inf]
        if len(weights) == 1 and (row.kind == "Linear" or row.kind.startswith("Conv")):
            found.setdefault(row.kind, {})[row.name] = weights[0].ratio
    told: dict[str, float] = {}
    for ratios in found.values():
        if len(ratios) >= _FEWEST:
            middle = median(ratios.values())
            told |= {name: ratio / middle for name, ratio in ratios.items()}
    return told


def odd_layer(table: LayerTable, drawn: Sequence[DrawnWeights] = ()) -> Fault | None:
    """The layer that is farthest from its peers, where that is by more than any sound start does; None where none is.

    Args:
        table: of the model's layers, at its start.
        drawn: the weights, which judge first; the ratios of the table alone judge where they are left out.
    """
    odd = odd_weights(drawn)
    if odd is not None:
        return odd
    if any(one.size == 0 and not one.table for one in drawn):  # what stands in front of zeros gets no gradient yet
        return None
    ratios = relative_ratios(table)
    if drawn:  # without those that are tied to embeddings, whose gradient is of both
        ratios = {name: ratio for name, ratio in ratios.items() if name in {one.name for one in drawn}}
    roles = _roles(ratios)
    alone = [name for name in ratios if not _is_as_its_peers(ratios[name], [ratios[one] for one in roles[name]])]
    alone = [name for name in alone if not _is_drawn_as_others(name, drawn)]
    if alone and alone[-1] == list(ratios)[-1] and ratios[alone[-1]] > 1:  # drawn small, as is usual of a last layer
        alone.pop()
    name = max(alone, key=lambda one: abs(math.log(ratios[one])), default=None)
    if name is None or abs(math.log(ratios[name])) < math.log(_APART):
        return None
    size = ratios[name] ** -0.5
    much = f"about {size:.2g} times as large as" if size > 1 else f"about {1 / size:.2g} times smaller than"
    return Fault(
        name, f"The weights of {name!r} are {much} those of its peers need to be; draw them anew, as the others."
    )
