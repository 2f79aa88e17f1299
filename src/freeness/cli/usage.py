"""What the parser of the command line refuses, in the words of the house: what was expected, what came."""

from __future__ import annotations

import re
from typing import Any

_WORDS = (
    (re.compile(r"Input should be a valid integer.*"), r"expected a whole number"),
    (re.compile(r"Input should be a valid number.*"), r"expected a number"),
    (re.compile(r"Input should be greater than or equal to (\S+)"), r"expected a number ≥ \1"),
    (re.compile(r"Input should be less than or equal to (\S+)"), r"expected a number ≤ \1"),
    (re.compile(r"Value error, .* is not one of (.*)\."), r"expected \1"),
)


def in_words(message: str, value: object) -> str:
    """A refusal of one option as a sentence; one that is a sentence already stays.

    Example:
        >>> in_words("Input should be a valid integer, unable to parse string as an integer", "ten")
        "expected a whole number, got 'ten'; correct it."
        >>> in_words("Value error, 'cnn' is not one of 'mlp', 'resnet'.", "cnn")
        "expected mlp, resnet, got 'cnn'; correct it."
        >>> in_words("expected a picture .png or .svg, got 'x.doc'; change the ending.", None)
        "expected a picture .png or .svg, got 'x.doc'; change the ending."
    """
    for pattern, words in _WORDS:
        if (found := pattern.fullmatch(message)) is not None:
            got = "another value" if value is None else repr(value)
            return f"{found.expand(words).replace(chr(39), '')}, got {got}; correct it."
    return message


def given_value(parameter: Any, args: list[str]) -> str | None:
    """What stands behind an option in the words of a command line; None where nothing does.

    Example:
        >>> from types import SimpleNamespace
        >>> [given_value(SimpleNamespace(opts=["--depth"]), words) for words in (["--depth", "x"], ["--depth=y"], [])]
        ['x', 'y', None]
    """
    names = getattr(parameter, "opts", [])
    for place, word in enumerate(args):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else "".join(args[place + 1 : place + 2])
    return None
