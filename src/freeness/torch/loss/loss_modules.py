"""Modules that a loss runs beside the model, as the critic of a generator or a teacher: they are left as they were, too."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from typing import Any

from torch import nn

from freeness.torch.model.attributes import attributes_kept
from freeness.torch.model.state import standing

_DEEP = 4  # functions and objects one inside the other that are looked through
_ALL = 10_000  # things that are looked at in all
_MANY = 1000  # entries of a container, and attributes of an object, that are looked at


def loss_modules(loss: object, model: nn.Module) -> list[nn.Module]:
    """The modules that a function of a user's reaches by its closure, its globals, its arguments or its object, but the model.

    Example:
        >>> critic, generator = nn.Linear(2, 1), nn.Linear(3, 2)
        >>> loss_modules(lambda outputs, _: -critic(outputs).mean(), generator) == [critic]
        True
    """
    own = set(map(id, model.modules()))
    found = {id(one): one for one in _reached(loss)}
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


def _reached(loss: Any) -> Iterator[nn.Module]:
    """The nearest first."""
    waiting, seen = deque([(loss, _DEEP)]), dict[int, Any]()
    while waiting and len(seen) < _ALL:
        value, deep = waiting.popleft()
        if id(value) in seen:
            continue
        seen[id(value)] = value  # held, so that its id is not given again
        if isinstance(value, nn.Module):
            yield value
        elif deep:
            waiting.extend((inner, deep - 1) for inner in _inside(value))


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
            yield from (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        case list() | tuple():
            yield from value[:_MANY]
        case dict():
            yield from islice(value.values(), _MANY)
        case type() | types.ModuleType() | types.FunctionType() | types.BuiltinFunctionType():
            return
        case _ if hasattr(value, "__dict__") and not type(value).__module__.startswith("torch"):
            yield from islice(vars(value).values(), _MANY)
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
