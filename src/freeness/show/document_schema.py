"""The JSON Schema of the document that an analysis is written as."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def schema_text() -> str:
    """:func:`schema` as the text of its file."""
    return resources.files("freeness.show").joinpath("analysis.schema.json").read_text(encoding="utf-8")


def schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of :func:`to_json`: what every field is, and that there are no others.

    Example:
        >>> found = schema()
        >>> found["properties"]["schema_version"], found["$defs"]["verdict"]["properties"]["phase"]["enum"]
        ({'const': 3}, ['ordered', 'critical', 'chaotic', None])
    """
    return json.loads(schema_text())
