"""A kind of operation of PyTorch: how its calls are read, what theory covers of it, and why not more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from freeness.torch.model.taps import TAPPED

Theory = Literal["spectra", "kernels", "none"]


@dataclass(frozen=True)
class Kind:
    """A kind of operation, with the names that torch gives its calls.

    ``theory``: whether the spectra of freeness cover it, only its kernels, or nothing; ``limits``: under which conditions, or
    why not.
    """

    name: str
    calls: tuple[str, ...]
    theory: Theory
    limits: str

    @property
    def measured(self) -> str:
        """How gradients are taken of it."""
        tapped = {call.__name__ for call in TAPPED}
        return "layer by layer" if tapped & set(self.calls) else "by autograd"


@dataclass(frozen=True)
class TracedOperation:
    """One operation of a model: the path and class of its module, torch's name of the call, its kind, and what covers it.

    ``reason`` says why theory does not cover it, or covers it in part.
    """

    path: str
    module: str
    operation: str
    kind: str
    theory: Theory
    reason: str = ""

    @property
    def where(self) -> str:
        """For a message."""
        return f"module {self.path!r} ({self.module})" if self.path else "the forward of the model"

    def __str__(self) -> str:
        return f"{self.operation} in {self.where}: {self.reason}"


class Unread(Exception):
    """A call that has no record as it stands, with the reason; ``kind``: of the operation, where its name misleads."""

    def __init__(self, reason: str = "", kind: str = "") -> None:
        super().__init__(reason)
        self.kind = kind
