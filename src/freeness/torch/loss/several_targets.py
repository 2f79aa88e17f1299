"""Targets of several tensors as one, so that all that knows one tensor of targets does; a loss gets them as they were."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from freeness.errors import InputError
from freeness.torch.loss.given import GivenLoss, given_loss
from freeness.torch.loss.written_loss import WrittenLoss
from freeness.training import Objective


@dataclass(frozen=True, eq=False)
class SeveralTargets:
    """How targets lie in the rows of one tensor: shape and dtype of a sample's part, and what they were in."""

    parts: tuple[tuple[torch.Size, torch.dtype], ...]
    made: TreeSpec

    def of(self, rows: Tensor) -> Any:
        """The targets of these rows, whole numbers whole again."""
        found = rows.split([math.prod(shape) for shape, _ in self.parts], 1)
        tensors = [
            part.reshape(len(rows), *shape).to(part.dtype if dtype.is_floating_point else dtype)
            for part, (shape, dtype) in zip(found, self.parts, strict=True)
        ]
        return tree_unflatten(tensors, self.made)


def together(targets: object, tensor: Callable[[Any, str], Tensor]) -> tuple[Tensor, SeveralTargets]:
    """Targets in a tuple, a list or a dict as one tensor (samples, numbers), and how they lie in it.

    Args:
        targets: each with the samples first.
        tensor: makes a tensor of one, by what it is called in errors.

    Raises:
        InputError: one is no tensor, or they are of different numbers of samples.

    Example:
        >>> rows, several = together({"class": torch.tensor([1, 0]), "box": torch.ones(2, 3)}, lambda value, _: value)
        >>> rows.shape, several.of(rows[:1])["class"]
        (torch.Size([2, 4]), tensor([1]))
    """
    leaves, made = tree_flatten(targets)
    tensors = [tensor(leaf, "targets") for leaf in leaves]
    counts = {len(one) if one.ndim else 0 for one in tensors}
    if len(counts) != 1:
        raise InputError(f"expected targets of as many samples each, got {', '.join(map(str, sorted(counts)))}.")
    floating = [one.dtype for one in tensors if one.is_floating_point()]
    dtype = max(floating, key=lambda kind: kind.itemsize, default=torch.int64)
    rows = torch.cat([one.reshape(len(one), -1).to(dtype) for one in tensors], 1)
    return rows, SeveralTargets(tuple((one.shape[1:], one.dtype) for one in tensors), made)


def loss_of_several(loss: GivenLoss | None, several: SeveralTargets) -> Objective:
    """The loss of the one tensor that several targets are in; only a function of the user takes several.

    Raises:
        InputError: another loss, or none.

    Example:
        >>> rows, several = together((torch.ones(2), torch.zeros(2)), lambda value, _: value)
        >>> function = lambda outputs, targets: (outputs - targets[0]).square().mean()
        >>> loss_of_several(function, several).function(torch.zeros(2), rows)
        tensor(1.)
    """
    given = None if loss is None else given_loss(loss)
    if not isinstance(given, WrittenLoss):
        raise InputError(
            f"expected one tensor of targets, got {len(several.parts)}; pass a function of (outputs, targets) as loss, which "
            "gets them as they are."
        )
    function = given.function
    return WrittenLoss(lambda outputs, rows: function(outputs, several.of(rows)), given.name)
