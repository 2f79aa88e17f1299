"""The Hessian of few samples on the directions that it does not annihilate, which are few.

The gradient of a weight that acts on rows x_t is Σ_t g_t x_tᵀ, so that H v = Σ_t (dg_t x_tᵀ + g_t dx_tᵀ): with orthonormal X̂
and Ĝ that span rows and cotangents, H sees only V = A X̂ᵀ + Ĝ Bᵀ, BᵀX̂ = 0. The model is run with W + V, V at 0, and A and B are
its parameters; they are orthonormal coordinates, so that the nonzero eigenvalues stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from freeness.errors import InputError
from freeness.torch.loss.given import GivenLoss
from freeness.torch.loss.losses import loss_function
from freeness.torch.measured.curvature_matrices import CHUNK, curvature_operator
from freeness.torch.model.state import trained_parameters

_GAIN = 4  # times fewer coordinates than parameters, from which on it pays


class _Seen(NamedTuple):
    """A weight's rows, and where their cotangents arrive."""

    rows: Tensor
    edge: GradientEdge


class _Call(NamedTuple):
    """The arguments of a linear layer."""

    input: Tensor
    weight: Tensor
    bias: Tensor | None = None


class _OnLinear(TorchFunctionMode, ABC):
    """Runs a model whose linear layers are done in another way."""

    @abstractmethod
    def linear(self, call: _Call) -> Tensor:
        """What a call gives."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        return self.linear(_Call(*args, **given)) if func is functional.linear else func(*args, **given)


class _Watched(_OnLinear):
    """Weights in linear layers are constants, and what they meet is noted."""

    def __init__(self, parameters: dict[int, Tensor]) -> None:
        super().__init__()
        self.parameters = parameters
        self.seen = dict[int, list[_Seen]]()

    def linear(self, call: _Call) -> Tensor:
        if id(call.weight) not in self.parameters or call.weight.ndim != 2:
            return functional.linear(*call)
        found = functional.linear(call.input, call.weight.detach(), call.bias)
        found = found if found.requires_grad else found + found.new_zeros((), requires_grad=True)
        rows = call.input.detach().reshape(-1, call.input.shape[-1])
        self.seen.setdefault(id(call.weight), []).append(_Seen(rows, get_gradient_edge(found)))
        return found


class _Moved(nn.Module):
    """A weight's V = A X̂ᵀ + Ĝ Bᵀ at 0."""

    inputs: Tensor
    outputs: Tensor

    def __init__(self, rows: Tensor, cotangents: Tensor) -> None:
        super().__init__()
        self.register_buffer("inputs", torch.linalg.qr(rows.T)[0], persistent=False)  # X̂
        self.register_buffer("outputs", torch.linalg.qr(cotangents.T)[0], persistent=False)  # Ĝ
        self.left = nn.Parameter(rows.new_zeros(cotangents.shape[1], len(rows)))  # A
        self.right = nn.Parameter(rows.new_zeros(rows.shape[1], len(rows)))  # B

    def forward(self, x: Tensor) -> Tensor:
        """V x."""
        return (x @ self.inputs) @ self.left.T + (x @ self.right) @ self.outputs.T


class _Reduced(nn.Module):
    """A model as a function of the coordinates of its weights, and of its other parameters as they are."""

    def __init__(self, model: nn.Module, moved: dict[int, _Moved], others: list[nn.Parameter]) -> None:
        super().__init__()
        self.whole = (model,)  # no submodule: its weights are constants
        self.places = {key: place for place, key in enumerate(moved)}
        self.moved, self.others = nn.ModuleList(moved.values()), nn.ParameterList(others)
        self.train(model.training)

    def forward(self, x: Tensor) -> Tensor:
        """What the model returns."""
        with _Along(self):
            return self.whole[0](x)

    def held(self) -> list[tuple[slice, np.ndarray]]:
        """Where B of every weight lies in a vector of all coordinates, and X̂."""
        found: list[tuple[slice, np.ndarray]] = []
        bases = {id(one.right): one.inputs.cpu().numpy() for one in self.moved if isinstance(one, _Moved)}
        start = 0
        for parameter in trained_parameters(self).values():
            end = start + parameter.numel()
            if id(parameter) in bases:
                found.append((slice(start, end), bases[id(parameter)]))
            start = end
        return found


