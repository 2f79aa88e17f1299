"""The modules of a folder: a file more there is a thing more, without a list of them."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def modules_in(package: str) -> tuple[ModuleType, ...]:
    """Every module of a package, but no package in it, imported, in the order of their names.

    Example:
        >>> [module.__name__ for module in modules_in("freeness.training.optimizers")]
        ['freeness.training.optimizers.adam', 'freeness.training.optimizers.sgd']
    """
    names = sorted(found.name for found in iter_modules(import_module(package).__path__) if not found.ispkg)
    return tuple(import_module(f"{package}.{name}") for name in names)
