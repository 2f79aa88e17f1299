"""Where a model uses its parameters: inputs of linear layers, convolutions and embeddings, noted as it runs.

The gradient of a weight at one place is a sum over positions of outer products, dW = Σ_t (∂f/∂y_t) x_tᵀ. So the input x and the
cotangent ∂f/∂y say all of it, and J_θ is never formed. Every other use of a parameter is left to automatic differentiation.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class Use(ABC):
    """One place where a parameter is used; ``cotangent`` is (C, *``shape``), ∂f/∂y of what the place returns."""

    shape: torch.Size

    @abstractmethod
    def gradient(self, cotangent: Tensor, rows: slice) -> Tensor:
        """Gradients of all outputs, (C, rows, …), by a stretch of the parameter's first dimension."""

    def by_positions(self, outputs: int, samples: int) -> bool:
        """Whether Gram matrices over positions cost fewer multiplications than gradients."""
        return False

    def formed(self, outputs: int) -> float:
        """Multiplications of the gradients of so many outputs, and numbers read where there are none."""
        return float(outputs * self.shape.numel())

    def paired(self, outputs: int) -> float:
        """Multiplications of a sample's Gram matrix over positions."""
        return math.inf

    def product(self, cotangent: Tensor, other: Use, second: Tensor) -> Tensor:
        """⟨gradient, gradient of ``other``⟩, (C, C'), without forming either; only where ``by_positions``."""
        raise AssertionError("a place that prefers positions has a product of its own")

    @property
    def held(self) -> int:
        """Numbers that the place keeps of the forward pass."""
        return 0

    @property
    def unfolded(self) -> int:
        """Numbers of the largest copy that the place makes of its input."""
        return self.held


@dataclass(eq=False)
class BiasUse(Use):
    """A bias of every position; ``axis`` of the output counts its entries."""

    shape: torch.Size
    axis: int

    def gradient(self, cotangent: Tensor, rows: slice) -> Tensor:
        """Sums over positions."""
        return cotangent.movedim(self.axis, 1).unsqueeze(-1).flatten(2).sum(2)[:, rows]


@dataclass(eq=False)
class ParameterUse(Use):
    """Any use: the cotangent is the gradient itself."""

    shape: torch.Size

    def gradient(self, cotangent: Tensor, rows: slice) -> Tensor:
        """A part of it."""
        return cotangent.reshape(len(cotangent), self.shape[0] if self.shape else 1, -1)[:, rows]


@dataclass(eq=False)
class EmbeddingUse(Use):
    """Rows of a table, taken by number."""

    shape: torch.Size
    tokens: Tensor
    padding: int | None

    def gradient(self, cotangent: Tensor, rows: slice) -> Tensor:
        """Cotangents added to the rows that were taken."""
        flat = cotangent.reshape(len(cotangent), self.tokens.numel(), -1)
        tokens = self.tokens.reshape(-1)
        here = (tokens >= rows.start) & (tokens < rows.stop)
        if self.padding is not None:
            here &= tokens != self.padding
        gradient = flat.new_zeros(len(flat), rows.stop - rows.start, flat.shape[-1])
        return gradient.index_add_(1, tokens[here] - rows.start, flat[:, here])


