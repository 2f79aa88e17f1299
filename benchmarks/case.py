"""One model with a batch of data and a loss, as benchmarks take them."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn


class Case(NamedTuple):
    """A model with a batch: inputs (several in a tuple), targets, a loss by name or as a function of outputs and targets."""

    model: nn.Module
    inputs: Any
    targets: Tensor
    loss: Any = "cross_entropy"
