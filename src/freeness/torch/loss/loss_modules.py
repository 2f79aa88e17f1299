"""Modules that a loss runs beside the model, as the critic of a generator or a teacher: they are left as they were, too."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import nn

from freeness.torch.model.attributes import attributes_kept
from freeness.torch.model.state import standing

_DEEP = 4  # functions and objects one inside the other that are looked through


def loss_modules(loss: object, model: nn.Module) -> list[nn.Module]:
    """The modules that a function of a user's reaches by its closure, its globals, its arguments or its object, but the model.

    Example:
        >>> critic, generator = nn.Linear(2, 1), nn.Linear(3, 2)
        >>> loss_modules(lambda outputs, _: -critic(outputs).mean(), generator) == [critic]
        True
    """
    own = set(map(id, model.modules()))
    found = {id(one): one for one in _reached(loss, _DEEP)}
    return [one for key, one in found.items() if key not in own]


@contextmanager
def loss_kept(loss: object, model: nn.Module) -> Iterator[None]:
    """A block behind which these modules are as before; their weights get no gradients in it.

    Example:
        >>> import torch
        >>> critic, generator = nn.BatchNorm1d(2), nn.Linear(3, 2)
        >>> with loss_kept(lambda outputs, _: critic(outputs).mean(), generator):
        ...     _ = critic(generator(torch.ones(4, 3)))
        >>> int(critic.num_batches_tracked)
        0
    """
    with ExitStack() as stack:
        for module in loss_modules(loss, model):
            stack.enter_context(attributes_kept(module))
            stack.enter_context(standing(module, but=model))
        yield


def _reached(value: Any, deep: int) -> Iterator[nn.Module]:
    if isinstance(value, nn.Module):
        yield value
    elif deep > 0:
        for inner in _inside(value):
            yield from _reached(inner, deep - 1)


def _inside(value: Any) -> Iterator[Any]:
    """What a function or an object of a user's is made of."""
    match value:
        case partial():
            yield from (value.func, *value.args, *value.keywords.values())
        case types.MethodType():
            yield from (value.__self__, value.__func__)
        case types.FunctionType() if not str(value.__module__).startswith("torch."):
            yield from (cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell))
            yield from (value.__globals__[name] for name in _names(value.__code__) if name in value.__globals__)
            yield from value.__defaults__ or ()
        case list() | tuple():
            yield from value
        case dict():
            yield from value.values()
        case type() | types.ModuleType():
            return
        case Callable() if hasattr(value, "__dict__"):
            yield from vars(value).values()
        case _:
            return


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a name that has no value yet
        return False


def _names(code: types.CodeType) -> Iterator[str]:
    """Globals of a function, and of functions that it makes."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _names(inner)
