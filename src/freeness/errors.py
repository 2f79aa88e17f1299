"""The errors that users meet. Each message is one sentence: what was expected, what came, what to do."""

from __future__ import annotations


class FreenessError(Exception):
    """Base of every error that freeness raises on purpose; the command line shows its message without a traceback."""


class InputError(FreenessError, ValueError):
    """What the user gave (a file, an argument, a model, data) is not what was expected; exit code 2."""


class ConvergenceError(FreenessError, ArithmeticError):
    """A numerical answer did not reach its tolerance; the message names the cause and the remedy."""
