"""Exchange a model's activation modules in place, for instance by normalised ones."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction, Entry, activation, entries
from freeness.torch.record.builder import AffineActivation, activation_module


class SwappedActivation(NamedTuple):
    """Module path, and the modules as text before and after."""

    name: str
    before: str
    after: str


def swap_activations_(
    model: nn.Module, function: ActivationFunction | str, only: str | None = None
) -> tuple[SwappedActivation, ...]:
    """Put an activation in the place of the activation modules of one kind, first to last.

    Activations have no parameters, so the state_dict keeps its keys; a model that is built anew has to be swapped again
    before it loads one. Calls of functions (torch.tanh(x)) are no modules and cannot be reached.

    Args:
        model: any module.
        function: the new one, for instance the ``activation`` of a design; or its name.
        only: the kind to replace, as the table of activations names it; needed where the model has several.

    Raises:
        InputError: no such module, or several kinds and none is named; nothing is changed then.

    Example:
        >>> from freeness.gaussian import activation
        >>> model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
        >>> swap_activations_(model, activation("hardtanh", min_val=-3.0, max_val=3.0))
        (SwappedActivation(name='1', before='Tanh()', after='Hardtanh(min_val=-3.0, max_val=3.0)'),)
    """
    places = [
        (f"{path}.{key}" if path else key, parent, key, child)
        for path, parent in model.named_modules()
        for key, child in parent._modules.items()  # named_children leaves out the second place of a shared module
        if child is not None and kind_of(child) is not None and not isinstance(parent, AffineActivation)
    ]
    kinds = sorted({kind for *_, child in places if (kind := kind_of(child)) is not None})
    wanted = only if only is not None else (kinds[0] if len(kinds) == 1 else None)
    if wanted is None or wanted not in kinds:
        has = f"modules of the kinds {', '.join(kinds)}" if kinds else "no activation modules"
        asked = f"{only!r} to replace" if only is not None else "activation modules of one kind to replace"
        raise InputError(
            f"expected {asked}, got a model with {has}; name one of them, and write functional activations as modules."
        )
    new = activation(function) if isinstance(function, str) else function
    made: dict[int, nn.Module] = {}  # a module that is used in several places stays one
    found = []
    for name, parent, key, child in places:
        if kind_of(child) != wanted:
            continue
        if id(child) not in made:
            made[id(child)] = activation_module(new).train(child.training)
        setattr(parent, key, made[id(child)])
        found.append(SwappedActivation(name, repr(child), repr(made[id(child)])))
    return tuple(found)


def kind_of(module: nn.Module) -> str | None:
    """The name in the table of activations, None for other modules.

    Example:
        >>> kind_of(nn.Hardtanh()), kind_of(nn.Linear(2, 2))
        ('hardtanh', None)
    """
    if isinstance(module, AffineActivation):
        return module.name
    found = _entry(module)
    return None if found is None else found[0].name


def function_of(module: nn.Module) -> ActivationFunction | None:
    """The table's record of an activation module, with the module's own parameters; None for other modules.

    Example:
        >>> function_of(nn.LeakyReLU(0.2)).slopes, function_of(nn.Linear(2, 2))
        ((0.2, 1.0), None)
    """
    found = _entry(module)
    if found is None or found[1] is None:
        return None
    try:
        return activation(found[0].name, **found[1])
    except InputError:  # numbers that torch takes and the table does not
        return None


def _entry(module: nn.Module) -> tuple[Entry, dict[str, float] | None] | None:
    """The entry of a module's class and the parameters, None where its numbers fit none; no entry has ``nn.Identity``."""
    kind = type(module)
    if kind is nn.Identity:  # what stands where something was taken out
        return None
    read = [
        (entry, entry.torch.from_module(vars(module)))
        for entry in entries()
        if entry.torch.module and getattr(nn, entry.torch.module) is kind
    ]
    return next((found for found in read if found[1] is not None), read[0] if read else None)
