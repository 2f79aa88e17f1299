"""What the readers of weights share: what a bias is, whether a weight is trained, what its layer is called, a linear call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from freeness.network import Dense, PositionWise, TokenMixing
from freeness.torch.operations.kind import Unread
from freeness.torch.record.layout import Axis, Typing
from freeness.torch.record.walk import Asked


class LinearForm(NamedTuple):
    """One reading of a linear call: its record, the axis that its last one holds, and channels and positions behind it."""

    record: type[Dense] | type[PositionWise] | type[TokenMixing]
    axis: Axis
    behind: Callable[[Typing, int], Typing]


def bias_facts(bias: Tensor | None, any_trained: bool) -> tuple[float, bool]:
    """σ_b, and whether the bias is trained.

    Where the model trains nothing all biases count.
    """
    if bias is None:
        return 0.0, False
    return float(bias.detach().double().square().mean().sqrt()), bias.requires_grad or not any_trained


def check_trained(asked: Asked, weight: Tensor) -> None:
    """Refuse a weight that is frozen in a model that trains others."""
    if asked.walk.any_trained and not weight.requires_grad:
        raise Unread("frozen, which the theory of Θ does not know")


def module_name(asked: Asked, weight: tuple[str, nn.Parameter]) -> str:
    """The path of the module in which the call stands, if it has the weight; else that by which torch names the weight."""
    view = asked.walk.view
    path, _ = view.module(asked.node)
    if view.model.get_submodule(path)._parameters.get("weight") is weight[1]:
        return view.path(path)
    return view.path(re.sub(r"(^|[._])weight$", "", weight[0]))
