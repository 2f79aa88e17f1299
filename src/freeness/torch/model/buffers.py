"""Buffers that a forward pass writes and then reads, as averages over batches are: every pass starts from the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_SMALL = 1 << 20  # numbers of a buffer that is kept: larger ones are masks and tables


@contextmanager
def same_buffers(model: nn.Module) -> Iterator[None]:
    """A block in which every forward pass starts from the buffers as they are now; afterwards they are as before.

    A pass gets copies of those that another one wrote to, so that a graph of the other may still go backward. Statistics of
    batch normalisation are not followed: nothing reads them in training mode.

    Example:
        >>> class Counting(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.register_buffer("seen", torch.zeros(()))
        ...     def forward(self, x):
        ...         return x + self.seen.add_(1)
        >>> with same_buffers(model := Counting()):
        ...     passes = [float(model(torch.zeros(()))) for _ in range(3)]
        >>> passes, float(model.seen)
        ([1.0, 1.0, 1.0], 0.0)
    """
    kept = [
        _Kept(module, name)
        for module in model.modules()
        for name, value in module._buffers.items()
        if value is not None and value.numel() <= _SMALL and not value.is_inference()
    ]

    def begin(*_: object) -> None:
        for one in kept:
            one.begin()

    def end(*_: object) -> None:
        for one in kept:
            one.end()

    with model.register_forward_pre_hook(begin), model.register_forward_hook(end, always_call=True):
        yield
        for one in kept:
            one.restore()


class _Kept:
    """One buffer: the tensor itself, its values, and the one that a pass began with."""

    def __init__(self, module: nn.Module, name: str) -> None:
        self._registry, self._name = module._buffers, name
        value = module._buffers[name]
        assert value is not None
        self._value: Tensor = value
        self._copy, self._version = value.detach().clone(), value._version
        self._begun: Tensor | None = self._value

    def begin(self) -> None:
        """Of a pass; other tensors in its place, as those of a functional call, stay."""
        now = self._registry.get(self._name)
        ours = now is self._value or now is self._begun
        if now is not None and ours and now._version != (self._version if now is self._value else 0):
            now = self._registry[self._name] = self._copy.clone()
        self._begun = now

    def end(self) -> None:
        """Of a pass: a buffer that was replaced comes back."""
        if self._name in self._registry and self._registry[self._name] is not self._begun:
            self._registry[self._name] = self._begun

    def restore(self) -> None:
        """As before the block."""
        self._registry[self._name] = self._value
        if self._value._version != self._version:
            with torch.no_grad():
                self._value.copy_(self._copy)
