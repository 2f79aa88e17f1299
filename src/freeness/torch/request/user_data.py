"""What a user passes as data, as one record."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from freeness.errors import InputError, brief
from freeness.torch.loss.several_targets import together
from freeness.torch.model.measurable import check_dense
from freeness.torch.model.outputs import required_arguments
from freeness.torch.model.state import random_kept, untouched
from freeness.torch.request.batch import LABELS, Batch, joined, sample_shapes

BATCHES = 8  # of a loader that are taken
_COLLATED = 64  # samples of a Dataset, which has no batch size of its own
_TRIED = 2  # samples that are run to see that the model takes them


def batch_of(data: object, model: nn.Module, *, batches: int = BATCHES) -> Batch:
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
    return found if isinstance(data, Batch) else _form(found, model)(found)


def _together(data: object, model: nn.Module, batches: int) -> Batch:
    """One batch, or the first ones of a loader as one."""
    if not _is_loader(data):
        return _one(data, model)
    loader: Any = DataLoader(data, _COLLATED) if isinstance(data, Dataset) else data
    with _generators_kept(loader):
        parts = list(islice(_filled(loader, model), batches))
    if not parts:
        raise InputError(f"expected batches from the {type(data).__name__}, got none; let it give at least one.")
    kept = [part for part in parts if sample_shapes(part) == sample_shapes(parts[0])]
    declared = getattr(loader, "batch_size", None)
    size = declared if isinstance(declared, int) and declared > 0 else parts[0].count
    described = f"the first {len(kept)} batches of {size}" if len(kept) > 1 else f"one batch of {parts[0].count}"
    return replace(joined(kept), size=size, described=f"{described} of the {type(data).__name__}")


class _EmptyError(InputError):
    """No samples: a batch of a loader that is left out."""


def _filled(loader: Iterable[object], model: nn.Module) -> Iterator[Batch]:
    for found in loader:
        try:
            yield _one(found, model)
        except _EmptyError:
            continue


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
    if len(data) == 2 and data[1] is None:
        parts = inner if isinstance(inner, tuple | list) else [inner]
        return (
            _of_dict(inner, model)
            if isinstance(inner, Mapping)
            else _counted(tuple(_entry(part, "inputs") for part in parts), {}, None)
        )
    if len(data) == 2 and _several(data[1]):
        rows, several = together(data[1], _tensor)
        return replace(_of_parts([inner, rows], model), several=several)
    if len(data) <= 2 and isinstance(inner, Mapping):
        found = _of_dict(inner, model)
        return found if len(data) == 1 else replace(found, targets=_tensor(data[1], "targets"), labels="")
    several = isinstance(inner, tuple | list) and any(isinstance(part, Tensor | np.ndarray) for part in inner)
    if len(data) == 2 and several:
        found = _counted(tuple(_entry(part, "inputs") for part in inner), {}, _tensor(data[1], "targets"))
        return replace(found, labels=label_argument(model, len(inner)))
    needed = len(required_arguments(model))
    parts = tuple(_tensor(part, "inputs") for part in data)
    classes = parts[-1].ndim == 1 and not parts[-1].is_floating_point()  # which a model hardly takes as an input
    if len(data) == 1 or (needed > 1 and needed >= len(data) and not classes):
        return _counted(parts, {}, None)
    return replace(_counted(parts[:-1], {}, parts[-1]), labels=label_argument(model, len(parts) - 1))


def _several(targets: object) -> bool:
    """Whether they are a table, or a tuple of arrays."""
    parts = targets if isinstance(targets, tuple | list) else ()
    return isinstance(targets, Mapping) or any(isinstance(part, Tensor | np.ndarray) and part.ndim for part in parts)


def label_argument(model: nn.Module, taken: int) -> str:
    """The argument by which a model takes labels behind so many inputs: one that is called so, or the only one it still needs.

    Example:
        >>> label_argument(nn.Bilinear(1, 1, 1), 1), label_argument(nn.Linear(1, 1), 1)
        ('input2', '')
    """
    names = list(inspect.signature(model.forward).parameters)
    needed = required_arguments(model)
    named = next((name for name in LABELS if name in names[taken:]), "")
    return named or (needed[taken] if len(needed) == taken + 1 else "")


def _counted(args: tuple[Any, ...], kwargs: Mapping[str, Any], targets: Tensor | None) -> Batch:
    """The record, where the first tensor tells how many samples there are."""
    first = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
    if first is None or first.ndim == 0:
        got = "no tensor" if first is None else f"shape {tuple(first.shape)}"
        raise InputError(f"expected inputs with the samples first, got {got}; add a leading dimension.")
    if len(first) == 0:
        raise _EmptyError(f"expected at least one sample, got inputs of shape {tuple(first.shape)}; pass some.")
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
        check_dense(value, f"as {name}")
        tensor = value.detach().contiguous()
    else:
        try:
            tensor = torch.from_numpy(np.array(value))  # a copy: what is the user's is not written to
        except TypeError as error:
            raise InputError(
                f"expected {name} as a tensor or an array of numbers, got {type(value).__name__}; convert it, or leave it out."
            ) from error
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"expected {name} as a tensor or an array, got {brief(error)} from {type(value).__name__}; convert it."
            ) from error
    if tensor.is_complex():
        raise InputError(f"expected real {name}, got complex numbers; pass real and imaginary parts as features.")
    whole = not tensor.is_floating_point() and tensor.dtype not in (torch.bool, torch.int64)
    return tensor.long() if whole else tensor


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


def batches_of(data: object, model: nn.Module, count: int, *, size: int = _COLLATED, seed: int = 0) -> list[Batch]:
    """Batches to train on, one after the other, as a loader gives them; over again where there are fewer.

    Args:
        data: as :func:`batch_of` takes it. Of a loader or an iterable its own batches; of samples at hand, or a Dataset, batches
            of ``size``, each pass in another order; a record that knows the size of a loader's batches keeps their order.
        model: any module; left as it was, and so are the random state and the loader's generators.
        count: batches, ≥ 1.
        size: of a batch, where data have none of their own.
        seed: of the order of samples; not used where the data have one.

    Raises:
        InputError: as :func:`batch_of`.

    Example:
        >>> found = batches_of((torch.eye(4), torch.arange(4)), nn.Linear(4, 4), 3, size=2)
        >>> [batch.count for batch in found]
        [2, 2, 2]
    """
    if _is_loader(data) and not isinstance(data, Dataset):
        with random_kept(), _generators_kept(data):
            raw = list(islice(_endless(cast("Iterable[object]", data), model), count))
        if not raw:
            raise InputError(f"expected batches from the {type(data).__name__}, got none; let it give at least one.")
        form = _form(raw[0], model)
        return [form(batch) for batch in raw]
    whole = batch_of(data, model, batches=max(1, -(-count * size // _COLLATED)))
    if whole.size is not None and not isinstance(data, Dataset):
        parts = list(whole.split())
        return [parts[place % len(parts)] for place in range(count)]
    size = min(size, whole.count)
    generator = torch.Generator().manual_seed(seed)
    passes = -(-count * size // (whole.count - whole.count % size))
    order = [
        torch.randperm(whole.count, generator=generator)[: whole.count - whole.count % size] for _ in range(passes)
    ]
    return [whole.rows(rows) for rows in torch.cat(order)[: count * size].split(size)]


def _endless(loader: Iterable[object], model: nn.Module) -> Iterator[Batch]:
    """Pass after pass; an iterator that is used up ends it."""
    while True:
        given = False
        for found in _filled(loader, model):
            given = True
            yield found
        if not given:
            return


def _form(batch: Batch, model: nn.Module) -> Callable[[Batch], Batch]:
    """The form in which the model runs: whole numbers kept or not, labels left out or not.

    Raises:
        InputError: it runs in none; the trouble of the first is told.
    """
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())

    def floating(value: Any) -> Any:
        whole = isinstance(value, Tensor) and not value.is_floating_point() and value.dtype != torch.bool
        return value.to(dtype) if whole else value

    def converted(found: Batch) -> Batch:
        kwargs = {name: floating(value) for name, value in found.kwargs.items()}
        return replace(found, args=tuple(map(floating, found.args)), kwargs=kwargs)

    def labelled(found: Batch) -> Batch:  # as a model needs it that makes the decoder's inputs of them
        return replace(found, kwargs={**found.kwargs, found.labels: found.targets})

    forms: list[Callable[[Batch], Batch]] = [lambda found: found, *([labelled] if batch.labels else []), converted]
    problems = []
    with untouched(model), torch.no_grad():
        for form in forms:
            try:
                form(batch).part(0, _TRIED).call(model)
                return form
            except InputError as error:
                problems.append(error)
    check_rows(batch, model)
    raise problems[0]


def check_rows(batch: Batch, model: nn.Module) -> None:
    """Refuse rows that a model takes together only, as the nodes of one graph; it does not take some of them."""
    try:
        some = batch.part(0, _TRIED)
    except RuntimeError:  # a sparse or nested tensor, which is refused as such
        return
    if _runs(some, model) or not _runs(batch, model):
        return
    raise InputError(
        f"expected samples that {type(model).__name__} takes one by one, got {batch.count} rows that it takes together only; "
        "pass the graph as one sample, (1, rows, …), with edges and targets alike. Where the model has no such axis let a "
        "wrapper take x[0] and give y[None]."
    )


@contextmanager
def rows_apart(model: nn.Module, inputs: Tensor) -> Iterator[None]:
    """A block that is refused by what lies behind its errors where that are rows which belong together.

    Raises:
        InputError: as :func:`check_rows`, or that of the block.
    """
    try:
        yield
    except InputError:
        check_rows(Batch((inputs,), count=len(inputs)), model)
        raise


def _runs(batch: Batch, model: nn.Module) -> bool:
    try:
        with untouched(model), torch.no_grad():
            batch.call(model)
    except InputError:
        return False
    return True
