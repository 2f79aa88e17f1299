"""What an activation is, and how the table of activations is filled and asked."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from freeness.errors import InputError, choice, is_real
from freeness.gaussian.torch_names import NO_TORCH, TorchForm, TorchNames

Elementwise = Callable[[np.ndarray], np.ndarray]
ClosedCovariance = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class ActivationFunction:
    """An elementwise φ with its derivative; ``kinks`` are the points where φ' jumps.

    ``slopes`` is set for piecewise-linear φ: the slope on each of the len(kinks)+1 pieces, so that D² has finitely many
    atoms. ``parameters`` are those the table was asked with. ``covariance`` maps q₁, q₂, q₁₂ to E φ(u)φ(v) and E φ'(u)φ'(v)
    in closed form, if there is one; ``tails`` are the limits of φ' at -∞ and ∞, if it has them; ``torch`` says how torch
    writes φ, if it does.

    Example:
        >>> activation("leaky_relu", negative_slope=0.2).slopes
        (0.2, 1.0)
    """

    name: str
    function: Elementwise = field(repr=False, compare=False)
    derivative: Elementwise = field(repr=False, compare=False)
    kinks: tuple[float, ...] = ()
    slopes: tuple[float, ...] | None = None
    parameters: tuple[tuple[str, float], ...] = ()
    covariance: ClosedCovariance | None = field(default=None, repr=False, compare=False)
    tails: tuple[float, float] | None = field(default=None, repr=False, compare=False)
    torch: TorchForm | None = field(default=None, repr=False, compare=False)

    @property
    def homogeneous(self) -> bool:
        """Whether φ(cx) = cφ(x) for c > 0: linear on either side of 0, so that no variance is special.

        Example:
            >>> activation("leaky_relu").homogeneous, activation("hardtanh").homogeneous
            (True, False)
        """
        bent_at_zero = self.slopes is not None and all(kink == 0 for kink in self.kinks)
        return bent_at_zero and float(self.function(np.zeros(1))[0]) == 0

    @property
    def saturating(self) -> bool:
        """Whether φ' falls to 0 on both sides.

        Example:
            >>> activation("tanh").saturating, activation("relu").saturating
            (True, False)
        """
        return self.tails == (0.0, 0.0)


@dataclass(frozen=True)
class Entry:
    """A line of the table: ``make`` takes the parameters, with their defaults, and gives the record without its name."""

    name: str
    make: Callable[..., ActivationFunction]
    torch: TorchNames

    def with_parameters(self, **parameters: float) -> ActivationFunction:
        """The record, with its name, the parameters given, and how torch writes it with all of them."""
        bound = inspect.signature(self.make).bind(**parameters)
        bound.apply_defaults()
        form = self.torch.form(bound.arguments)
        given = tuple(sorted(parameters.items()))
        return replace(self.make(**parameters), name=self.name, parameters=given, torch=form)


_TABLE: dict[str, Entry] = {}
_Make = TypeVar("_Make", bound=Callable[..., ActivationFunction])


def tabulated(torch: TorchNames = NO_TORCH) -> Callable[[_Make], _Make]:
    """Put a function into the table: its name is the activation's, its arguments are the parameters, all with defaults.

    Args:
        torch: how torch calls the activation; left out where it has no such function.

    Raises:
        InputError: the table has an activation of this name.

    Example:
        >>> @tabulated()
        ... def example_square(scale: float = 1.0) -> ActivationFunction:
        ...     return ActivationFunction("", lambda x: scale * x**2, lambda x: 2 * scale * x)
        >>> activation("example_square", scale=2.0).derivative(np.array([3.0])).tolist()
        [12.0]
        >>> del _TABLE["example_square"]
    """

    def added(make: _Make) -> _Make:
        name = make.__name__
        if name in _TABLE:
            raise InputError(f"expected an activation that the table does not have, got {name!r}; choose another name.")
        _TABLE[name] = Entry(name, make, torch)
        return make

    return added


def entries() -> tuple[Entry, ...]:
    """The lines of the table, in its order."""
    return tuple(_TABLE.values())


def activation(name: str, **parameters: float) -> ActivationFunction:
    """The activation called ``name`` (the names of ``torch.nn.functional``; ``erf_unit`` is erf(√π x/2)).

    Args:
        name: one of :func:`activation_names`.
        **parameters: the activation's own, by torch's names, e.g. ``negative_slope``.

    Raises:
        InputError: an unknown name or parameter, or a parameter that is not a finite number.

    Example:
        >>> activation("hardtanh").kinks
        (-1.0, 1.0)
    """
    if not isinstance(name, str) or name not in _TABLE:
        names = activation_names()
        raise InputError(f"expected an activation among {', '.join(names)}, got {name!r}; {choice(name, names)}")
    for key, value in parameters.items():
        if not is_real(value):
            raise InputError(f"expected a finite number as {key} of {name}, got {value!r}; correct it.")
    try:
        return _TABLE[name].with_parameters(**parameters)
    except TypeError as error:
        known = ", ".join(inspect.signature(_TABLE[name].make).parameters) or "none"
        raise InputError(
            f"expected parameters that {name} knows ({known}), got {', '.join(parameters)}; correct them."
        ) from error


def activation_names() -> tuple[str, ...]:
    """Names that :func:`activation` knows, sorted."""
    return tuple(sorted(_TABLE))
