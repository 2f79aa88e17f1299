"""A loss as a function of the outputs: its slope, and products with its Hessian."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from freeness.errors import InputError, brief

_LOG = logging.getLogger(__name__)


class OutputHessian:
    """v ↦ ∂²L/∂f² v by differentiating the slope; by central differences of it in float64 where torch has no second derivative.

    Some losses have none, as that of connectionist temporal classification. Differences are off by about 1e-9.

    Source: Griewank, Walther, Evaluating Derivatives, 2008, §1 (differences).

    Example:
        >>> found = OutputHessian(lambda f: f.pow(3).sum(), torch.ones(2))
        >>> found.slope.tolist(), found(torch.tensor([1.0, 0.0])).tolist()
        ([3.0, 3.0], [6.0, 0.0])
    """

    def __init__(self, loss: Callable[[Tensor], Tensor], outputs: Tensor) -> None:
        self._loss, self._point = loss, outputs.detach().clone().requires_grad_()
        with torch.enable_grad():
            value = loss(self._point)
            if not value.requires_grad:
                raise InputError(
                    "expected a loss that depends on the outputs, got one that does not; check the function."
                )
            (self._slope,) = torch.autograd.grad(value, self._point, create_graph=True)
        self._differs = False

    @property
    def slope(self) -> Tensor:
        """∂L/∂f."""
        return self._slope.detach()

    def __call__(self, vector: Tensor) -> Tensor:
        """One product; 0 of a loss that is linear in the outputs."""
        if not self._slope.requires_grad:
            return torch.zeros_like(self._slope)
        if not self._differs:
            try:
                return torch.autograd.grad(self._slope, self._point, vector, retain_graph=True, materialize_grads=True)[
                    0
                ]
            except RuntimeError as error:
                if isinstance(error, torch.OutOfMemoryError):
                    raise
                _LOG.info("no second derivative of the loss (%s), by differences", brief(error))
                self._differs = True
        return self._difference(vector)

    def _difference(self, vector: Tensor) -> Tensor:
        along, point = vector.double(), self._point.detach().double()
        length = float(along.norm())
        if length == 0:
            return torch.zeros_like(vector)
        step = torch.finfo(torch.float64).eps ** (1 / 3) * (1 + float(point.norm())) / length
        return ((self._at(point + step * along) - self._at(point - step * along)) / (2 * step)).to(vector.dtype)

    def _at(self, point: Tensor) -> Tensor:
        point.requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(self._loss(point), point)[0]
