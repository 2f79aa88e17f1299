"""Names that moved: they go on working, with a warning that says what to call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module


def moved(module: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """A ``__getattr__`` for a module from which names went: to a dotted path each, behind a blank how to call that if otherwise.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     found = moved("freeness.old", {"Error": "freeness.errors.InputError"})("Error")
        >>> found.__name__, str(told[0].message)
        ('InputError', 'freeness.old.Error is deprecated; use freeness.errors.InputError.')
    """

    def found(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        path, _, call = names[name].partition(" ")
        warnings.warn(f"{module}.{name} is deprecated; use {call or path}.", DeprecationWarning, stacklevel=3)
        home, _, attribute = path.rpartition(".")
        return getattr(import_module(home), attribute)

    return found
