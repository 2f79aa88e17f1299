"""A watch over a training by Lightning, as a callback of its Trainer."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from freeness.torch.watching.watch_callback import WatchingCallback


class WatchCallback(WatchingCallback, pl.Callback):
    """Watches the module's ``forward`` and its first optimiser; numbers go to the Trainer's loggers, warnings to logging.

    Args:
        loss: of the module's outputs and the batch's targets, as :class:`~freeness.torch.Watch` takes it; cross-entropy where it
            is left out.
        every: as of :class:`~freeness.torch.Watch`.
        overhead: as of :class:`~freeness.torch.Watch`.
        log: as of :class:`~freeness.torch.Watch`.

    Attributes:
        watch: from the start of the training on.
    """

    usual_loss = "cross_entropy"
    _steps: int  # taken before

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._steps = trainer.global_step
        steps = self._steps, trainer.estimated_stepping_batches
        self._begin(pl_module, trainer.optimizers[0], steps, trainer.is_global_zero)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step == self._steps:  # gradients are accumulated
            return
        self._steps = trainer.global_step
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        for record in self._look(batch, loss if isinstance(loss, Tensor) else None):
            numbers = {f"freeness/{name}": value for name, value in record.scalars.items()}
            for logger in trainer.loggers:
                logger.log_metrics(numbers, step=trainer.global_step)
