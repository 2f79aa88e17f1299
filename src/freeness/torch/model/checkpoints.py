"""Checkpoints: what they hold is run plainly.

Reentrant ones refuse ``torch.autograd.grad`` and second derivatives. The others run their function anew in a backward pass, where
ways of measuring that watch the forward pass are not there, and refuse what comes out otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.checkpoint as checkpoints
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils._pytree import tree_map
from torch.utils.checkpoint import CheckpointFunction

_LOCK = threading.Lock()
_OTHERS = "_checkpoint_without_reentrant_generator"  # of torch's: what it does before and after the function
_others: Any = getattr(checkpoints, _OTHERS, None)
_blocks = 0


@contextmanager
def plain_checkpoints() -> Iterator[None]:
    """A block in which ``checkpoint`` runs its function as it stands.

    Values and gradients are those of training: where no input of a reentrant one requires a gradient, nothing inside gets one.
    What is saved for backward is held.

    Example:
        >>> from torch.utils.checkpoint import checkpoint
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> with plain_checkpoints():
        ...     torch.autograd.grad(checkpoint(torch.square, x, use_reentrant=True), x)
        (tensor(6.),)
    """
    global _blocks
    with _LOCK:
        _blocks += 1
        if _blocks == 1:
            CheckpointFunction.apply = staticmethod(_plainly)  # of this class alone: its base class keeps its own
            _put(_nothing)
    try:
        yield
    finally:
        with _LOCK:
            _blocks -= 1
            if _blocks == 0:
                del CheckpointFunction.apply
                _put(_others)


def _put(generator: Any) -> None:
    if _others is not None:
        setattr(checkpoints, _OTHERS, generator)


def _nothing(*_: Any, **__: Any) -> Iterator[None]:
    yield


def _plainly(function: Callable[..., Any], _: bool, *args: Any) -> Any:
    if any(_carries(one) for one in args):
        return function(*args)
    with torch.no_grad():
        return tree_map(_stopped, function(*args))


def _carries(value: Any) -> bool:
    """Whether derivatives come through an argument: reentrant checkpoints look at tensors alone, not into tuples."""
    if not isinstance(value, Tensor):
        return False
    return value.requires_grad if torch.is_grad_enabled() else _tangent(value) is not None


def _stopped(value: Any) -> Any:
    """Without the derivative that parameters inside carry forward."""
    return value if not isinstance(value, Tensor) or _tangent(value) is None else forward_ad.unpack_dual(value).primal


def _tangent(value: Tensor) -> Tensor | None:
    return forward_ad.unpack_dual(value).tangent if forward_ad._current_level >= 0 else None
