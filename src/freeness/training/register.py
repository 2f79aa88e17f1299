"""Values by their names: those that the files of a folder state, and what users add."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from freeness.errors import InputError
from freeness.folder import modules_in


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_HasName)


class Register(Generic[T]):
    """What the ``NAMED`` of every file of a folder lists, by its name.

    Example:
        >>> Register("optimizer", "freeness.training.optimizers").names
        ('adam', 'adamw', 'sgd', 'momentum', 'nesterov')
    """

    def __init__(self, what: str, folder: str) -> None:
        self._what = what
        self._named: dict[str, T] = {value.name: value for module in modules_in(folder) for value in module.NAMED}

    @property
    def names(self) -> tuple[str, ...]:
        """All names."""
        return tuple(self._named)

    def get(self, name: Any) -> T | None:
        """The value of a name, None of what is no name."""
        return self._named.get(name) if isinstance(name, str) else None

    def add(self, value: T) -> None:
        """Make a value known by its name."""
        if self._named.setdefault(value.name, value) != value:
            raise InputError(f"expected a name that no other {self._what} has, got {value.name!r}; choose another.")
