"""Which tensor of a model's output is looked at, and how a model is run for that."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from freeness.errors import InputError

OutputKey = str | int | None
_TOTALS = ("total_loss", "loss_total", "total")


def select_output(returned: Any, key: OutputKey = None) -> tuple[str, Tensor]:
    """The tensor that is looked at, and where it lies: "" (all there is), "logits", "0", "decoder.0".

    Args:
        returned: what the model returned: a tensor, or tuples, lists, mappings, dataclasses and objects with ``logits``.
        key: the name or number of a part; when left out what is called ``logits``, else the first floating tensor, but no scalar
            where there is another one: a model that returns its loss beside its outputs is looked at by the outputs.

    Raises:
        InputError: no such part, or no floating tensor.

    Example:
        >>> import torch
        >>> place, tensor = select_output({"mask": torch.ones(2, dtype=torch.int64), "logits": torch.ones(2)})
        >>> place
        'logits'
    """
    found = dict(_tensors(returned, ""))
    named = {place: t for place, t in found.items() if key is None or place == str(key) or place.startswith(f"{key}.")}
    floating = {place: tensor for place, tensor in named.items() if tensor.is_floating_point()}
    if floating:
        if key is None and "logits" in floating:
            return "logits", floating["logits"]
        return next((each for each in floating.items() if each[1].ndim), next(iter(floating.items())))
    listed = ", ".join(f"{place or 'the output'} ({tensor.dtype})" for place, tensor in found.items()) or "no tensor"
    wanted = "a real floating tensor among the outputs" if key is None else f"a floating output {key!r}"
    raise InputError(f"expected {wanted}, got {listed}; pass output=… with one of the names, or return a tensor.")


class _OneOutput:
    """Mixed into the class of a model: of what its forward returns, one tensor."""

    _freeness_forward: Callable[..., Any]
    _freeness_output: OutputKey

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        return select_output(self._freeness_forward(*args, **kwargs), self._freeness_output)[1]


def returning(model: nn.Module, key: OutputKey) -> nn.Module:
    """The model as one that returns the tensor that is looked at and nothing else: no cache, which torch.export cannot return.

    It shares parameters, buffers and modules with the given one, under the same names.

    Args:
        model: any module.
        key: as for :func:`select_output`, or the place that it gives.

    Example:
        >>> model = returning(nn.LSTM(2, 3), 0)
        >>> import torch
        >>> model(torch.ones(4, 2)).shape, [name for name, _ in model.named_parameters()][0]
        (torch.Size([4, 3]), 'weight_ih_l0')
    """
    one, kind = copy.copy(model), type(model)
    one.__dict__.pop("forward", None)  # one that was replaced is called by the model itself
    one.__class__ = type(kind.__name__, (_OneOutput, kind), {"__module__": kind.__module__})
    object.__setattr__(one, "_freeness_forward", model.forward)
    object.__setattr__(one, "_freeness_output", key or None)
    return one


def floating_rows(returned: Any, count: int) -> Iterator[Tensor]:
    """All floating tensors among what a model returned that have one row a sample.

    Example:
        >>> import torch
        >>> [tuple(found.shape) for found in floating_rows((torch.ones(2, 3), torch.ones(()), torch.ones(2, 1)), 2)]
        [(2, 3), (2, 1)]
    """
    for _, tensor in _tensors(returned, ""):
        if tensor.is_floating_point() and tensor.ndim > 0 and len(tensor) == count:
            yield tensor


def _tensors(value: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield place, value
        return
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, tuple | list):
        parts = enumerate(value)
    elif is_dataclass(value):
        parts = ((field.name, getattr(value, field.name)) for field in fields(value))
    elif isinstance(getattr(value, "logits", None), Tensor):
        parts = (("logits", getattr(value, "logits")),)  # noqa: B009 (the attribute is the user's)
    for key, part in parts:
        yield from _tensors(part, f"{place}.{key}" if place else str(key))


def loss_of(returned: Any) -> Tensor | None:
    """The loss that a model computed itself: what it calls ``loss``, or the scalar that it returns alone, first or last.

    Of a dict with several losses and no total it is their sum, see :func:`losses_of`.

    Example:
        >>> import torch
        >>> loss_of({"loss": torch.tensor(2.0), "logits": torch.ones(1, 3)})
        tensor(2.)
        >>> loss_of(torch.ones(1, 3)) is None
        True
    """
    if isinstance(returned, Mapping):
        found = returned.get("loss")
        parts = losses_of(returned)
        if parts:
            found = torch.stack([returned[name] for name in parts]).sum()
    elif isinstance(returned, tuple | list) and not getattr(returned, "_fields", ()):
        found = next(
            (one for one in (*returned[:1], *returned[-1:]) if isinstance(one, Tensor) and one.ndim == 0), None
        )
    else:
        found = returned if isinstance(returned, Tensor) else getattr(returned, "loss", None)
    return found if _is_scalar(found) else None


def losses_of(returned: Any) -> tuple[str, ...]:
    """The names of the losses in a dict without "loss": a total, those with "loss" in their name, or all if it has nothing else.

    Example:
        >>> import torch
        >>> losses_of({"loss_box": torch.tensor(1.0), "loss_class": torch.tensor(2.0), "boxes": torch.ones(2)})
        ('loss_box', 'loss_class')
        >>> losses_of({"total_loss": torch.tensor(3.0), "loss_box": torch.tensor(1.0)})
        ('total_loss',)
    """
    if not isinstance(returned, Mapping) or "loss" in returned:
        return ()
    scalars = [str(name) for name, value in returned.items() if _is_scalar(value)]
    total = [name for name in scalars if name in _TOTALS]
    alone = len(scalars) == len(returned)
    return tuple(total[:1] or [name for name in scalars if "loss" in name.lower()] or (scalars if alone else ()))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 0 and value.is_floating_point()


def required_arguments(model: nn.Module) -> list[str]:
    """The arguments that forward cannot do without.

    Example:
        >>> required_arguments(nn.Bilinear(1, 1, 1))
        ['input1', 'input2']
    """
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except ValueError:  # of some functions in C there is no signature
        return []
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in plain and each.default is each.empty]


def run(model: nn.Module, example: Tensor) -> Any:
    """What the model returns, or one sentence about why it fails.

    Example:
        >>> import torch
        >>> run(nn.Identity(), torch.ones(2))
        tensor([1., 1.])
    """
    try:
        return model(example)
    except InputError:  # it is told already
        raise
    except Exception as error:  # whatever the user's forward raises is told in one sentence
        first = next((layer for layer in model.modules() if isinstance(layer, nn.Linear)), None)
        wanted = (
            "an input that the model accepts"
            if first is None
            else f"an input of in_features = {first.in_features} a sample"
        )
        what = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"expected {wanted}, got shape {tuple(example.shape)}, on which the model fails ({type(error).__name__}: "
            f"{what}); reshape the input or correct the model."
        ) from error
