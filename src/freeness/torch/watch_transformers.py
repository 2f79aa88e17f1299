"""A watch over a training by the Trainer of Hugging Face, as one of its callbacks."""

from __future__ import annotations

import logging
from typing import Any

import transformers
from torch import nn

from freeness.torch.given import GivenLoss
from freeness.torch.watch import Watch

_LOG = logging.getLogger(__name__)
_NOT_OF_THE_BATCH = ("num_items_in_batch",)  # what the Trainer adds to it


class WatchTrainerCallback(transformers.TrainerCallback):
    """Watches the Trainer's model, whose batches are seen by a hook on its forward pass; warnings go to logging.

    Args:
        loss: as :class:`~freeness.torch.Watch` takes it; the model's own where it is left out.
        every: as of :class:`~freeness.torch.Watch`.
        overhead: as of :class:`~freeness.torch.Watch`.
        log: as of :class:`~freeness.torch.Watch`.

    Attributes:
        watch: from the start of the training on.
    """

    def __init__(
        self, loss: GivenLoss = "own", *, every: int | None = None, overhead: float = 0.02, log: object = None
    ) -> None:
        self._options: dict[str, Any] = {"loss": loss, "every": every, "overhead": overhead, "log": log}
        self.watch: Watch | None = None
        self._batch: dict[str, Any] = {}
        self._hook: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        model: nn.Module = kwargs["model"]
        self.watch = Watch(model, kwargs["optimizer"], **self._options)
        self._hook = model.register_forward_pre_hook(self._seen, with_kwargs=True)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        assert self.watch is not None  # on_train_begin comes before
        batch = {name: value for name, value in self._batch.items() if name not in _NOT_OF_THE_BATCH}
        for warning in self.watch.step(batch):
            _LOG.warning("%s", warning)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._hook.remove()

    def _seen(self, _: nn.Module, __: Any, kwargs: dict[str, Any]) -> None:
        self._batch = kwargs
