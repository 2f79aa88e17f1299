"""What a measurement will hold in memory, said before it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from freeness.errors import InputError

_SHARE = 0.8  # of the memory that is free


@dataclass(frozen=True)
class MemoryPlan:
    """The memory of a measurement beyond the model, by what is held; an estimate.

    ``passes``: backward passes over which the layers are spread, which divides what is held of them at a time.

    Example:
        >>> plan = MemoryPlan((("cotangents", 3_000_000), ("Gram matrix", 800)), passes=2)
        >>> plan.bytes, str(plan)
        (3000800, '3 MB in 2 passes (cotangents 3 MB, Gram matrix 800 B)')
    """

    parts: tuple[tuple[str, int], ...]
    passes: int = 1

    @property
    def bytes(self) -> int:
        """All together."""
        return sum(size for _, size in self.parts)

    def __str__(self) -> str:
        held = ", ".join(f"{what} {readable(size)}" for what, size in self.parts if size)
        return f"{readable(self.bytes)} in {self.passes} pass{'es' * (self.passes > 1)} ({held})"


def readable(size: float) -> str:
    """Bytes for reading.

    Example:
        >>> readable(1_234_567), readable(12)
        ('1.23 MB', '12 B')
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} B"


def available_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device, or None where the system does not say.

    Example:
        >>> (available_memory(torch.device("cpu")) or 1) > 0
        True
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):  # not Linux
        return None


def check_memory(plan: MemoryPlan, smaller: Iterable[MemoryPlan], limit: int | None, device: torch.device) -> None:
    """Refuse a plan that does not fit, and name one that does where there is one.

    ``smaller``: other plans, each holding less than the one before; ``limit``: bytes, four fifths of what is free when left
    out.
    """
    free = available_memory(device) if limit is None else None
    allowed = limit if free is None else int(_SHARE * free)
    if allowed is None or plan.bytes <= allowed:
        return
    fitting = next((other for other in smaller if other.bytes <= allowed), None)
    offer = (
        "no plan fits: measure fewer outputs or samples, or in a smaller dtype"
        if fitting is None
        else f"pass passes={fitting.passes}, which is estimated to hold {fitting}"
    )
    raise InputError(f"expected a plan of at most {readable(allowed)} of memory, got an estimate of {plan}; {offer}.")
