"""The errors that users meet, one sentence each: what was expected, what came, what to do; and checks of numbers."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeGuard

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f]")  # escape sequences, control characters


class FreenessError(Exception):
    """Base of every error that freeness raises on purpose; the command line shows its message without a traceback."""


class InputError(FreenessError, ValueError):
    """What the user gave (a file, an argument, a model, data) is not what was expected; exit code 2."""


class ConvergenceError(FreenessError, ArithmeticError):
    """A numerical answer did not reach its tolerance; the message names the cause and the remedy."""


class TimeLimitError(ConvergenceError):
    """A question took more CPU time than :func:`~freeness.numerics.time_limit` allows: it has an answer, later."""


def choice(given: object, names: Iterable[str]) -> str:
    """The end of a sentence that refuses a name: the known one that is nearest, or "choose one.".

    Example:
        >>> choice("tahn", ["tanh", "gelu"]), choice("x", ["tanh"])
        ('perhaps tanh is meant.', 'choose one.')
    """
    near = get_close_matches(given, list(names), 1) if isinstance(given, str) else []
    return f"perhaps {near[0]} is meant." if near else "choose one."


def brief(error: BaseException) -> str:
    r"""The kind of an error and its first line, without control characters, to stand inside a sentence.

    Example:
        >>> brief(ValueError("no luck.\nmore"))
        'ValueError (no luck)'
    """
    try:
        lines = str(error).strip().splitlines() or [""]
    except Exception:  # a user's own error may fail to print
        lines = [""]
    text = _CONTROL.sub("", lines[0]).strip().rstrip(".")
    return f"{type(error).__name__}{f' ({text})' if text else ''}"


def is_real(value: object) -> TypeGuard[float]:
    """Whether a value is a finite real number (True and False are not numbers here).

    Example:
        >>> is_real(0.5), is_real(True), is_real(float("nan"))
        (True, False, False)
    """
    if type(value) is float:  # nearly always, and a question to an abstract class takes long
        return math.isfinite(value)
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(float(value))


def is_size(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number ≥ 1 (True is none).

    Example:
        >>> is_size(3), is_size(0), is_size(2.0)
        (True, False, False)
    """
    if type(value) is int:
        return value >= 1
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 1


def check_sizes(**sizes: object) -> None:
    """Refuse what is no whole number ≥ 1.

    Example:
        >>> check_sizes(depth=3, width=0)
        Traceback (most recent call last):
        ...
        freeness.errors.InputError: expected width that is a whole number ≥ 1, got 0; correct it.
    """
    for name, size in sizes.items():
        if not is_size(size):
            raise InputError(f"expected {name} that is a whole number ≥ 1, got {size!r}; correct it.")
