"""Models that return several tensors as models of one: the one that is looked at, or all that a function of theirs takes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.loss.given import GivenLoss, given_loss
from freeness.torch.loss.written_loss import WrittenLoss
from freeness.torch.model.outputs import OutputKey, run, select_output
from freeness.torch.model.state import untouched
from freeness.training import Objective

_LOOKED = 2  # samples that a model and a function of the user are tried on


class Selected(nn.Module):
    """A model, returning the tensor that is looked at."""

    def __init__(self, model: nn.Module, output: OutputKey) -> None:
        super().__init__()
        self.model, self.output = model, output
        self.training = model.training

    def forward(self, x: Tensor) -> Tensor:
        """Of what the model returns, one tensor."""
        return select_output(self.model(x), self.output)[1]


class Whole(nn.Module):
    """A model, returning all that it returns in one tensor (B, numbers); ``rebuilt`` undoes that."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training
        self._last: _Parts | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Of every sample all floating numbers, one after the other."""
        returned = self.model(x)
        self._last = _parts(returned, len(x))
        if not self._last.tensors:
            raise InputError(
                f"expected floating tensors, a row a sample, in what the model returns, got {type(returned).__name__}; return "
                "them, and make of them in the loss what it needs, as a distribution."
            )
        return torch.cat([tensor.reshape(len(x), -1) for tensor in self._last.tensors], 1)

    @property
    def several(self) -> bool:
        """Whether the last run returned several tensors."""
        return self._last is not None and len(self._last.tensors) > 1

    def rebuilt(self, numbers: Tensor) -> Any:
        """What the model returns, from such a tensor of the same samples."""
        assert self._last is not None  # for the numbers came from there
        shapes = [tensor.shape for tensor in self._last.tensors]
        split = numbers.split([shape[1:].numel() for shape in shapes], 1)
        return self._last.rebuild([part.reshape(shape).contiguous() for part, shape in zip(split, shapes, strict=True)])


def adapted(
    model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, output: OutputKey = None
) -> tuple[nn.Module, Objective]:
    """A model of one tensor and the loss of that tensor.

    A function of the user gets what the model returns, as it is, where it takes that: its outputs are all the floating tensors of
    it. Every other loss gets the tensor that :func:`~freeness.torch.model.outputs.select_output` finds.

    Raises:
        InputError: the model fails, or no such output.

    Example:
        >>> class Two(nn.Linear):
        ...     def forward(self, input):
        ...         return {"a": super().forward(input), "b": input}
        >>> x = torch.ones(3, 2)
        >>> one, loss = adapted(Two(2, 1), (x, x), lambda f, y: f["a"].mean() + (f["b"] - y).square().mean())
        >>> one(x).shape
        torch.Size([3, 3])
    """
    objective = given_loss(loss)
    if isinstance(model, Selected | Whole):  # it was adapted before
        return model, objective
    with untouched(model, copies=list(model.buffers())), torch.no_grad():
        some, wanted = data[0][:_LOOKED], data[1][:_LOOKED]  # batch statistics refuse one sample
        returned = run(model, some)
        if isinstance(returned, Tensor):
            return model, objective
        if (
            output is None
            and isinstance(objective, WrittenLoss)
            and takes_returned(objective.function, returned, wanted)
        ):
            whole, function = Whole(model), objective.function
            named = WrittenLoss(lambda numbers, targets: function(whole.rebuilt(numbers), targets), str(objective))
            return whole, named
    return Selected(model, output), objective


def takes_returned(function: Callable[[Any, Any], Tensor], returned: Any, targets: Tensor) -> bool:
    """Whether a function takes what the model returns as it is."""
    try:
        return isinstance(function(returned, targets), Tensor)
    except Exception:  # what the user's function raises tells that it wants one tensor
        return False


class _Parts(NamedTuple):
    tensors: list[Tensor]
    rebuild: Callable[[list[Tensor]], Any]


def _parts(value: Any, count: int) -> _Parts:
    """The floating tensors of one row a sample in something, and how it is made of others."""
    if isinstance(value, Tensor):
        if value.is_floating_point() and value.ndim > 0 and len(value) == count:
            return _Parts([value], lambda tensors: tensors[0])
        return _Parts([], lambda _: value)
    if isinstance(value, Mapping):
        return _joined(dict(value), count, lambda new: _with_entries(value, new))
    if isinstance(value, tuple | list):
        named = bool(getattr(value, "_fields", ()))
        kind: Any = type(value)
        return _joined(dict(enumerate(value)), count, lambda new: kind(*new.values()) if named else kind(new.values()))
    attributes = {f.name: getattr(value, f.name) for f in fields(value)} if is_dataclass(value) else None
    if attributes is None:
        attributes = dict(vars(value)) if _is_record(value) else {}
    return _joined(attributes, count, lambda new: _with_attributes(value, new))


def _is_record(value: Any) -> bool:
    return any(isinstance(part, Tensor) for part in getattr(value, "__dict__", {}).values())


def _joined(parts: dict[Any, Any], count: int, made: Callable[[dict[Any, Any]], Any]) -> _Parts:
    inner = {key: _parts(part, count) for key, part in parts.items()}

    def rebuild(tensors: list[Tensor]) -> Any:
        left = list(tensors)
        new = {}
        for key, part in inner.items():
            new[key] = part.rebuild(left[: len(part.tensors)])
            left = left[len(part.tensors) :]
        return made(new)

    return _Parts([tensor for part in inner.values() for tensor in part.tensors], rebuild)


def _with_entries(value: Mapping[Any, Any], new: dict[Any, Any]) -> Any:
    made: Any = copy.copy(value)
    for key, part in new.items():
        made[key] = part
    return made


def _with_attributes(value: Any, new: dict[str, Any]) -> Any:
    if not new:
        return value
    made = copy.copy(value)
    for key, part in new.items():
        object.__setattr__(made, key, part)
    return made
