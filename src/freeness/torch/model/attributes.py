"""What a forward pass writes on a module itself is put back: counters, states that are kept, generators of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from freeness.torch.model.state import Restore, own_generators


@contextmanager
def attributes_kept(model: nn.Module) -> Iterator[None]:
    """A block behind which the attributes of every module are those from before, and generators stand where they stood.

    Put back are which object an attribute is, the values of tensors, and the states of generators; not what is inside lists,
    dicts and other objects. Parameters, buffers and hooks are the matter of :func:`~freeness.torch.untouched`.

    Example:
        >>> import torch
        >>> model = nn.Linear(1, 1)
        >>> model.count, model.memory = 3, torch.zeros(2)
        >>> with attributes_kept(model):
        ...     model.count += 1
        ...     _ = model.memory.add_(1.0)
        ...     model.seen = True
        >>> model.count, model.memory, "seen" in vars(model)
        (3, tensor([0., 0.]), False)
    """
    restores = [own_generators(model), *(restore for module in model.modules() for restore in _kept(vars(module)))]
    try:
        yield
    finally:
        for restore in restores:
            restore()


def _kept(attributes: dict[str, Any]) -> Iterator[Restore]:
    found = dict(attributes)
    yield from (_values(value) for value in found.values() if isinstance(value, Tensor))

    def restore() -> None:
        for name in attributes.keys() - found.keys():
            del attributes[name]
        attributes.update(found)

    yield restore


def _values(tensor: Tensor) -> Restore:
    kept = tensor.detach().clone()

    def restore() -> None:
        tensor.data.copy_(kept)  # .data: the version counter stays

    return restore
