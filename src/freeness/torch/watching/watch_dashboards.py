"""The numbers of a watch in the dashboards that people have open: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import math
from abc import abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any, final

from freeness.advice import WatchEvent, WatchWarning
from freeness.errors import InputError
from freeness.torch.watching.watch_log import WatchLog

_PREFIX = "freeness/"


class Dashboard(WatchLog):
    """Takes the numbers of visits and the norm of the gradient, and each warning as text."""

    def write(self, event: WatchEvent) -> None:
        if isinstance(event, WatchWarning):
            self._tell(event)
            return
        numbers = {_PREFIX + name: value for name, value in event.scalars.items() if math.isfinite(value)}
        if numbers:
            self._plot(numbers, event.step)

    @abstractmethod
    def _plot(self, numbers: dict[str, float], step: int) -> None: ...

    @abstractmethod
    def _tell(self, warning: WatchWarning) -> None: ...


@final
class TensorBoardLog(Dashboard):
    """Scalars for TensorBoard.

    Args:
        writer: a ``SummaryWriter`` of yours, or the folder of a new one.

    Raises:
        InputError: tensorboard is not installed.
    """

    def __init__(self, writer: Any) -> None:
        made = isinstance(writer, str | Path)
        self._writer = (
            _imported("torch.utils.tensorboard", "tensorboard").SummaryWriter(str(writer)) if made else writer
        )

    def _plot(self, numbers: dict[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def _tell(self, warning: WatchWarning) -> None:
        self._writer.add_text(_PREFIX + "warnings", warning.sentence, warning.step)
        self._writer.flush()


@final
class WandbLog(Dashboard):
    """Scalars for Weights & Biases, with the step under a name of its own, so that it does not disturb yours.

    Args:
        run: what ``wandb.init`` returned; the current run where it is left out.

    Raises:
        InputError: wandb is not installed, or no run has begun.
    """

    def __init__(self, run: Any = None) -> None:
        self._run: Any = _imported("wandb", "wandb").run if run is None else run
        if self._run is None:
            raise InputError("expected a run of wandb, got none that has begun; call wandb.init first.")

    def _plot(self, numbers: dict[str, float], step: int) -> None:
        self._run.log(numbers | {_PREFIX + "step": step})

    def _tell(self, warning: WatchWarning) -> None:
        self._run.log({_PREFIX + "warning": warning.sentence, _PREFIX + "step": warning.step})


@final
class MlflowLog(Dashboard):
    """Metrics for MLflow; warnings are tags of the run.

    Args:
        client: the module ``mlflow``, or what has its ``log_metrics`` and ``set_tag``; the module where it is left out.

    Raises:
        InputError: mlflow is not installed.
    """

    def __init__(self, client: Any = None) -> None:
        self._client: Any = _imported("mlflow", "mlflow") if client is None else client

    def _plot(self, numbers: dict[str, float], step: int) -> None:
        self._client.log_metrics(numbers, step=step)

    def _tell(self, warning: WatchWarning) -> None:
        self._client.set_tag(f"{_PREFIX}warning at step {warning.step}".replace("/", "."), warning.sentence)


def _imported(module: str, package: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"expected the package {package}, which is not installed; run pip install {package}."
        ) from error
