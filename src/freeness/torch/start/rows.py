"""The rows of an initialisation, filled in while tensors are written."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from freeness.torch.start.initialized import InitializedTensor
from freeness.torch.start.tensors import ModelTensor

_LEFT = {
    "matrix": "no start is said for it",
    "bias": "its layer is left",
    "table": "looked up, so that its entries are the inputs' size, which an ensemble does not know",
    "scale": "scale of a normalisation",
    "shift": "shift of a normalisation",
    "foreign": "of a normalisation that is not torch's, and may be added to 1 there",
    "own": "a parameter of the model's own: no kind of layer says what it is for",
}
_TIED = "a table of embeddings that is a matrix as well: its size is that of the embeddings"


class Rows:
    """One row for each tensor; those that nobody writes are left, with the reason that their part gives."""

    def __init__(self, tensors: Iterable[ModelTensor]) -> None:
        self.tensors = tuple(tensors)
        self._rows: dict[str, InitializedTensor] = {}
        for tensor in self.tensors:
            self.leave(tensor)

    def all(self) -> tuple[InitializedTensor, ...]:
        """In the order of the tensors."""
        return tuple(self._rows.values())

    def leave(self, tensor: ModelTensor, reason: str = "") -> None:
        """Say why a tensor is as it was."""
        why = tensor.kept or reason or (_TIED if tensor.tied else _LEFT[tensor.part.role])
        self._rows[tensor.name] = InitializedTensor(tensor.name, tensor.shape, False, "", why, tensor.also)

    def write(self, tensor: ModelTensor, values: Tensor, how: str, reason: str) -> bool:
        """Put values into a tensor, unless it is kept; whether that was done."""
        if tensor.kept:
            return False
        with torch.no_grad():
            tensor.value.copy_(values)
        self._rows[tensor.name] = InitializedTensor(tensor.name, tensor.shape, True, how, reason, tensor.also)
        return True

    def scale(self, values: Iterable[Tensor | None], factor: float) -> None:
        """Multiply some of the tensors."""
        wanted = {id(value) for value in values if value is not None}
        for tensor in self.tensors:
            if id(tensor.value) in wanted and not tensor.kept:
                row = self._rows[tensor.name]
                with torch.no_grad():
                    tensor.value.mul_(factor)
                how = f"{row.how} · {factor:.4g}" if row.drawn else f"× {factor:.4g}"
                said = f"{row.reason}; ends a residual branch" if row.drawn else "ends a residual branch"
                self._rows[tensor.name] = InitializedTensor(tensor.name, tensor.shape, True, how, said, tensor.also)
