"""A user's module as a function of one input, ready for differentiation and left as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.model.batched import plain_attention
from freeness.torch.model.extremes import RowsOfExtremes
from freeness.torch.model.indexing import read_at_once
from freeness.torch.model.modes import DRAWS, fixed_masks
from freeness.torch.model.outputs import OutputKey, run, select_output
from freeness.torch.model.state import runs_foreign_code, trained_parameters, untouched

_REPEATED = 100.0  # roundings by which two runs of a deterministic model may differ


@dataclass(frozen=True, eq=False)
class Function:
    """A module as a function of one input: which output, in which mode, in which dtype (None: its own).

    ``written``: to what a forward pass in eval mode writes, where a ready function found that out; None where nobody looked.
    """

    model: nn.Module
    output: OutputKey = None
    training: bool = False
    dtype: torch.dtype | None = None
    written: tuple[Tensor, ...] | None = None

    @contextmanager
    def ready(self, x: Tensor) -> Iterator[tuple[Function, Tensor]]:
        """The function and its input inside a block that leaves the model as it was; trained parameters require gradients.

        What a forward pass writes to is found out first, so that no copy of the other weights is held afterwards.

        Raises:
            InputError: the model fails on x, two runs differ, or the output is not finite.
        """
        model = self.model if self.dtype is None else converted(self.model, self.dtype)
        function = replace(self, model=model)
        x = function.input(x)
        with torch.inference_mode(False), plain_attention():
            if function.written is None or self.training or model is not self.model:
                function = replace(function, written=function._checked(x))
            kept = untouched(model, training=self.training, copies=function.written or ())
            with fixed_masks(model), kept, read_at_once(model), RowsOfExtremes(), torch.enable_grad():
                for parameter in trained_parameters(model).values():
                    parameter.requires_grad_(parameter.is_floating_point())
                yield function, x

    def _checked(self, x: Tensor) -> tuple[Tensor, ...]:
        """To what a pass writes, after a check that two agree."""
        model = self.model
        copies = self.training or runs_foreign_code(model)
        with fixed_masks(model), untouched(model, training=self.training, copies=copies):
            before = [parameter._version for parameter in model.parameters()]
            self.check(x)
            written: list[Tensor] = [
                p for p, version in zip(model.parameters(), before, strict=True) if p._version != version
            ]
        return (*written, *(model.buffers() if copies else ()))  # batch statistics change without a new version

    def __call__(self, x: Tensor) -> Tensor:
        """The output as a vector (C,)."""
        return select_output(run(self.model, x), self.output)[1].reshape(-1)

    def input(self, x: Tensor) -> Tensor:
        """x on the device of the model, and in its dtype where it is no number of a token."""
        first = next(self.model.parameters(), None)
        if first is None:
            return x.detach()
        moved = x.detach().to(first.device)
        return moved.to(first.dtype) if x.is_floating_point() else moved

    def check(self, x: Tensor) -> None:
        """Refuse a model that is not a function: two runs must agree."""
        with torch.no_grad():
            first, second = self(x).detach(), self(x).detach()  # a parameter that is returned keeps its graph
        if not bool(first.isfinite().all()):
            raise InputError("expected finite outputs, got NaN or infinity; scale the weights or the input down.")
        error = float((first - second).abs().max()) if first.numel() else 0.0
        if error > _REPEATED * torch.finfo(first.dtype).eps * float(first.abs().max()):
            raise InputError(
                f"expected a deterministic model, got outputs that differ by {error:.3g} between two runs on the same "
                f"input; {DRAWS}."
            )


def converted(model: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The model if it has this dtype, or a copy of it that has.

    Example:
        >>> converted(nn.Linear(1, 1), torch.float64).weight.dtype
        torch.float64
    """
    if all(p.dtype == dtype for p in model.parameters() if p.is_floating_point()):
        return model
    try:
        return copy.deepcopy(model).to(dtype)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"expected a model that can be copied to measure it in {dtype}, got {type(error).__name__}; convert it yourself."
        ) from error
