"""What the callbacks of all trainers share: the options of a watch, its start, and where its warnings go."""

from __future__ import annotations

import logging
import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from freeness.advice import WatchRecord
from freeness.torch.loss.given import GivenLoss
from freeness.torch.watching.watch import Watch
from freeness.torch.watching.watch_log import logs_of

_LOG = logging.getLogger(__name__)


class WatchingCallback:
    """A watch that begins with the training; its warnings go to logging.

    A training that goes on from a checkpoint goes on in its log at a path; of several processes the first one alone writes.

    Attributes:
        watch: from the start of the training on.
        usual_loss: of trainers of this kind.
    """

    usual_loss: ClassVar[str]

    def __init__(
        self, loss: GivenLoss | None = None, *, every: int | None = None, overhead: float = 0.02, log: object = None
    ) -> None:
        given = self.usual_loss if loss is None else loss
        self._options: dict[str, Any] = {"loss": given, "every": every, "overhead": overhead, "log": log}
        self.watch: Watch | None = None

    def _begin(self, model: nn.Module, optimizer: torch.optim.Optimizer, steps: tuple[int, float], first: bool) -> None:
        """After so many steps of so many (or of nobody knows how many), in the first process of a group or in another one."""
        options = dict(self._options)
        done, expected = steps
        options["log"] = logs_of(options["log"], done) if first else None
        self.watch = Watch(model, optimizer, **options)
        if done < expected < math.inf:
            self.watch.expect(int(expected) - done)

    def _look(self, batch: object, loss: float | Tensor | None = None) -> list[WatchRecord]:
        """Behind a step; the records of the visits that it brought."""
        assert self.watch is not None  # the trainer has begun before
        visits = len(self.watch.records)
        for warning in self.watch.step(batch, loss):
            _LOG.warning("%s", warning)
        return self.watch.records[visits:]
