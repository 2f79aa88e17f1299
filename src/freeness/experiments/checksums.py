"""A checksum a row, so that a bit that flips on a disk is noticed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def checksum(row: Sequence[str | float]) -> str:
    """SHA-256 over the columns of a row, each with its length; numbers by their bits.

    Example:
        >>> checksum(("a", "bc")) == checksum(("ab", "c"))
        False
    """
    found = sha256()
    for value in row:
        text = (value if isinstance(value, str) else float(value).hex()).encode()
        found.update(len(text).to_bytes(8, "big") + text)
    return found.hexdigest()


def intact(row: Sequence[str | float]) -> bool:
    """Whether the last column is the checksum of the others.

    Example:
        >>> intact(("a", "b", checksum(("a", "b")))), intact(("a", "c", checksum(("a", "b"))))
        (True, False)
    """
    *columns, written = row
    return all(isinstance(value, str | float | int) for value in columns) and checksum(columns) == written
