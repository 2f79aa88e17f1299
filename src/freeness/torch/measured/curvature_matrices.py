"""Curvature matrices of a batch by their products: generalised Gauss–Newton, Hessian, Fisher."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.loss.given import GivenLoss
from freeness.torch.loss.losses import is_mean, loss_function
from freeness.torch.loss.output_hessian import OutputHessian
from freeness.torch.measured.products import JacobianProducts, parameter_products
from freeness.torch.model.state import trained_parameters
from freeness.torch.model.weight_norms import WrittenWeightNorms

CHUNK = 256  # samples held at a time
_CHECKED = 2  # samples that show whether operations have second derivatives, where they are by themselves

_ALIKE = 0.999  # cosine from which on two vectors are one

Matrix = Literal["ggn", "fisher", "hessian", "empirical_fisher"]


def curvature_operator(
    model: nn.Module, inputs: Tensor, targets: Tensor, loss: GivenLoss, matrix: Matrix
) -> LinearOperator:
    """A curvature matrix in all trained parameters, to be used while the model stays as it is.

    H v is the derivative of the gradient of the loss, along v. The others are Jᵀ M J with a matrix M in the outputs, and the
    products J v and Jᵀu of :func:`~freeness.torch.measured.products.parameter_products`. The graph of a batch that is held at
    once is kept for all products.

    Args:
        model: any module, its parameters requiring gradients.
        inputs: the batch, (B, …).
        targets: see :func:`~freeness.torch.loss.losses.check_targets`.
        loss: averaged over the batch.
        matrix: "ggn" (1/B) Σ JᵀHJ; "fisher", which is the same matrix for all these losses; "hessian"; or "empirical_fisher",
            (1/B) Σ g gᵀ with the gradients of single samples.

    Raises:
        InputError: operations that cannot be differentiated as often as the matrix asks.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x, y = torch.tensor([[3.0, 4.0]]).double(), torch.zeros(1, 1).double()
        >>> curvature_operator(model, x, y, "half_squared_error", "ggn") @ np.array([1.0, 0.0])
        array([ 9., 12.])
    """
    data = inputs, targets
    with _twice_differentiable(matrix):
        product = Hessian(model, data, loss) if matrix == "hessian" else _Outer(model, data, loss, matrix)
    return as_operator(product)


def as_operator(product: Hessian | _Outer) -> LinearOperator:
    """Products of numpy's vectors."""
    made: Any = LinearOperator  # its stub knows no arguments
    dtype = np.float32 if product.parameters[0].dtype == torch.float32 else np.float64
    return made((product.size, product.size), matvec=product, rmatvec=product, dtype=np.dtype(dtype))


@contextmanager
def _twice_differentiable(matrix: Matrix) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        remedy = "write its backward pass in torch's operations" if matrix == "ggn" else 'take the matrix "ggn"'
        raise InputError(
            f"expected operations that torch can differentiate twice, got {brief(error)}; {remedy}."
        ) from error


