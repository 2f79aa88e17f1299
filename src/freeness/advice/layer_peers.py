"""A layer whose weights were drawn too large or too small, seen beside its peers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from freeness.advice.fault import Fault
from freeness.advice.layer_table import LayerTable

_FEWEST = 4  # layers of one kind that say what is usual
# In gradient over weights. Six sound families lie within 10 of their median; GPT-2, which draws what ends a branch 1/√(2·blocks)
# as large, lies 96 from it with 48 blocks. Weights that are 10 times too large are 100 from it.
_APART = 100.0
# In weights alone. Rules that depend on depth stay within √(blocks), 7 for 48 of them; branches that end 1/√(2·blocks) as large
# are peers of each other.
_DRAWN, _FEWEST_DRAWN = 10.0, 3


def odd_scale(scales: Mapping[str, float]) -> tuple[str, float] | None:
    """The layer whose weights are farthest from those of its peers, and by which factor; None where none is far.

    Args:
        scales: root mean square times √(inputs), by the names of layers in the order of the model; what is 0 is left out.

    Example:
        >>> scales = {"blocks.0.a": 1.0, "blocks.1.a": 20.0, "blocks.2.a": 1.0, "head": 0.5}
        >>> name, times = odd_scale(scales)
        >>> name, round(times), odd_scale(scales | {"blocks.1.a": 1.0, "head": 0.04})
        ('blocks.1.a', 20, None)
    """
    known = {name: math.log(value) for name, value in scales.items() if 0 < value < math.inf}
    if len(known) < _FEWEST_DRAWN:
        return None
    middle = median(known.values())
    far: dict[str, float] = {}
    last = list(scales)[-1]
    for name, others in _roles(known).items():
        apart = known[name] - (median(known[one] for one in others) if others else middle)
        usual = abs(known[name] - middle) < math.log(_DRAWN) / 2 or (name == last and apart < 0)  # as μP draws it
        if abs(apart) > math.log(_DRAWN) and not usual:
            far[name] = apart
    # of two in one role both are far from each other, and one is far from all
    name = max(far, key=lambda one: abs(known[one] - middle), default=None)
    return None if name is None else (name, math.exp(far[name]))


def _roles(names: Iterable[str]) -> dict[str, list[str]]:
    """By the name of every layer the others whose names differ from it in numbers alone."""
    roles: dict[str, list[str]] = {}
    for name in names:
        roles.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    return {name: [one for one in alike if one != name] for alike in roles.values() for name in alike}


def _is_as_its_peers(ratio: float, peers: Sequence[float]) -> bool:
    """Whether those of one role, all together, are that far from other kinds of layers."""
    return len(peers) > 0 and abs(math.log(ratio / median(peers))) < math.log(_APART) / 2


def relative_ratios(table: LayerTable) -> dict[str, float]:
    """Of every layer with a weight matrix, gradient over weights (root mean squares) beside the median of its kind.

    In a chain of homogeneous functions weight times gradient, summed over a layer, is the same in every layer; in front of a
    normalisation the gradient goes with the inverse of the weights. So the ratio goes with the inverse square of the weights in
    both cases, whatever signals do.

    Args:
        table: of the model's layers, at its start.

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


def odd_layer(table: LayerTable, scales: Mapping[str, float] | None = None) -> Fault | None:
    """The layer that is farthest from its peers, where that is by more than any sound start does; None where none is.

    Weights tell by themselves where layers play one role (names that differ in numbers alone): these are drawn by one rule, which
    may depend on depth. A layer without such peers is compared with all others; that the last one is drawn small is usual.

    Args:
        table: of the model's layers, at its start.
        scales: of their weights, root mean square times √(inputs); the ratios of the table alone judge where they are left out.
    """
    drawn = odd_scale(scales or {})
    if drawn is not None:
        name, times = drawn
        much = f"about {times:.2g} times as large" if times > 1 else f"about {1 / times:.2g} times smaller"
        return Fault(
            name, f"The weights of {name!r} are {much} than those of its peers; draw them anew, as the others."
        )
    ratios = relative_ratios(table)
    if scales:  # without those that are tied to embeddings, whose gradient is of both
        ratios = {name: ratio for name, ratio in ratios.items() if name in scales}
    roles = _roles(ratios)
    alone = [name for name in ratios if not _is_as_its_peers(ratios[name], [ratios[one] for one in roles[name]])]
    name = max(alone, key=lambda one: abs(math.log(ratios[one])), default=None)
    if name is None or abs(math.log(ratios[name])) < math.log(_APART):
        return None
    size = ratios[name] ** -0.5
    much = f"about {size:.2g} times as large" if size > 1 else f"about {1 / size:.2g} times smaller"
    return Fault(
        name, f"The weights of {name!r} are {much} than those of its peers need to be; draw them anew, as the others."
    )
