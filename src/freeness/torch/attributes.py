"""What a forward pass writes on a module itself is put back: counters, states that are kept, generators of its own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_Restore = Callable[[], None]


@contextmanager
def attributes_kept(model: nn.Module) -> Iterator[None]:
    """A block behind which the attributes of every module are those from before, and generators stand where they stood.

    Put back are which object an attribute is, the values of tensors, and the states of generators; not what is inside lists,
    dicts and other objects. Parameters, buffers and hooks are the matter of :func:`~freeness.torch.untouched`.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> model.count, model.memory = 3, torch.zeros(2)
        >>> with attributes_kept(model):
        ...     model.count += 1
        ...     _ = model.memory.add_(1.0)
        ...     model.seen = True
        >>> model.count, model.memory, "seen" in vars(model)
        (3, tensor([0., 0.]), False)
    """
    restores = [restore for module in model.modules() for restore in _kept(vars(module))]
    try:
        yield
    finally:
        for restore in restores:
            restore()


def _kept(attributes: dict[str, Any]) -> Iterator[_Restore]:
    found = dict(attributes)
    for value in found.values():
        match value:
            case Tensor():
                yield _values(value)
            case torch.Generator():
                yield _call(value.set_state, value.get_state())
            case np.random.Generator():
                yield _call(lambda state, holder=value.bit_generator: setattr(holder, "state", state), _state(value))
            case random.Random():
                yield _call(value.setstate, value.getstate())
            case _:
                pass

    def restore() -> None:
        for name in attributes.keys() - found.keys():
            del attributes[name]
        attributes.update(found)

    yield restore


def _state(generator: np.random.Generator) -> Any:
    return generator.bit_generator.state


def _call(function: Callable[[Any], Any], state: Any) -> _Restore:
    return lambda: function(state)


def _values(tensor: Tensor) -> _Restore:
    kept = tensor.detach().clone()

    def restore() -> None:
        tensor.data.copy_(kept)  # .data: the version counter stays

    return restore