class _Curvature(ABC):
    """v ↦ (1/B) Σ over parts of the batch of A v, A the matrix of the sum of the losses of a part.

    The graph of a batch that is held at once is kept; of a larger one it is built anew for every product.
    """

    def __init__(self, model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, matrix: Matrix) -> None:
        self.model, self.criterion, self.matrix = model, loss_function(loss), matrix
        self.parameters = list(trained_parameters(model).values())
        self.sizes = [parameter.numel() for parameter in self.parameters]
        self.size, self.samples = sum(self.sizes), len(data[0])
        self.apart = is_mean(loss, data[1]) and not model.training  # batch statistics are those of the whole batch
        chunk = CHUNK if self.apart else self.samples
        self.parts = list(zip(data[0].detach().split(chunk), data[1].detach().split(chunk), strict=True))
        first = self.multiplied(*self.parts[0])
        self.kept = first if len(self.parts) == 1 else None

    @abstractmethod
    def multiplied(self, inputs: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        """v ↦ A v of a part."""

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """One product."""
        like = self.parameters[0]
        flat = torch.from_numpy(np.ascontiguousarray(vector).reshape(-1)).to(like.device, like.dtype)
        total = torch.zeros_like(flat)
        for inputs, targets in self.parts:
            total += (self.kept or self.multiplied(inputs, targets))(flat)
        return total.div_(self.samples).cpu().numpy()


class _Outer(_Curvature):
    """Jᵀ M J, M the Hessian of the loss in the outputs, or the outer products of its slopes."""

    def multiplied(self, inputs: Tensor, targets: Tensor) -> Callable[[Tensor], Tensor]:
        products = parameter_products(self.model, inputs)
        curved = OutputHessian(lambda point: self.criterion(point, targets) * len(inputs), products.outputs)

        def product(vector: Tensor) -> Tensor:
            pushed, slope = products.push(vector), curved.slope
            if self.matrix == "empirical_fisher":
                along = (slope * pushed).flatten(1).sum(1)
                return products.pull(slope * along.reshape(-1, *[1] * (slope.ndim - 1)))
            return products.pull(curved(pushed))

        return product


class _Slopes:
    """v ↦ ∂(gradient·v)/∂parameters, of all parameters or of some, whose block of the Hessian that is.

    What only others depend on is not gone through.
    """

    def __init__(self, gradient: Sequence[Tensor], parameters: Sequence[Tensor]) -> None:
        self.gradient, self.parameters = gradient, parameters

    def __call__(self, vector: Tensor) -> Tensor:
        """One product."""
        places = range(len(self.parameters))
        return torch.cat(self.within(places, vector.split([one.numel() for one in self.parameters])))

    def within(self, places: Sequence[int], vector: Sequence[Tensor]) -> list[Tensor]:
        """A product with the block of the parameters at these places, of which the vector has the parts."""
        pairs = [(self.gradient[k], v) for k, v in zip(places, vector, strict=True) if self.gradient]
        live = [(g, v.reshape(g.shape)) for g, v in pairs if g.requires_grad]
        if not live:  # the loss is linear in all of them
            return [torch.zeros_like(v) for v in vector]
        chosen, along = [self.parameters[k] for k in places], [v for _, v in live]
        parts = torch.autograd.grad([g for g, _ in live], chosen, along, retain_graph=True, materialize_grads=True)
        return [part.reshape(-1) for part in parts]


class Hessian(_Curvature):
    """The derivative of the gradient, which is symmetric, from its other side: v ↦ ∂(gradient·v)/∂parameters.

    Source: Pearlmutter, Neural Computation 6 (1994).
    """

    def __init__(self, model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss) -> None:
        super().__init__(model, data, loss, "hessian")
        inputs = self.parts[0][0][:_CHECKED] if self.apart else self.parts[0][0]
        with torch.enable_grad():
            JacobianProducts(model(inputs), self.parameters)  # its check sees a derivative that is left out
        self._first: tuple[Tensor, Tensor] | None = None
        self._symmetric = False

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        image = super().__call__(vector)
        self._check_symmetry(torch.from_numpy(vector.reshape(-1)), torch.from_numpy(image))
        return image

    def _check_symmetry(self, vector: Tensor, image: Tensor) -> None:
        """Products with two vectors tell whether u·Hv = v·Hu; not so where a backward pass hides how it depends on what it gets.

        Raises:
            InputError: they differ.
        """
        if self._symmetric or not vector.any():
            return
        vector = vector.to(image.dtype)
        if self._first is None:
            self._first = vector.clone(), image.clone()
            return
        first, curved = self._first
        lengths = first.norm() * vector.norm()
        if (first @ vector).abs() > _ALIKE * lengths:  # the same vector once more tells nothing
            return
        self._first, self._symmetric = None, True
        there, back, scale = vector @ curved, first @ image, vector.norm() * curved.norm()
        if bool(scale.isfinite()) and bool((there - back).abs() > torch.finfo(image.dtype).eps ** 0.5 * scale):
            lost = (
                "or the precision is lost, as where a loss is next to nothing: try model.double()"
                if image.dtype != torch.float64
                else "or what is left of the loss is rounding"
            )
            raise InputError(
                "expected a symmetric Hessian, got another: the derivative of an operation's backward pass is missing, which the "
                f'matrix "ggn" does not need, {lost}.'
            )

    @property
    def gradient(self) -> np.ndarray | None:
        """Of the mean loss, where the batch is held at once: it lies mostly along the largest eigenvalues."""
        if not isinstance(self.kept, _Slopes) or not self.kept.gradient:
            return None
        return torch.cat([part.detach().reshape(-1) for part in self.kept.gradient]).div_(self.samples).cpu().numpy()

    def multiplied(self, inputs: Tensor, targets: Tensor) -> _Slopes:
        with torch.enable_grad(), WrittenWeightNorms():
            value = self.criterion(self.model(inputs), targets) * len(inputs)
            gradient = (
                torch.autograd.grad(value, self.parameters, create_graph=True, materialize_grads=True)
                if value.requires_grad
                else ()
            )
        return _Slopes(gradient, self.parameters)

    def within(self, groups: Sequence[Sequence[int]], vector: Tensor) -> Tensor:
        """A product with the Hessian of which only the blocks of these groups of parameters are there."""
        parts = vector.split(self.sizes)
        found = [torch.zeros_like(part) for part in parts]
        for inputs, targets in self.parts:
            slopes = self.kept if isinstance(self.kept, _Slopes) else self.multiplied(inputs, targets)
            for places in groups:
                for place, image in zip(places, slopes.within(places, [parts[k] for k in places]), strict=True):
                    found[place] += image / self.samples
        image = torch.cat(found)
        self._check_symmetry(vector, image)
        return image


def hessian_products(model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss) -> Hessian:
    """Products with the Hessian of the mean loss and with its blocks, as :func:`curvature_operator` has them.

    Raises:
        InputError: operations that cannot be differentiated twice.
    """
    with _twice_differentiable("hessian"):
        return Hessian(model, data, loss)
