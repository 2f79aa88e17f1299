"""Products with a Jacobian from one graph that is kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class JacobianProducts:
    """v ↦ J v and u ↦ Jᵀu for J = ∂outputs/∂inputs; J v is the derivative of u ↦ Jᵀu, which is linear.

    Args:
        outputs: of a graph, which is kept.
        inputs: tensors of this graph.

    Raises:
        RuntimeError: an operation whose backward pass has no derivative, or a wrong one.

    Example:
        >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
        >>> products = JacobianProducts(x**2, [x])
        >>> products.push(torch.ones(2)), products.pull(torch.ones(2))
        (tensor([2., 4.]), tensor([2., 4.]))
    """

    def __init__(self, outputs: Tensor, inputs: Sequence[Tensor]) -> None:
        self.outputs, self.inputs = outputs, list(inputs)
        self._sizes = [tensor.numel() for tensor in inputs]
        self._direction = torch.zeros_like(outputs, requires_grad=True)
        back = self._pulled(self._direction, create_graph=True)
        self._back = [(place, part) for place, part in enumerate(back) if part.requires_grad]
        self._check()

    @property
    def size(self) -> int:
        """Numbers of all inputs."""
        return sum(self._sizes)

    def pull(self, direction: Tensor) -> Tensor:
        """Jᵀu as one vector, u in the shape of the outputs."""
        return torch.cat([part.reshape(-1) for part in self._pulled(direction)])

    def push(self, vector: Tensor) -> Tensor:
        """J v in the shape of the outputs, v one vector."""
        if not self._back:
            return torch.zeros_like(self.outputs)
        parts = vector.split(self._sizes)
        given = [parts[place].reshape(self.inputs[place].shape) for place, _ in self._back]
        (pushed,) = torch.autograd.grad(
            [part for _, part in self._back], self._direction, given, retain_graph=True, materialize_grads=True
        )
        return pushed

    def _check(self) -> None:
        """u·J(Jᵀu) = ‖Jᵀu‖²: an operation may have a backward pass whose derivative is missing without a word."""
        outputs, generator = self.outputs, torch.Generator().manual_seed(0)
        u = torch.randn(outputs.shape, generator=generator, dtype=torch.float64).to(outputs.device, outputs.dtype)
        pulled = self.pull(u)
        norm = pulled.norm()
        if norm > 0 and bool(norm.isfinite()):
            found = (u * self.push(pulled / norm)).sum() / norm
            if abs(float(found) - 1) > torch.finfo(outputs.dtype).eps ** 0.5:
                raise RuntimeError("the derivative of an operation's backward pass is missing")

    def _pulled(self, direction: Tensor, create_graph: bool = False) -> tuple[Tensor, ...]:
        if not self.outputs.requires_grad:  # they do not depend on the inputs
            return tuple(map(torch.zeros_like, self.inputs))
        return torch.autograd.grad(
            self.outputs, self.inputs, direction, create_graph=create_graph, retain_graph=True, materialize_grads=True
        )
