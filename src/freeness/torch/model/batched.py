"""Many rows of a Jacobian in one backward pass."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge
from torch.nn.attention import SDPBackend, sdpa_kernel

from freeness.torch.model.pace import beat

_LOG = logging.getLogger(__name__)


def jacobian_rows(
    outputs: Tensor, inputs: Sequence[Tensor | GradientEdge], shapes: Sequence[torch.Size], rows: int
) -> list[Tensor]:
    """∂outputs/∂input of each input, (C, *shape), ``rows`` outputs at a time; zeros where there is no dependence.

    Rows are carried backward together (vmap); where an operation has no rule for that, one after the other.

    Example:
        >>> x = torch.ones(2, requires_grad=True)
        >>> jacobian_rows(3 * x, [x], [x.shape], 2)[0].tolist()
        [[3.0, 0.0], [0.0, 3.0]]
    """
    count = len(outputs)
    if inputs and outputs.requires_grad and 1 < count <= rows:
        parts = _together(outputs, inputs, torch.eye(count, dtype=outputs.dtype, device=outputs.device))
        if parts is not None:
            return [
                outputs.new_zeros(count, *shape) if part is None else part.detach()
                for part, shape in zip(parts, shapes, strict=True)
            ]
        rows = 1
    found = [outputs.new_zeros(count, *shape) for shape in shapes]
    if not inputs or not outputs.requires_grad:
        return found
    together = True
    for start in range(0, count, rows):
        stop = min(start + rows, count)
        directions = outputs.new_zeros(stop - start, count)
        directions[range(stop - start), range(start, stop)] = 1.0
        parts = _together(outputs, inputs, directions) if together and stop - start > 1 else None
        together = parts is not None or stop - start == 1
        beat(stop - start)
        if parts is None:
            for i in range(start, stop):
                _fill(found, slice(i, i + 1), _backward(outputs, inputs, directions[i - start], False))
        else:
            _fill(found, slice(start, stop), parts)
    return found


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention by plain products inside the block: torch's fused kernels go neither forward nor backward in batches."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def plain_recurrence(function: object) -> Iterator[None]:
    """Recurrent layers by plain products inside the block: torch's fused ones carry no derivative forward.

    ``function``: a module, or what holds one as ``model``; a block for another one does nothing.

    Example:
        >>> with plain_recurrence(nn.LSTM(2, 3)):
        ...     torch._C._get_mkldnn_enabled()
        False
    """
    module = getattr(function, "model", function)
    recurrent = isinstance(module, nn.Module) and any(isinstance(one, nn.RNNBase) for one in module.modules())
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(before and not recurrent)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


def _fill(found: list[Tensor], place: slice, parts: Sequence[Tensor | None]) -> None:
    for block, part in zip(found, parts, strict=True):
        if part is not None:
            block[place] = (part.to_dense() if part.is_sparse else part).detach()


def _backward(
    outputs: Tensor, inputs: Sequence[Tensor | GradientEdge], directions: Tensor, batched: bool
) -> Sequence[Tensor | None]:
    gradient: Any = torch.autograd.grad  # its stub has no inputs of both kinds
    return gradient(outputs, list(inputs), directions, retain_graph=True, allow_unused=True, is_grads_batched=batched)


def _together(
    outputs: Tensor, inputs: Sequence[Tensor | GradientEdge], directions: Tensor
) -> Sequence[Tensor | None] | None:
    """All directions at once, or None where vmap cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vmap tells of slow operations, which is no news for the user
        try:
            return _backward(outputs, inputs, directions, True)
        except (RuntimeError, NotImplementedError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            _LOG.info("no batched backward pass (%s)", str(error).splitlines()[:1])
            return None
