"""The table of the kinds of operations that a model is made of, and of who reads their calls; made from the readers' files."""

from __future__ import annotations

import torch

from freeness.errors import InputError
from freeness.folder import modules_in
from freeness.torch.operations.activation import ACTIVATION
from freeness.torch.operations.kind import Kind, Theory, TracedOperation
from freeness.torch.operations.refused import OTHER
from freeness.torch.record.elementwise import is_elementwise
from freeness.torch.record.walk import Reader

_THEORIES: tuple[Theory, ...] = ("spectra", "kernels", "none")


def _place(entry: tuple[Kind, Reader | None]) -> tuple[bool, int, str]:
    """What theory covers first, then by name; all others last."""
    kind, _ = entry
    return kind is OTHER, _THEORIES.index(kind.theory), kind.name.casefold()


_TABLE: list[tuple[Kind, Reader | None]] = sorted(
    (entry for module in modules_in("freeness.torch.operations") for entry in getattr(module, "READERS", ())),
    key=_place,
)

KINDS = tuple(kind for kind, _ in _TABLE)
"""Every kind, in the order in which the support matrix lists them."""

READERS: dict[str, Reader] = {call: reader for kind, reader in _TABLE if reader is not None for call in kind.calls}
"""Who reads a call, by torch's name."""

_BY_CALL = {call: kind for kind in KINDS for call in kind.calls}


def kind_of(call: str) -> Kind:
    """The kind of a call, or that of all others.

    Example:
        >>> kind_of("conv2d").name, kind_of("tanh").name, kind_of("fft_rfft").name
        ('convolution', 'activation', 'any other')
    """
    if call in _BY_CALL:
        return _BY_CALL[call]
    packet = getattr(torch.ops.aten, call, None)
    first = None if packet is None else getattr(packet, packet.overloads()[0])
    return ACTIVATION if first is not None and is_elementwise(first) else OTHER


def register_kind(kind: Kind, reader: Reader) -> None:
    """Let calls of an operator of your own be read, as ``torch.library`` makes them.

    Args:
        kind: with the names of the calls, and what theory covers of it.
        reader: adds the step and its record, or raises :class:`~freeness.torch.operations.kind.Unread`.
    """
    taken = [call for call in kind.calls if _BY_CALL.get(call, kind) != kind]
    if taken:
        raise InputError(
            f"expected calls that no other kind has, got {', '.join(taken)}; name your operator otherwise."
        )
    for call in kind.calls:
        _BY_CALL[call], READERS[call] = kind, reader


__all__ = ["ACTIVATION", "KINDS", "OTHER", "READERS", "Kind", "Theory", "TracedOperation", "kind_of", "register_kind"]
