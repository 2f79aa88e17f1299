"""Samples as a model takes them: arguments, targets, batch size; and how a model is called with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.loss.differentiated import differentiated, is_of_graph
from freeness.torch.loss.several_targets import SeveralTargets
from freeness.torch.model.outputs import OutputKey, loss_of, required_arguments, select_output

LABELS = ("labels", "label", "targets", "target", "label_ids")  # of a dict; Hugging Face's name first


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples as a model takes them, on its device and in its dtype.

    Attributes:
        args: positional arguments; a tensor as long as the batch has one row a sample.
        kwargs: arguments by name, without labels unless the model needs them.
        targets: one row a sample; None where there are none.
        several: how several targets lie in that tensor, None of others.
        labels: the name under which the model takes them itself, "" where it does not.
        count: how many samples.
        size: of a batch, as the loader has it; None where there is no loader.
        described: what was taken, in words.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    targets: Tensor | None = None
    several: SeveralTargets | None = None
    labels: str = ""
    count: int = 0
    size: int | None = None
    described: str = ""

    @property
    def single(self) -> bool:
        """Whether the model takes one tensor and nothing else."""
        return len(self.args) == 1 and not self.kwargs and isinstance(self.args[0], Tensor)

    def has_rows(self, value: object) -> bool:
        """Whether an argument has one row a sample; others are the same for all samples."""
        return isinstance(value, Tensor) and value.ndim > 0 and len(value) == self.count

    def call(self, model: nn.Module) -> Any:
        """What the model returns.

        Raises:
            InputError: whatever the model raises.
        """
        return _called(model, self.args, self.kwargs)

    def outputs(self, model: nn.Module, key: OutputKey = None) -> Tensor:
        """The tensor of outputs among what the model returns, see :func:`~freeness.torch.model.outputs.select_output`."""
        return select_output(self.call(model), key)[1]

    @property
    def labelled(self) -> Batch:
        """With the labels under the name by which the model takes them itself, where it does."""
        if not self.labels or self.targets is None:
            return self
        return replace(self, kwargs={**self.kwargs, self.labels: self.targets})

    def loss(self, model: nn.Module) -> Float[Tensor, ""] | None:
        """The loss that the model itself computes of these targets; None where it computes none."""
        return loss_of(self.labelled.call(model))

    def mapped(self, change: Callable[[Any], Any], count: int | None = None) -> Batch:
        """With every argument and the targets changed; so many samples, where that is another number."""
        kwargs = {name: change(value) for name, value in self.kwargs.items()}
        args, targets = tuple(map(change, self.args)), change(self.targets)
        return replace(self, args=args, kwargs=kwargs, targets=targets, count=self.count if count is None else count)

    def part(self, start: int, stop: int) -> Batch:
        """Samples ``start`` to ``stop``."""
        stop = min(stop, self.count)
        return self.mapped(lambda value: value[start:stop] if self.has_rows(value) else value, stop - start)

    def rows(self, chosen: Int[Tensor, " chosen"]) -> Batch:
        """The samples of these numbers, in their order."""
        return self.mapped(lambda value: value[chosen.to(value.device)] if self.has_rows(value) else value, len(chosen))

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

        return self.mapped(moved)


def joined(parts: Sequence[Batch]) -> Batch:
    """Those of one batch after the other; all have the same arguments."""
    first = parts[0]

    def together(values: Sequence[Any]) -> Any:
        rows = all(part.has_rows(value) for value, part in zip(values, parts, strict=True))
        return torch.cat(list(values)) if rows else values[0]

    args = tuple(together(values) for values in zip(*(part.args for part in parts), strict=True))
    kwargs = {name: together([part.kwargs[name] for part in parts]) for name in first.kwargs}
    targets = together([part.targets for part in parts])
    return replace(first, args=args, kwargs=kwargs, targets=targets, count=sum(part.count for part in parts))


def sample_shapes(batch: Batch) -> list[Any]:
    """Shape and dtype of a sample, of every argument and of the targets."""
    values = [*batch.args, *batch.kwargs.values(), batch.targets]
    return [(v.shape[1:], v.dtype) if batch.has_rows(v) else type(v) for v in values]


def _called(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    try:
        try:
            return model(*args, **kwargs)
        except RuntimeError as error:
            if torch.is_grad_enabled() or not is_of_graph(error):
                raise
            with differentiated(model):  # it differentiates in its forward pass
                return model(*args, **kwargs)
    except InputError:  # it is told already
        raise
    except Exception as error:  # whatever the user's forward raises is told in one sentence
        shapes = [_shape(value) for value in args] + [f"{name} {_shape(value)}" for name, value in kwargs.items()]
        needed = required_arguments(model)
        wanted, advice = "", "reshape them, or correct the model"
        label = next((name for name in LABELS if name in inspect.signature(model.forward).parameters), "")
        if label and label not in kwargs:
            advice = (
                f"it takes {label}, which are missing: name them in a dict for model(**batch), or reshape the inputs"
            )
        if len(needed) > 1:
            wanted = f", which takes {', '.join(needed)}"
            advice = "pass ((first, second), targets), or a dict for model(**batch)"
        got = f"{', '.join(shapes)}, on which it fails with {brief(error)}"
        raise InputError(f"expected inputs for {type(model).__name__}{wanted}, got {got}; {advice}.") from error


def _shape(value: Any) -> str:
    return f"{tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
