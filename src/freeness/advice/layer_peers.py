"""A layer whose weights were drawn too large or too small, seen beside its peers."""

from __future__ import annotations

import math
from statistics import median

from freeness.advice.fault import Fault
from freeness.advice.layer_table import LayerTable

_FEWEST = 4  # layers of one kind that say what is usual
# In gradient over weights. Six sound families lie within 10 of their median; GPT-2, which draws what ends a branch 1/√(2·blocks)
# as large, lies 96 from it with 48 blocks. Weights that are 10 times too large are 100 from it.
_APART = 100.0


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


def odd_layer(table: LayerTable) -> Fault | None:
    """The layer that is farthest from its peers, where that is by more than any sound start does; None where none is.

    Args:
        table: of the model's layers, at its start.
    """
    ratios = relative_ratios(table)
    name = max(ratios, key=lambda one: abs(math.log(ratios[one])), default=None)
    if name is None or abs(math.log(ratios[name])) < math.log(_APART):
        return None
    size = ratios[name] ** -0.5
    much = f"about {size:.2g} times as large" if size > 1 else f"about {1 / size:.2g} times smaller"
    return Fault(
        name, f"The weights of {name!r} are {much} than those of its peers need to be; draw them anew, as the others."
    )
