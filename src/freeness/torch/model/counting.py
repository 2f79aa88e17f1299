"""What one forward pass counts: operations, numbers moved, numbers kept for going backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from freeness.errors import InputError
from freeness.torch.model.state import untouched

_FORBIDDEN = "saved tensor hooks"


@dataclass(frozen=True)
class Counts:
    """Of one forward pass: floating-point operations of products, and of convolutions in groups; bytes written; calls.

    ``saved``: bytes that are kept for going backward, without the parameters. ``read``: bytes of weights that one call reads
    again in each of its steps, for however many samples, as a fused recurrent layer does.
    """

    dense: float
    grouped: float
    moved: float
    calls: int
    saved: float
    read: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        mine, yours = vars(self).values(), vars(other).values()
        return Counts(*(a + b for a, b in zip(mine, yours, strict=True)))

    def more_than(self, other: Counts, share: float) -> Counts:
        """This share of what it counts more than another one."""
        found = {name: max(value - getattr(other, name), 0) * share for name, value in vars(self).items()}
        return replace(Counts(**found), calls=round(found["calls"]))

    def times(self, factor: float) -> Counts:
        """Of so many samples at once: calls, and what their steps read, stay."""
        grown = self.dense * factor, self.grouped * factor, self.moved * factor
        return Counts(*grown, self.calls, self.saved * factor, self.read)

    @property
    def work(self) -> float:
        """Floating-point operations."""
        return self.dense + self.grouped


class _Counting(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.dense = self.grouped = self.moved = self.read = 0.0
        self.calls = 0

    @property
    def counts(self) -> Counts:
        return Counts(self.dense, self.grouped, self.moved, self.calls, 0.0, self.read)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        returned = func(*args, **(kwargs or {}))
        if func.is_view:
            return returned
        self.calls += 1
        self.moved += sum(_bytes(one) for one in tree_leaves(returned) if isinstance(one, Tensor))
        if func._overloadpacket is torch.ops.aten.mkldnn_rnn_layer:  # torch has no formula for it
            x, into, over = args[:3]
            self.dense += 2.0 * x.shape[:-1].numel() * (into.numel() + over.numel())
            self.read += float(x.shape[0] * _bytes(over))  # places come first
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            counted = float(formula(*args, **(kwargs or {}), out_val=returned))
            if func._overloadpacket is torch.ops.aten.convolution and args[8] > 1:
                self.grouped += counted
            else:
                self.dense += counted
        return returned


def counted(model: nn.Module, inputs: Tensor) -> Counts:
    """Count one forward pass in eval mode.

    Example:
        >>> found = counted(nn.Linear(3, 2), torch.ones(4, 3))
        >>> found.dense, found.moved, found.saved
        (48.0, 32.0, 48.0)
    """
    parameters = {parameter.data_ptr() for parameter in model.parameters()}
    saved = 0.0
    kept: set[tuple[int, int]] = set()

    def pack(tensor: Tensor) -> Tensor:
        nonlocal saved
        place = (tensor.data_ptr(), tensor.numel())
        if tensor.data_ptr() not in parameters and place not in kept:
            kept.add(place)
            saved += _bytes(tensor)
        return tensor

    counting = _Counting()
    copies = list(model.buffers())
    with untouched(model, copies=copies), torch.enable_grad(), counting:
        if not watched(lambda: model(inputs), pack, _same):
            saved = counting.moved
    return replace(counting.counts, saved=saved)


def counts_of(compute: Callable[[], object]) -> Counts:
    """What a computation counts; nothing is known of what it keeps.

    Example:
        >>> counts_of(lambda: torch.ones(3).exp().reshape(1, 3)).calls
        2
    """
    with _Counting() as counting:
        compute()
    return counting.counts


def watched(compute: Callable[[], object], pack: Callable[[Tensor], Any], unpack: Callable[[Any], Tensor]) -> bool:
    """Run something under hooks on what is kept for going backward; without them, and False, where torch.func forbids them.

    Example:
        >>> watched(lambda: torch.func.grad(torch.sin)(torch.ones(())), _same, _same)
        False
    """
    try:
        with saved_tensors_hooks(pack, unpack):
            compute()
    except (RuntimeError, InputError) as error:
        if _FORBIDDEN not in str(error) and _FORBIDDEN not in str(error.__cause__):
            raise
        compute()
        return False
    return True


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
