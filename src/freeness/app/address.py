"""The state of a page as the query of its address: read as strictly as a command reads its options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from freeness.errors import InputError

Value = float | int | str


@dataclass(frozen=True)
class Number:
    """A number from ``low`` to ``high``; ``whole``: an integer."""

    default: float
    low: float
    high: float
    whole: bool = False

    def read(self, name: str, text: str) -> Value:
        """The value that the text means.

        Example:
            >>> Number(10, 1, 30, whole=True).read("depth", "12")
            12
        """
        kind = "a whole number" if self.whole else "a number"
        try:
            value = int(text) if self.whole else float(text)
        except (ValueError, OverflowError):
            value = math.nan
        if not self.low <= value <= self.high:
            raise InputError(f"expected {kind} from {self.low:g} to {self.high:g} for {name}, got {_cut(text)}.")
        return value


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    default: str
    words: tuple[str, ...]

    def read(self, name: str, text: str) -> Value:
        """The word, if it is among them.

        Example:
            >>> Choice("haar", ("haar", "gaussian")).read("weights", "gaussian")
            'gaussian'
        """
        if text not in self.words:
            raise InputError(f"expected {name} among {', '.join(self.words)}, got {_cut(text)}; choose one.")
        return text


@dataclass(frozen=True)
class Text:
    """A line of text of at most ``longest`` characters."""

    default: str
    longest: int

    def read(self, name: str, text: str) -> Value:
        """The text, if it is short and has no control characters.

        Example:
            >>> Text("", 100).read("expression", "mp:1 + mp:1")
            'mp:1 + mp:1'
        """
        if len(text) > self.longest:
            raise InputError(f"expected at most {self.longest} characters for {name}, got {len(text)}; shorten it.")
        if not text.isprintable():
            raise InputError(f"expected one line of printable characters for {name}, got others; remove them.")
        return text


Field = Number | Choice | Text


def read_query(fields: Mapping[str, Field], query: Mapping[str, str]) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Values of all fields, and a sentence for every part of the query that means nothing; the default stands there.

    Example:
        >>> read_query({"depth": Number(10, 1, 30, whole=True)}, {"depth": "99"})
        ({'depth': 10}, ('expected a whole number from 1 to 30 for depth, got 99.',))
    """
    values: dict[str, Value] = {name: field.default for name, field in fields.items()}
    complaints = []
    for name, text in query.items():
        if name not in fields:
            complaints.append(f"expected parameters among {', '.join(fields)}, got {_cut(name)}; it is left out.")
            continue
        try:
            values[name] = fields[name].read(name, text)
        except InputError as error:
            complaints.append(str(error))
    return values, tuple(complaints)


def written_query(fields: Mapping[str, Field], values: Mapping[str, Value]) -> str:
    """The query that :func:`read_query` reads back: what differs from the defaults.

    Example:
        >>> written_query({"q": Number(1, 0, 9), "f": Text("", 9)}, {"q": 0.5, "f": "x*y"})
        'q=0.5&f=x%2Ay'
    """
    changed = {name: values[name] for name, field in fields.items() if values[name] != field.default}
    return urlencode({name: repr(value) if isinstance(value, float) else value for name, value in changed.items()})


def _cut(text: str) -> str:
    shown = "".join(character for character in text[:40] if character.isprintable())
    return shown + ("…" if len(text) > 40 else "") if shown else repr(text[:40])
