"""What a user passes as data, as one record: arguments, targets, batch size; and how a model is called with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from freeness.errors import InputError, brief
from freeness.torch.outputs import OutputKey, loss_of, required_arguments, select_output
from freeness.torch.state import random_kept, untouched

LABELS = (
    "labels",
    "label",
    "targets",
    "target",
    "label_ids",
)  # names under which a dict holds them, Hugging Face's first
_BATCHES = 8  # of a loader that are taken
_COLLATED = 64  # samples of a Dataset, which has no batch size of its own
_TRIED = 2  # samples that are run to see that the model takes them


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples as a model takes them, on its device and in its dtype.

    Attributes:
        args: positional arguments; a tensor as long as the batch has one row a sample.
        kwargs: arguments by name, without labels unless the model needs them.
        targets: one row a sample; None where there are none.
        labels: the name under which the model takes them itself, "" where it does not.
        count: how many samples.
        size: of a batch, as the loader has it; None where there is no loader.
        described: what was taken, in words.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    targets: Tensor | None = None
    labels: str = ""
    count: int = 0
    size: int | None = None
    described: str = ""

    @property
    def single(self) -> bool:
        """Whether the model takes one tensor and nothing else."""
        return len(self.args) == 1 and not self.kwargs and isinstance(self.args[0], Tensor)

    def call(self, model: nn.Module) -> Any:
        """What the model returns.

        Raises:
            InputError: whatever the model raises.
        """
        return _called(model, self.args, self.kwargs)

    def outputs(self, model: nn.Module, key: OutputKey = None) -> Tensor:
        """The tensor of outputs among what the model returns, see :func:`~freeness.torch.outputs.select_output`."""
        return select_output(self.call(model), key)[1]

    def loss(self, model: nn.Module) -> Tensor | None:
        """The loss that the model itself computes of these targets; None where it computes none."""
        named = {self.labels: self.targets} if self.labels else {}
        return loss_of(_called(model, self.args, {**self.kwargs, **named}))

    def part(self, start: int, stop: int) -> Batch:
        """Samples ``start`` to ``stop``."""
        stop = min(stop, self.count)

        def cut(value: Any) -> Any:
            return value[start:stop] if _is_rows(value, self.count) else value

        kwargs = {name: cut(value) for name, value in self.kwargs.items()}
        return replace(
            self, args=tuple(map(cut, self.args)), kwargs=kwargs, targets=cut(self.targets), count=stop - start
        )

    def split(self, size: int | None = None) -> Iterator[Batch]:
        """Batches of that size, or of the loader's; the last may be smaller."""
        size = size or self.size or self.count
        for start in range(0, self.count, size):
            yield self.part(start, start + size)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Batch:
        """On a device; floating tensors in a dtype, too."""

        def moved(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return value.to(device, dtype) if dtype is not None and value.is_floating_point() else value.to(device)

        kwargs = {name: moved(value) for name, value in self.kwargs.items()}
        return replace(self, args=tuple(map(moved, self.args)), kwargs=kwargs, targets=moved(self.targets))


def batch_of(data: object, model: nn.Module, *, batches: int = _BATCHES) -> Batch:
    """Data as users have them, as one record that fits the model.

    Args:
        data: inputs; (inputs, targets); ((first, second), targets) for several inputs; a dict for ``model(**batch)`` with its
            labels inside; or a DataLoader, a Dataset or any iterable of these, of which the first batches are taken and put
            together as far as they have one shape. Tensors or arrays, samples first. A record is only moved.
        model: any module; left as it was, and so is the random state.
        batches: of a loader that are taken; an iterator is left behind them.

    Returns:
        The record. Whole numbers stay whole where the model takes them, and become floating numbers where it does not.

    Raises:
        InputError: no such data, or a model that does not take them; one sentence says what it takes.

    Example:
        >>> class Sum(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.layer = nn.Linear(2, 1)
        ...     def forward(self, x, y):
        ...         return self.layer(x) + y
        >>> batch = batch_of(((np.ones((3, 2)), np.zeros((3, 1))), np.zeros(3)), Sum())
        >>> batch.outputs(Sum()).shape, batch.count
        (torch.Size([3, 1]), 3)
    """
    if isinstance(data, Batch):
        found = data
    else:
        with random_kept():
            found = _together(data, model, batches)
    first = next(model.parameters(), None)
    if first is not None:
        found = found.to(first.device, first.dtype if first.is_floating_point() else None)
    return found if isinstance(data, Batch) else _fitting(found, model)


def _together(data: object, model: nn.Module, batches: int) -> Batch:
    """One batch, or the first ones of a loader as one."""
    if not _is_loader(data):
        return _one(data, model)
    loader: Any = DataLoader(data, _COLLATED) if isinstance(data, Dataset) else data
    with _generators_kept(loader):
        parts = [_one(found, model) for found in islice(iter(loader), batches)]
    if not parts:
        raise InputError(f"expected batches from the {type(data).__name__}, got none; let it give at least one.")
    kept = [part for part in parts if _shapes(part) == _shapes(parts[0])]
    declared = getattr(loader, "batch_size", None)
    size = declared if isinstance(declared, int) and declared > 0 else parts[0].count
    described = f"the first {len(kept)} batches of {size}" if len(kept) > 1 else f"one batch of {parts[0].count}"
    return replace(_joined(kept), size=size, described=f"{described} of the {type(data).__name__}")


def _is_loader(data: object) -> bool:
    """Whether it gives batches one after the other; tensors, pairs and dicts are one batch themselves."""
    if isinstance(data, Tensor | np.ndarray | Mapping | str | bytes):
        return False
    if isinstance(data, Dataset):
        return True
    if isinstance(data, tuple | list):  # of tuples and dicts only
        return isinstance(data, list) and bool(data) and all(isinstance(part, tuple | list | Mapping) for part in data)
    return isinstance(data, Iterable)


def _one(data: object, model: nn.Module) -> Batch:
    """One batch: its arguments and targets as tensors."""
    if isinstance(data, Mapping):
        return _of_dict(data, model)
    if isinstance(data, tuple | list) and data:
        return _of_parts(list(data), model)
    return _counted((_tensor(data, "inputs"),), {}, None)


def _of_dict(data: Mapping[Any, Any], model: nn.Module) -> Batch:
    """model(**batch); labels are taken out, and told where the model takes them itself."""
    parameters = inspect.signature(model.forward).parameters
    anything = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if "inputs" in data and "inputs" not in parameters:
        return _of_parts([data["inputs"], *[data["targets"]] * ("targets" in data)], model)
    label = next((name for name in LABELS if name in data), "")
    kwargs = {str(name): _entry(value, str(name)) for name, value in data.items() if name != label}
    strange = [name for name in kwargs if name not in parameters and not anything]
    if strange:
        raise InputError(
            f"expected entries that {type(model).__name__} takes ({', '.join(parameters)}), got {strange[0]!r}; leave it out of "
            f"the batch, or name labels {LABELS[0]!r}."
        )
    targets = _tensor(data[label], label) if label else None
    return replace(_counted((), kwargs, targets), labels=label if label in parameters else "")


def _of_parts(data: list[Any], model: nn.Module) -> Batch:
    """(inputs, targets), where the model needs fewer arguments than there are; otherwise inputs alone."""
    inner = data[0]
    if len(data) <= 2 and isinstance(inner, Mapping):
        found = _of_dict(inner, model)
        return found if len(data) == 1 else replace(found, targets=_tensor(data[1], "targets"), labels="")
    several = isinstance(inner, tuple | list) and any(isinstance(part, Tensor | np.ndarray) for part in inner)
    if len(data) == 2 and several:
        return _counted(tuple(_entry(part, "inputs") for part in inner), {}, _tensor(data[1], "targets"))
    needed = len(required_arguments(model))
    parts = tuple(_tensor(part, "inputs") for part in data)
    classes = parts[-1].ndim == 1 and not parts[-1].is_floating_point()  # which a model hardly takes as an input
    if len(data) == 1 or (needed > 1 and needed >= len(data) and not classes):
        return _counted(parts, {}, None)
    return _counted(parts[:-1], {}, parts[-1])


def _counted(args: tuple[Any, ...], kwargs: Mapping[str, Any], targets: Tensor | None) -> Batch:
    """The record, where the first tensor tells how many samples there are."""
    first = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
    if first is None or first.ndim == 0 or len(first) == 0:
        got = "no tensor" if first is None else f"shape {tuple(first.shape)}"
        raise InputError(f"expected inputs with the samples first, got {got}; add a leading dimension.")
    count = len(first)
    if targets is not None and (targets.ndim == 0 or len(targets) != count):
        raise InputError(
            f"expected a target for each of {count} inputs, got shape {tuple(targets.shape)}; pass as many."
        )
    return Batch(args, kwargs, targets, count=count, described=f"{count} samples")


def _entry(value: Any, name: str) -> Any:
    """A tensor; what is no numbers (None, a switch) as it is."""
    return value if value is None or isinstance(value, bool | str | int | float) else _tensor(value, name)


def _tensor(value: Any, name: str) -> Tensor:
    if isinstance(value, Tensor):
        tensor = value.detach()
    else:
        try:
            tensor = torch.from_numpy(np.array(value))  # a copy: what is the user's is not written to
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"expected {name} as a tensor or an array, got {brief(error)} from {type(value).__name__}; convert it."
            ) from error
    if tensor.is_complex():
        raise InputError(f"expected real {name}, got complex numbers; pass real and imaginary parts as features.")
    whole = not tensor.is_floating_point() and tensor.dtype not in (torch.bool, torch.int64)
    return tensor.long() if whole else tensor


