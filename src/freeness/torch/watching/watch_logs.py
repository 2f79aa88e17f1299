"""All logs of a watch together: what one of them raises is said once, and ends no training."""

from __future__ import annotations

from collections.abc import Sequence

from freeness.advice import WatchEvent, WatchWarning
from freeness.errors import brief
from freeness.torch.watching.watch_log import WatchLog, logs_of


class Logs:
    """Hands every event to every log.

    Raises:
        InputError: no log, or that of another watch.

    Example:
        >>> Logs(None).resume
        0
    """

    def __init__(self, given: object) -> None:
        self._logs: list[WatchLog] = logs_of(given)
        for log in self._logs:
            log.begin()
        self._failing: set[int] = set()
        self._troubles: list[WatchWarning] = []

    @property
    def resume(self) -> int:
        """Steps that were taken before."""
        return max((log.resume for log in self._logs), default=0)

    def write(self, event: WatchEvent) -> None:
        """To every log, whatever the others do."""
        for place, log in enumerate(self._logs):
            try:
                log.write(event)
                self._failing.discard(place)
            except Exception as error:  # a full disk, a lost connection, a log of the user's own: training goes on
                if place not in self._failing:
                    self._failing.add(place)
                    self._troubles.append(_told(event.step, log, error))

    @property
    def failing(self) -> bool:
        """Whether there is a trouble that was not said yet."""
        return bool(self._troubles)

    def told(self, warnings: Sequence[WatchWarning]) -> list[WatchWarning]:
        """Write these, and give back what could not be written, a sentence a log; said again only after it was over."""
        for warning in warnings:
            self.write(warning)
        found, self._troubles = self._troubles, []
        return found


def _told(step: int, log: WatchLog, error: Exception) -> WatchWarning:
    return WatchWarning(
        step,
        "log",
        f"Nothing could be written to the {type(log).__name__} ({brief(error)}); the training goes on, and watch.records and "
        "watch.warnings keep everything.",
    )