class _Products(Use):
    """y_t = W u_t at every position t, in groups of channels: u is (groups, T, K), W is (groups·O, K)."""

    x: Tensor
    groups: int

    @abstractmethod
    def inputs(self) -> Tensor:
        """u."""

    @abstractmethod
    def split(self, cotangent: Tensor) -> Tensor:
        """The cotangent as (C, groups, T, O)."""

    @property
    @abstractmethod
    def sizes(self) -> tuple[int, int, int]:
        """T, K and O."""

    @property
    def held(self) -> int:
        return self.x.numel()

    def gradient(self, cotangent: Tensor, rows: slice) -> Tensor:
        u, dy = self.inputs().to(cotangent.dtype), self.split(cotangent)
        height = dy.shape[3]
        first, last = rows.start // height, -(-rows.stop // height)
        if last - first == 1:  # within one group: only these rows
            inner = slice(rows.start - first * height, rows.stop - first * height)
            return torch.einsum("cto,tk->cok", dy[:, first, :, inner], u[first])
        formed = torch.einsum("cgto,gtk->cgok", dy[:, first:last], u[first:last]).flatten(1, 2)
        return formed[:, rows.start - first * height : rows.stop - first * height]

    def by_positions(self, outputs: int, samples: int) -> bool:
        _, k, o = self.sizes
        rows = samples * outputs
        return samples**2 * self.paired(outputs) < samples * self.formed(outputs) + rows**2 * o * k

    def formed(self, outputs: int) -> float:
        t, k, o = self.sizes
        return float(outputs * o * k * t)

    def paired(self, outputs: int) -> float:
        t, k, o = self.sizes
        return float(t * (self.groups * t * k + outputs * t * o + outputs**2 * o))

    def product(self, cotangent: Tensor, other: Use, second: Tensor) -> Tensor:
        assert isinstance(other, _Products)
        u, v = self.inputs().to(cotangent.dtype), other.inputs().to(cotangent.dtype)
        dy, dz = self.split(cotangent), other.split(second)
        kernel = u @ v.transpose(1, 2)
        return (kernel.transpose(1, 2) @ dy).flatten(1) @ dz.flatten(1).T


@dataclass(eq=False)
class LinearUse(_Products):
    """functional.linear."""

    shape: torch.Size
    x: Tensor
    groups: int = 1

    def inputs(self) -> Tensor:
        return self.x.reshape(1, -1, self.x.shape[-1])

    def split(self, cotangent: Tensor) -> Tensor:
        return cotangent.reshape(len(cotangent), 1, -1, self.shape[-1])

    @property
    def sizes(self) -> tuple[int, int, int]:
        return math.prod(self.shape[:-1]), self.x.shape[-1], self.shape[-1]


