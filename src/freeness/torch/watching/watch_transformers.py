"""A watch over a training by the Trainer of Hugging Face, as one of its callbacks."""

from __future__ import annotations

from typing import Any

import transformers
from torch import Tensor, nn

from freeness.torch.model.outputs import loss_of
from freeness.torch.watching.watch_callback import WatchingCallback

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
    _loss: Tensor | None = None  # that it made of it
    _hook: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        model: nn.Module = kwargs["model"]
        self.on_train_end(args, state, control)  # of a training that broke off
        steps = state.global_step, state.max_steps
        self._begin(model, kwargs["optimizer"], steps, state.is_world_process_zero)
        self._hook = model.register_forward_hook(self._seen, with_kwargs=True)

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        batch = {name: value for name, value in self._batch.items() if name not in _NOT_OF_THE_BATCH}
        self._look(batch, self._loss)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._hook is not None:
            self._hook.remove()

    def _seen(self, _: nn.Module, __: Any, kwargs: dict[str, Any], returned: Any) -> None:
        loss = loss_of(returned)
        self._batch, self._loss = kwargs, None if loss is None else loss.detach()
