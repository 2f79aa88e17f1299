"""A watch over a training by the Trainer of Hugging Face, as one of its callbacks."""

from __future__ import annotations

from typing import Any

import transformers
from torch import nn

from freeness.torch.watch_callback import WatchingCallback

_NOT_OF_THE_BATCH = ("num_items_in_batch",)  # what the Trainer adds to it


class WatchTrainerCallback(WatchingCallback, transformers.TrainerCallback):
    """Watches the Trainer's model, whose batches are seen by a hook on its forward pass; warnings go to logging.

    Args:
        loss: as :class:`~freeness.torch.Watch` takes it; the model's own where it is left out.
        every: as of :class:`~freeness.torch.Watch`.
        overhead: as of :class:`~freeness.torch.Watch`.
        log: as of :class:`~freeness.torch.Watch`.

    Attributes:
        watch: from the start of the training on.
    """

    usual_loss = "own"
    _batch: dict[str, Any]  # that the model saw last
    _hook: Any

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        model: nn.Module = kwargs["model"]
        self._begin(model, kwargs["optimizer"])
        self._hook = model.register_forward_pre_hook(self._seen, with_kwargs=True)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._look({name: value for name, value in self._batch.items() if name not in _NOT_OF_THE_BATCH})

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._hook.remove()

    def _seen(self, _: nn.Module, __: Any, kwargs: dict[str, Any]) -> None:
        self._batch = kwargs