@dataclass(eq=False)
class ConvolutionUse(_Products):
    """functional.conv1d, conv2d, conv3d: positions see windows of the padded input."""

    shape: torch.Size
    x: Tensor
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def inputs(self) -> Tensor:
        dimensions = len(self.kernel)
        # torch pads more at the end where "same" asks for an odd number of zeros
        ends = [(p // 2, p - p // 2) for p in self.padding]
        x = functional.pad(self.x, [side for pair in reversed(ends) for side in pair])
        for axis, (taps, step, apart) in enumerate(zip(self.kernel, self.stride, self.dilation, strict=True)):
            x = x.unfold(2 + axis, (taps - 1) * apart + 1, step)[..., ::apart]
        x = x.unflatten(1, (self.groups, -1))  # (B, groups, channels, *positions, *taps)
        positions = range(3, 3 + dimensions)
        x = x.permute(1, 0, *positions, 2, *range(3 + dimensions, 3 + 2 * dimensions))
        return x.flatten(2 + dimensions).flatten(1, 1 + dimensions)

    def split(self, cotangent: Tensor) -> Tensor:
        dy = cotangent.reshape(len(cotangent), *self._batched).unflatten(2, (self.groups, -1))
        return dy.flatten(4).permute(0, 2, 1, 4, 3).flatten(2, 3)

    @property
    def unfolded(self) -> int:
        t, k, _ = self.sizes
        return self.groups * t * k

    @property
    def _batched(self) -> tuple[int, ...]:
        return tuple(self.shape) if len(self.shape) == len(self.kernel) + 2 else (1, *self.shape)

    @property
    def sizes(self) -> tuple[int, int, int]:
        batch, channels, *positions = self._batched
        return batch * math.prod(positions), self.x.shape[1] // self.groups * math.prod(self.kernel), channels


@dataclass(frozen=True, eq=False)
class Tap:
    """A use of the parameter ``name``; ``edge`` is where its cotangent arrives in the graph of the backward pass."""

    name: str
    use: Use
    edge: GradientEdge


class Taps(TorchFunctionMode):
    """Notes the uses of ``parameters`` (by id: name) while a model runs, and keeps autograd from doing them once more."""

    def __init__(self, parameters: Mapping[int, str]) -> None:
        super().__init__()
        self.parameters, self.taps = parameters, list[Tap]()
        self.versions: list[tuple[Tensor, int]] = []
        self.backward = False  # whether the model goes backward itself: its uses are not all of its calls then

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run ``func``; the weights of a tapped call are constants for autograd, and its output is watched."""
        self.backward |= func is torch.autograd.grad or func is Tensor.backward
        bound = dict(zip(TAPPED.get(func, ()), args, strict=False)) | (kwargs or {})
        names = {key: self.parameters.get(id(bound.get(key)), "") for key in ("weight", "bias")}
        if func not in TAPPED or not any(names.values()) or not torch.is_grad_enabled() or not _plain(func, bound):
            return func(*args, **(kwargs or {}))
        given = bound | {key: bound[key].detach() for key, name in names.items() if name}
        y = func(**_positional(func, given))
        if not y.requires_grad or y._is_view():  # a write in place parts a view from its edge
            y = y + torch.zeros((), dtype=y.dtype, device=y.device, requires_grad=True)
        edge = get_gradient_edge(y)
        if names["weight"]:
            use = _use(func, bound, y.shape)
            self.taps.append(Tap(names["weight"], use, edge))
            if isinstance(use, _Products):
                self.versions.append((bound["input"], bound["input"]._version))
        if names["bias"]:
            axis = -1 if func is functional.linear else -bound["weight"].ndim + 1
            self.taps.append(Tap(names["bias"], BiasUse(y.shape, axis), edge))
        return y

    @property
    def overwritten(self) -> bool:
        """Whether the model wrote to an input that a gradient needs."""
        return any(tensor._version != version for tensor, version in self.versions)


_CONVOLUTION = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
TAPPED: dict[Callable[..., Any], tuple[str, ...]] = {
    functional.linear: ("input", "weight", "bias"),
    functional.conv1d: _CONVOLUTION,
    functional.conv2d: _CONVOLUTION,
    functional.conv3d: _CONVOLUTION,
    functional.embedding: (
        "input",
        "weight",
        "padding_idx",
        "max_norm",
        "norm_type",
        "scale_grad_by_freq",
        "sparse",
    ),
}
"""Calls whose gradients are taken layer by layer, with the names of their arguments."""


def _positional(func: Callable[..., Any], bound: dict[str, Any]) -> dict[str, Any]:
    return {name: bound[name] for name in TAPPED[func] if name in bound}


def _plain(func: Callable[..., Any], bound: dict[str, Any]) -> bool:
    """Whether the call is the usual kind: real tensors, a two-dimensional weight, no renormalised tables."""
    if func is functional.embedding:
        return not any(bound.get(key) for key in ("max_norm", "scale_grad_by_freq"))
    x = bound["input"]
    return (
        type(x) in (Tensor, nn.Parameter)
        and not x.is_complex()
        and not is_functorch_wrapped_tensor(x)  # of torch.func, whose derivatives know of the weight
        and (func is not functional.linear or bound["weight"].ndim == 2)
    )


def _use(func: Callable[..., Any], bound: dict[str, Any], shape: torch.Size) -> Use:
    x, weight = bound["input"].detach(), bound["weight"]
    if func is functional.embedding:
        padding = bound.get("padding_idx")
        return EmbeddingUse(shape, x, padding if padding is None or padding >= 0 else len(weight) + padding)
    if func is functional.linear:
        return LinearUse(shape, x)
    kernel = tuple(weight.shape[2:])
    stride, dilation = (each(bound.get(key, 1), len(kernel)) for key in ("stride", "dilation"))
    padding = bound.get("padding", 0)
    if padding == "same":
        total = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    else:
        total = tuple(2 * p for p in each(0 if padding == "valid" else padding, len(kernel)))
    batched = x if x.ndim == len(kernel) + 2 else x[None]
    return ConvolutionUse(shape, batched, kernel, stride, total, dilation, bound.get("groups", 1))


def each(value: int | tuple[int, ...], count: int) -> tuple[int, ...]:
    """A number for every dimension."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * count if len(values) == 1 else values
