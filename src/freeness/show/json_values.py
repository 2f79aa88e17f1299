"""Values as JSON has them, strictly: what is not finite is null."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from functools import singledispatch
from typing import Any

import numpy as np

from freeness.laws import Atom
from freeness.show.answer import load_answers


def plain(value: Any) -> Any:
    """Records as objects, sequences and arrays as lists, numbers as Python's; not finite ones as None.

    Args:
        value: a record, a sequence, a number, text, a truth value or None.

    Example:
        >>> plain([np.float64(1.5), float("inf"), None, "a"])
        [1.5, None, None, 'a']
    """
    if isinstance(value, Atom):
        return {"position": plain(value.position), "mass": plain(value.mass)}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (tuple, list, np.ndarray)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return {field.name: plain(getattr(value, field.name)) for field in fields(value)}


@singledispatch
def document_of(record: Any) -> dict[str, Any]:
    """A record as the object that stands for it in JSON, before :func:`plain`: its fields, or what is registered for it."""
    if load_answers(record):
        return document_of(record)
    return {field.name: getattr(record, field.name) for field in fields(record)}


def picked(record: object, names: str, **named: Any) -> dict[str, Any]:
    """Some fields of a record by their names, then what has others.

    Example:
        >>> from freeness.laws import Atom
        >>> picked(Atom(1.0, 0.5), "mass", kind="atom")
        {'mass': 0.5, 'kind': 'atom'}
    """
    return {name: getattr(record, name) for name in names.split()} | named


def json_text(document: dict[str, Any]) -> str:
    """A document as the text of a file.

    Args:
        document: of strings, numbers, lists and the like; what is not finite becomes null.
    """
    return json.dumps(plain(document), allow_nan=False, indent=1) + "\n"