def _is_rows(value: Any, count: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == count


def _tensors(batch: Batch) -> list[Any]:
    return [*batch.args, *batch.kwargs.values(), batch.targets]


def _shapes(batch: Batch) -> list[Any]:
    """Of a sample, of every argument."""
    return [(v.shape[1:], v.dtype) if _is_rows(v, batch.count) else type(v) for v in _tensors(batch)]


def _joined(parts: Sequence[Batch]) -> Batch:
    first = parts[0]

    def together(values: Sequence[Any]) -> Any:
        rows = all(_is_rows(value, part.count) for value, part in zip(values, parts, strict=True))
        return torch.cat(list(values)) if rows else values[0]

    args = tuple(together(values) for values in zip(*(part.args for part in parts), strict=True))
    kwargs = {name: together([part.kwargs[name] for part in parts]) for name in first.kwargs}
    targets = together([part.targets for part in parts])
    return replace(first, args=args, kwargs=kwargs, targets=targets, count=sum(part.count for part in parts))


@contextmanager
def _generators_kept(loader: object) -> Iterator[None]:
    """A block that leaves the loader's own generators as they were."""
    batches = getattr(loader, "batch_sampler", None)
    holders = (loader, getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None))
    found = [getattr(holder, "generator", None) for holder in holders]
    kept = [(each, each.get_state()) for each in found if isinstance(each, torch.Generator)]
    try:
        yield
    finally:
        for each, state in kept:
            each.set_state(state)


