"""How torch calls an activation: names and numbers alone, so that nothing on this side of the wall imports torch."""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from freeness.errors import is_real

Program = tuple[tuple[str | float, ...], ...]
"""Calls of torch in their order, each a name and its arguments; a text among these is a value: an input, or ``r0``, ``r1``, …
for the results so far."""

Reader = Callable[[Mapping[str, Any]], "dict[str, float] | None"]
"""From the arguments of a torch call, by name, to the parameters of the activation; None where it is another function."""

_DIGITS = 1e-12  # relative distance at which constants of torch count as those of the table


@dataclass(frozen=True)
class TorchForm:
    """An activation with its parameters as torch writes it.

    ``module`` of ``torch.nn`` with the ``arguments`` that make it; where there is no module, ``program`` computes φ from ``x``.
    ``pull``: g·φ'(h) from ``g``, ``h`` and ``y`` = φ(h) in fewer steps than automatic differentiation takes, if there is a way.
    """

    module: str
    arguments: Mapping[str, float | str]
    program: Program
    pull: Program


@dataclass(frozen=True)
class TorchNames:
    """How torch calls an activation.

    Args:
        module: class of ``torch.nn``; "" if there is none.
        calls: the ATen calls that compute it, each with what reads the parameters off its arguments. The first is the one that
            the module makes, whose attributes have the names of its arguments.
        arguments: from the parameters to the arguments of the module; None: they are the same.
        program: the calls in its place, if one is not enough.
        pull: as in :class:`TorchForm`; a parameter stands by its name.
    """

    module: str = ""
    calls: Mapping[str, Reader] = field(default_factory=dict[str, Reader])
    arguments: Callable[..., Mapping[str, float | str]] | None = None
    program: Program = ()
    pull: Program = ()

    def form(self, parameters: Mapping[str, float]) -> TorchForm | None:
        """With all parameters; None where torch does not have it."""
        if not (self.module or self.calls or self.program):
            return None
        arguments = parameters if self.arguments is None else self.arguments(**parameters)
        program = self.program or ((next(iter(self.calls), ""), "x"),)
        pull = tuple(tuple(parameters.get(part, part) for part in call) for call in self.pull)  # pyright: ignore[reportArgumentType, reportCallIssue]
        return TorchForm(self.module, dict(arguments), program, pull)

    def from_module(self, attributes: Mapping[str, Any]) -> dict[str, float] | None:
        """The parameters of a module of this class; None where its numbers make it another function."""
        reader = next(iter(self.calls.values()), None)
        return {} if reader is None else reader(attributes)


NO_TORCH = TorchNames()


def reads(*same: str, **constants: float | str) -> Reader:
    """A reader: parameters that torch calls by the same names, where the other arguments that matter are these constants.

    Args:
        *same: names of parameters and arguments.
        **constants: argument and value; an argument that is not there counts as it.

    Example:
        >>> elu = reads("alpha", scale=1.0)
        >>> elu({"alpha": 0.5, "scale": 1.0}), elu({"alpha": 0.5, "scale": 2.0})
        ({'alpha': 0.5}, None)
    """

    def reader(given: Mapping[str, Any]) -> dict[str, float] | None:
        if not all(_alike(given.get(name, value), value) for name, value in constants.items()):
            return None
        return {name: float(given[name]) for name in same} if all(is_real(given.get(name)) for name in same) else None

    return reader


def _alike(found: object, wanted: float | str) -> bool:
    if isinstance(wanted, str) or not is_real(found):
        return found == wanted
    return abs(float(found) - wanted) <= _DIGITS * abs(wanted)  # pyright: ignore[reportArgumentType]