class _Along(_OnLinear):
    """Weights that are moved are W + V."""

    def __init__(self, reduced: _Reduced) -> None:
        super().__init__()
        self.reduced = reduced

    def linear(self, call: _Call) -> Tensor:
        place = self.reduced.places.get(id(call.weight))
        if place is None:
            return functional.linear(*call)
        return functional.linear(call.input, call.weight.detach(), call.bias) + self.reduced.moved[place](call.input)


def reduced_hessian(model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss) -> LinearOperator | None:
    """The Hessian in orthonormal coordinates of what it does not annihilate; None where that are not far fewer.

    Source: the gradient of a matrix is a sum of outer products; Rayleigh–Ritz on a subspace that holds the range is exact.

    Example:
        >>> model = nn.Linear(40, 20).double()
        >>> x, y = torch.ones(1, 40).double(), torch.zeros(1, 20).double()
        >>> reduced_hessian(model, (x, y), "half_squared_error").shape  # of 820 parameters
        (80, 80)
    """
    inputs, targets = data
    if len(inputs) > CHUNK:
        return None
    try:
        reduced = _reduced(model, inputs, targets, loss)
        if reduced is None:
            return None
        inner = curvature_operator(reduced, inputs, targets, loss, "hessian")
    except (
        RuntimeError,
        NotImplementedError,
        TypeError,
        InputError,
    ):  # the whole Hessian says what is wrong, if anything is
        return None

    held = reduced.held()

    def cleared(vector: np.ndarray) -> np.ndarray:
        """With BᵀX̂ = 0, so that no direction is counted twice."""
        for place, basis in held:
            part = vector[place].reshape(len(basis), -1)
            part -= basis @ (basis.T @ part)
        return vector

    def product(vector: np.ndarray) -> np.ndarray:
        return cleared(inner.matvec(cleared(vector.reshape(-1).astype(inner.dtype))))

    made: Any = LinearOperator  # its stub knows no arguments
    return made(inner.shape, matvec=product, rmatvec=product, dtype=inner.dtype)


def _reduced(model: nn.Module, inputs: Tensor, targets: Tensor, loss: GivenLoss) -> _Reduced | None:
    """The model in fewer coordinates; None where a weight is used otherwise as well, or it does not pay."""
    parameters = {id(parameter): parameter for parameter in trained_parameters(model).values()}

    def value_of(watched: _Watched) -> Tensor:
        with torch.enable_grad(), watched:
            return loss_function(loss)(model(inputs), targets)

    watched = _Watched(dict(parameters))
    value = value_of(watched)
    few = {
        key: uses[0]
        for key, uses in watched.seen.items()
        if len(uses) == 1 and 2 * _GAIN * len(uses[0].rows) <= min(parameters[key].shape)
    }
    others = [parameter for key, parameter in parameters.items() if key not in few]
    count = sum(len(seen.rows) * sum(parameters[key].shape) for key, seen in few.items())
    count += sum(parameter.numel() for parameter in others)
    if _GAIN * count > sum(parameter.numel() for parameter in parameters.values()):
        return None
    if len(few) < len(watched.seen):  # the others are no constants
        watched = _Watched({key: parameters[key] for key in few})
        value = value_of(watched)
        few = {key: uses[0] for key, uses in watched.seen.items()}
    gradient: Any = torch.autograd.grad  # its stub has no inputs of both kinds
    weights = [parameters[key] for key in few]
    found = gradient(value, [*(seen.edge for seen in few.values()), *weights], allow_unused=True)
    if any(part is not None for part in found[len(few) :]):  # something else reads the weight
        return None
    moved: dict[int, _Moved] = {}
    for (key, seen), part in zip(few.items(), found, strict=False):
        shape = (len(seen.rows), parameters[key].shape[0])
        moved[key] = _Moved(seen.rows, seen.rows.new_zeros(shape) if part is None else part.reshape(shape))
    return _Reduced(model, moved, others)
