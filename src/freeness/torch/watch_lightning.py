"""A watch over a training by Lightning, as a callback of its Trainer."""

from __future__ import annotations

import logging
from typing import Any

import lightning.pytorch as pl
from torch import Tensor

from freeness.torch.given import GivenLoss
from freeness.torch.watch import Watch

_LOG = logging.getLogger(__name__)


class WatchCallback(pl.Callback):
    """Watches the module's ``forward`` and its first optimiser; numbers go to the Trainer's loggers, warnings to logging.

    Args:
        loss: of the module's outputs and the batch's targets, as :class:`~freeness.torch.Watch` takes it.
        every: as of :class:`~freeness.torch.Watch`.
        overhead: as of :class:`~freeness.torch.Watch`.
        log: as of :class:`~freeness.torch.Watch`.

    Attributes:
        watch: from the start of the training on.
    """

    def __init__(
        self, loss: GivenLoss = "cross_entropy", *, every: int | None = None, overhead: float = 0.02, log: object = None
    ) -> None:
        self._options: dict[str, Any] = {"loss": loss, "every": every, "overhead": overhead, "log": log}
        self.watch: Watch | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.watch = Watch(pl_module, trainer.optimizers[0], **self._options)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert self.watch is not None  # on_train_start comes before
        visits = len(self.watch.records)
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        for warning in self.watch.step(batch, loss if isinstance(loss, Tensor) else None):
            _LOG.warning("%s", warning)
        for record in self.watch.records[visits:]:
            numbers = {f"freeness/{name}": value for name, value in record.scalars.items()}
            for logger in trainer.loggers:
                logger.log_metrics(numbers, step=trainer.global_step)
