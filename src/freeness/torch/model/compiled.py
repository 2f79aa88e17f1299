"""Models that torch.compile was given."""

from __future__ import annotations

from typing import cast

from torch import nn


def uncompiled(model: nn.Module) -> nn.Module:
    """The model that torch.compile was given, with the same parameters: every way of measuring would be compiled anew.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> uncompiled(model) is model
        True
    """
    parts = model._modules  # of TorchScript no dict
    return cast("nn.Module", parts["_orig_mod"]) if "_orig_mod" in parts else model
