"""Operations with a backward pass of the user's own, in the graph that a forward pass leaves for its gradient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.autograd.function import BackwardCFunction

from freeness.torch.model.walks import made_of, reached


def custom_functions(last: Any) -> Iterator[BackwardCFunction]:
    """Nodes of ``torch.autograd.Function`` behind a node.

    Example:
        >>> import torch
        >>> list(custom_functions(torch.ones(2, requires_grad=True).sum().grad_fn))
        []
    """
    return (node for node in reached([last], made_of) if isinstance(node, BackwardCFunction))
