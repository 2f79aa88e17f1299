"""Products with a Jacobian from one graph that is kept."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.graph import GradientEdge

from freeness.errors import InputError, brief
from freeness.torch.model.batched import plain_recurrence
from freeness.torch.model.state import trained_parameters

_LOG = logging.getLogger(__name__)


def dense(gradient: Tensor) -> Tensor:
    """A gradient as one block of numbers: those of embeddings may be sparse.

    Example:
        >>> dense(torch.eye(2).to_sparse()).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return gradient.to_dense() if gradient.is_sparse else gradient


class Products(ABC):
    """v ↦ J v and u ↦ Jᵀu for J = ∂outputs/∂inputs, of a graph that is kept."""

    def __init__(
        self, outputs: Tensor, inputs: Sequence[Tensor | GradientEdge], shapes: Sequence[torch.Size] | None = None
    ) -> None:
        self.outputs, self.inputs = outputs, list(inputs)
        self._shapes = list(shapes or (one.shape for one in inputs if isinstance(one, Tensor)))
        self._sizes = [shape.numel() for shape in self._shapes]

    @property
    def size(self) -> int:
        """Numbers of all inputs."""
        return sum(self._sizes)

    def pull(self, direction: Tensor) -> Tensor:
        """Jᵀu as one vector, u in the shape of the outputs."""
        return torch.cat([part.reshape(-1) for part in self._pulled(direction)])

    def push(self, vector: Tensor) -> Tensor:
        """J v in the shape of the outputs, v one vector."""
        return self.along(self.parts(vector))

    @abstractmethod
    def along(self, parts: Sequence[Tensor]) -> Tensor:
        """J v in the shape of the outputs, v in the parts of the inputs."""

    def there_and_back(self, direction: Tensor, scale: Tensor | None = None) -> Tensor:
        """J P⁻¹Jᵀu without Jᵀu as one vector, which would be held twice.

        ``scale``: P as one vector; 1 when left out.
        """
        return self.along(self.back(direction, scale))

    def back(self, direction: Tensor, scale: Tensor | None = None) -> list[Tensor]:
        """P⁻¹Jᵀu in the parts of the inputs, with u and P as of :meth:`there_and_back`."""
        parts = list(self._pulled(direction))
        if scale is None:
            return parts
        return [part / one for part, one in zip(parts, self.parts(scale), strict=True)]

    def parts(self, vector: Tensor) -> list[Tensor]:
        """A vector in the parts of the inputs, at even places of memory: pairs of numbers may be seen as complex ones."""
        parts = (part.clone() if part.storage_offset() % 2 else part for part in vector.split(self._sizes))
        return [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def _check(self) -> None:
        """u·J(Jᵀu) = ‖Jᵀu‖²: an operation may have a backward pass whose derivative is missing without a word."""
        outputs, generator = self.outputs, torch.Generator().manual_seed(0)
        u = torch.randn(outputs.shape, generator=generator, dtype=torch.float64).to(outputs.device, outputs.dtype)
        pulled = list(self._pulled(u))
        wide = torch.float32 if outputs.device.type == "mps" else torch.float64  # float32 loses 1e-3 over 10⁷ numbers
        norm = torch.stack([torch.linalg.vector_norm(part, dtype=wide) for part in pulled]).norm()
        if norm > 0 and bool(norm.isfinite()):
            parts = [pulled.pop(0) / norm.to(outputs.dtype) for _ in self._shapes]  # weights may be large: held once
            found = (u * self.along(parts)).sum(dtype=wide) / norm
            if abs(float(found) - 1) > torch.finfo(outputs.dtype).eps ** 0.5:
                raise RuntimeError("the derivative of an operation's backward pass is missing")

    def _pulled(self, direction: Tensor, create_graph: bool = False) -> tuple[Tensor, ...]:
        if not self.outputs.requires_grad:  # they do not depend on the inputs
            return tuple(self.outputs.new_zeros(shape) for shape in self._shapes)
        gradient: Any = torch.autograd.grad  # its stub has no inputs of both kinds
        found = gradient(
            self.outputs, self.inputs, direction, create_graph=create_graph, retain_graph=True, allow_unused=True
        )
        shaped = zip(found, self._shapes, strict=True)
        return tuple(self.outputs.new_zeros(shape) if part is None else dense(part) for part, shape in shaped)


class JacobianProducts(Products):
    """Products by one graph: J v is the derivative of u ↦ Jᵀu, which is linear.

    Raises:
        RuntimeError: an operation whose backward pass has no derivative, or a wrong one.

    Example:
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> products = JacobianProducts(x**2, [x])
        >>> products.push(torch.ones(2)), products.pull(torch.ones(2))
        (tensor([2., 4.]), tensor([2., 4.]))
    """

    def __init__(
        self,
        outputs: Tensor,
        inputs: Sequence[Tensor | GradientEdge],
        shapes: Sequence[torch.Size] | None = None,
        *,
        checked: bool = False,
    ) -> None:
        super().__init__(outputs, inputs, shapes)
        self._direction = torch.zeros_like(outputs, requires_grad=True)
        back = self._pulled(self._direction, create_graph=True)
        self._back = [(place, part) for place, part in enumerate(back) if part.requires_grad]
        if not checked:
            self._check()

    def along(self, parts: Sequence[Tensor]) -> Tensor:
        if not self._back:
            return torch.zeros_like(self.outputs)
        (pushed,) = torch.autograd.grad(
            [part for _, part in self._back],
            self._direction,
            [parts[place] for place, _ in self._back],
            retain_graph=True,
            materialize_grads=True,
        )
        return pushed


class ForwardProducts(Products):
    """Products with ∂model(x)/∂parameters: Jᵀu by the graph of the outputs, J v by a forward pass with derivatives.

    Slower than :class:`JacobianProducts`, and asks for no derivative of a backward pass.

    ``checked``: its operations are known to have these derivatives, as other samples showed.

    Raises:
        RuntimeError: an operation without a forward derivative, or with a wrong one.

    Source: Griewank, Walther, Evaluating Derivatives, 2008, §3.1 (dual numbers).

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> ForwardProducts(model, torch.tensor([[3.0, 4.0]])).push(torch.tensor([1.0, 2.0]))
        tensor([[11.]])
    """

    def __init__(self, model: nn.Module, x: Tensor, *, checked: bool = False) -> None:
        named = trained_parameters(model)
        super().__init__(model(x), list(named.values()))
        self._model, self._x, self._names = model, x, list(named)
        if not checked:
            self._check()

    def along(self, parts: Sequence[Tensor]) -> Tensor:
        return _pushed(self._model, self._x, dict(zip(self._names, parts, strict=True)))


class DifferenceProducts(Products):
    """Products with ∂model(x)/∂parameters: Jᵀu by the graph of the outputs, J v by central differences in float64.

    For operations that have neither a forward derivative nor a second one, as embedding bags. Off by about 1e-9.

    Raises:
        RuntimeError: an operation without float64, or one that is not smooth.

    Source: Griewank, Walther, Evaluating Derivatives, 2008, §1 (differences).

    Example:
        >>> DifferenceProducts(nn.Linear(2, 1, bias=False), torch.tensor([[3.0, 4.0]])).push(torch.tensor([1.0, 2.0]))
        tensor([[11.]])
    """

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        named = trained_parameters(model)
        super().__init__(model(x), list(named.values()))
        self._model, self._names = model, list(named)
        self._x = x.double() if x.is_floating_point() else x
        self._wide = {name: _widened(one) for name, one in (*model.named_parameters(), *model.named_buffers())}
        self._check()

    def along(self, parts: Sequence[Tensor]) -> Tensor:
        moved = dict(zip(self._names, (part.double() for part in parts), strict=True))
        norms = [torch.stack([one.norm() for one in group]).norm() for group in (moved.values(), self._lengths)]
        if not bool(norms[0]):
            return torch.zeros_like(self.outputs)
        step = float(torch.finfo(torch.float64).eps ** (1 / 3) * (norms[1] + 1) / norms[0])
        ahead, behind = self._at(moved, step), self._at(moved, -step)
        return ((ahead - behind) / (2 * step)).to(self.outputs.dtype)

    @property
    def _lengths(self) -> list[Tensor]:
        return [self._wide[name] for name in self._names]

    def _at(self, moved: dict[str, Tensor], step: float) -> Tensor:
        tensors = {name: one + step * moved[name] if name in moved else one for name, one in self._wide.items()}
        with torch.no_grad():
            return torch.func.functional_call(self._model, tensors, (self._x,), tie_weights=True)


def _widened(tensor: Tensor) -> Tensor:
    found = tensor.detach()
    return found.double() if found.is_floating_point() else found


class PartedProducts(Products):
    """Products with ∂model(x)/∂parameters of a batch that is run in parts, of which no graph is kept: little is held at a time.

    Its samples do not see each other; ``size`` of them are a part.

    Raises:
        RuntimeError: as :class:`ForwardProducts`.

    Example:
        >>> products = PartedProducts(nn.Linear(2, 1, bias=False), torch.tensor([[3.0, 4.0], [1.0, 0.0]]), 1)
        >>> products.push(torch.tensor([1.0, 2.0])).tolist(), products.pull(torch.ones(2, 1)).tolist()
        ([[11.0], [1.0]], [4.0, 4.0])
    """

    def __init__(self, model: nn.Module, x: Tensor, size: int, *, checked: bool = False) -> None:
        named = trained_parameters(model)
        with torch.no_grad():
            outputs = torch.cat([model(part) for part in x.split(size)])
        super().__init__(outputs, list(named.values()))
        self._tensors = list(named.values())
        self._model, self._names, self._rows, self._size = model, list(named), x.split(size), size
        if not checked:
            self._check()

    def _pulled(self, direction: Tensor, create_graph: bool = False) -> tuple[Tensor, ...]:
        total: list[Tensor] = []
        for part, along in zip(self._rows, direction.split(self._size), strict=True):
            with torch.enable_grad():
                outputs = self._model(part)
            found = list(map(dense, torch.autograd.grad(outputs, self._tensors, along, materialize_grads=True)))
            del outputs
            total = [found.pop(0) + one for one in total] if total else found
        return tuple(total)

    def along(self, parts: Sequence[Tensor]) -> Tensor:
        moved = dict(zip(self._names, parts, strict=True))
        return torch.cat([_pushed(self._model, part, moved) for part in self._rows])


def _pushed(model: nn.Module, x: Tensor, moved: dict[str, Tensor]) -> Tensor:
    """The derivative of model(x) as its parameters move."""
    with torch.no_grad(), plain_recurrence(model), forward_ad.dual_level():
        named = {name: forward_ad.make_dual(model.get_parameter(name).detach(), v) for name, v in moved.items()}
        outputs = torch.func.functional_call(model, named, (x,), tie_weights=True)
        primal, pushed = forward_ad.unpack_dual(outputs)
    return torch.zeros_like(primal) if pushed is None else pushed


class InputProducts(Products):
    """Products with ∂function(x)/∂x: Jᵀu by the graph of the outputs, J v by a forward pass with derivatives.

    Raises:
        RuntimeError: an operation without a forward derivative, or with a wrong one.

    Example:
        >>> InputProducts(torch.square, torch.tensor([3.0, 4.0])).push(torch.ones(2))
        tensor([6., 8.])
    """

    def __init__(self, function: Callable[[Tensor], Tensor], x: Tensor) -> None:
        point = x.detach().clone().requires_grad_()
        super().__init__(function(point), [point])
        self._function, self._x = function, x.detach()
        self._check()

    def along(self, parts: Sequence[Tensor]) -> Tensor:
        with torch.no_grad(), plain_recurrence(self._function), forward_ad.dual_level():
            outputs = self._function(forward_ad.make_dual(self._x, parts[0]))
            pushed = forward_ad.unpack_dual(outputs).tangent
        return torch.zeros_like(self.outputs) if pushed is None else pushed


def input_products(function: Callable[[Tensor], Tensor], x: Tensor) -> Products:
    """Products with ∂function(x)/∂x, J v going forward, or by the derivative of the backward pass.

    Raises:
        RuntimeError: an operation that has neither.
        NotImplementedError: the same.

    Example:
        >>> input_products(torch.square, torch.tensor([3.0, 4.0])).pull(torch.ones(2))
        tensor([6., 8.])
    """
    try:
        return InputProducts(function, x)
    except (RuntimeError, NotImplementedError, InputError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        _LOG.info("no forward derivative (%s), by that of the backward pass", brief(error))
    point = x.detach().clone().requires_grad_()
    return JacobianProducts(function(point), [point])


Way: TypeAlias = Callable[[nn.Module, Tensor], Products]


def light_products(model: nn.Module, x: Tensor, known: type[Products] | None = None) -> Products:
    """Products with ∂model(x)/∂parameters that hold one graph, J v by a forward pass with derivatives.

    Where an operation has no forward derivative, by that of the backward pass.

    ``known``: what this gave for other samples of the model, which saves the check.

    Raises:
        RuntimeError: an operation that has neither.
        NotImplementedError: the same.

    Example:
        >>> light_products(nn.Linear(2, 1), torch.zeros(1, 2)).push(torch.ones(3))
        tensor([[1.]])
    """
    if known is JacobianProducts:
        return _first_that_works(partial(_backward, checked=True), _forward, model, x)
    return _first_that_works(partial(_forward, checked=known is ForwardProducts), _backward, model, x)


def parameter_products(model: nn.Module, x: Tensor) -> Products:
    """Products with ∂model(x)/∂parameters, by the derivative of the backward pass, or going forward where it has none.

    Raises:
        RuntimeError: an operation that has neither.
        NotImplementedError: the same.

    Example:
        >>> parameter_products(nn.Linear(2, 1), torch.zeros(1, 2)).push(torch.ones(3))
        tensor([[1.]])
    """
    return _first_that_works(_backward, _forward, model, x)


def _forward(model: nn.Module, x: Tensor, *, checked: bool = False) -> Products:
    return ForwardProducts(model, x, checked=checked)


def _backward(model: nn.Module, x: Tensor, *, checked: bool = False) -> Products:
    return JacobianProducts(model(x), list(trained_parameters(model).values()), checked=checked)


def _first_that_works(way: Way, other: Way, model: nn.Module, x: Tensor) -> Products:
    with torch.enable_grad():
        try:
            return way(model, x)
        except (RuntimeError, NotImplementedError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            _LOG.info("no derivative that way (%s), taking the other", brief(error))
        try:
            return other(model, x)
        except (RuntimeError, NotImplementedError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            _LOG.info("nor that way (%s), taking differences", brief(error))
            try:
                return DifferenceProducts(model, x)
            except (RuntimeError, NotImplementedError, InputError):
                raise error from None