def _fitting(batch: Batch, model: nn.Module) -> Batch:
    """The record in the form in which the model runs: whole numbers kept or not, labels left out or not.

    Raises:
        InputError: it runs in none; the trouble of the first is told.
    """
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())

    def floating(value: Any) -> Any:
        whole = isinstance(value, Tensor) and not value.is_floating_point() and value.dtype != torch.bool
        return value.to(dtype) if whole else value

    kwargs = {name: floating(value) for name, value in batch.kwargs.items()}
    converted = replace(batch, args=tuple(map(floating, batch.args)), kwargs=kwargs)
    candidates: list[Callable[[], Batch]] = [lambda: batch, lambda: converted]
    if batch.labels:  # as a model does that makes the decoder's inputs of them
        candidates.insert(1, lambda: replace(batch, kwargs={**batch.kwargs, batch.labels: batch.targets}))
    problems = []
    for candidate in candidates:
        found = candidate()
        try:
            with untouched(model), torch.no_grad():
                found.part(0, _TRIED).call(model)
            return found
        except InputError as error:
            problems.append(error)
    raise problems[0]


def _called(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    try:
        return model(*args, **kwargs)
    except Exception as error:  # whatever the user's forward raises is told in one sentence
        shapes = [_shape(value) for value in args] + [f"{name} {_shape(value)}" for name, value in kwargs.items()]
        needed = required_arguments(model)
        wanted, advice = "", "reshape them, or correct the model"
        if len(needed) > 1:
            wanted = f", which takes {', '.join(needed)}"
            advice = "pass ((first, second), targets), or a dict for model(**batch)"
        got = f"{', '.join(shapes)}, on which it fails with {brief(error)}"
        raise InputError(f"expected inputs for {type(model).__name__}{wanted}, got {got}; {advice}.") from error


def _shape(value: Any) -> str:
    return f"{tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
