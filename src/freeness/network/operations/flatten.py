"""Channels and positions as one vector."""

from __future__ import annotations

from dataclasses import dataclass

from freeness.network.operations.operation import Operation


@dataclass(frozen=True)
class Flatten(Operation):
    """Channels and positions become one vector."""

    name: str = ""
