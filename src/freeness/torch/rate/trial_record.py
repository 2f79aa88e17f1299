"""Trials in a file, a line of JSON each as they come, so that a search that was ended goes on."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from freeness.errors import InputError
from freeness.files import read_text
from freeness.torch.rate.critical import CriticalRate
from freeness.training import Leg, RateSetting, RateTrial

_VERSION = 1
_ALIKE = 1e-9  # of rates, relative


@dataclass
class TrialRecord:
    """What a file holds of a search, and where the rest is written; without a file nothing is kept.

    Attributes:
        path: of the file.
        heading: tells the search from others.
        critical: the critical rate, where the file has it.
        trials: in the file, each at its full length.
        torn: whether the last line of the file was cut off.
    """

    path: Path | None
    heading: dict[str, Any]
    critical: CriticalRate | None = None
    trials: list[RateTrial] = field(default_factory=list[RateTrial])
    torn: bool = False

    @staticmethod
    def opened(path: Path | None, setting: RateSetting, numbers: dict[str, Any]) -> TrialRecord:
        """The record of a search, with what its file holds.

        Raises:
            InputError: the file is no record, is newer, or is of another search.
        """
        said = [setting.loss, setting.optimizer, setting.batch, str(setting.schedule), list(setting.groups)]
        heading = {"schema_version": _VERSION, "training": said, "numbers": numbers}
        found = TrialRecord(path, heading)
        if path is not None and path.exists():
            found.read(path)
        return found

    def read(self, path: Path) -> None:
        """Take what a file holds; a last line that was cut off is left out."""
        text = read_text(path, "a record of trials")
        lines, self.torn = text.splitlines(), not text.endswith("\n")
        try:
            first = json.loads(lines[0])
            version = first.pop("schema_version")
            *numbers, passes = first.pop("critical")
            critical = CriticalRate(
                *(math.inf if value is None else float(value) for value in numbers), passes=int(passes)
            )
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise InputError(
                f"expected a record of trials, got {str(path)!r}, which is none; choose another file."
            ) from error
        if version != _VERSION:
            raise InputError(
                f"expected a record of version {_VERSION}, got {version} in {str(path)!r}; update freeness."
            )
        wanted = json.loads(json.dumps({k: v for k, v in self.heading.items() if k != "schema_version"}))
        if first != wanted:
            raise InputError(
                f"expected trials of {wanted} in {str(path)!r}, got those of {first}; choose another folder, or the same options."
            )
        self.critical = critical
        for line in lines[1:]:
            try:
                told = json.loads(line)
                losses = tuple(math.nan if loss is None else float(loss) for loss in told["losses"])
                self.trials.append(RateTrial(float(told["rate"]), losses, bool(told["stopped"])))
            except (ValueError, KeyError, TypeError):
                continue

    def begin(self, critical: CriticalRate) -> None:
        """Write the heading, unless the file has one."""
        if self.path is None or self.critical is not None:
            return
        told = (critical.rate, critical.below, critical.loss, critical.slope, critical.passes)
        self._write(self.heading | {"critical": [value if math.isfinite(value) else None for value in told]}, "w")

    def known(self, leg: Leg) -> RateTrial | None:
        """The trial that a leg asks for, where it has been run as far."""
        for trial in self.trials:
            if abs(trial.rate - leg.rate) <= _ALIKE * leg.rate and (trial.stopped or trial.steps >= leg.until):
                cut = trial.losses[: leg.until]
                return RateTrial(leg.rate, cut, trial.stopped and trial.steps <= leg.until)
        return None

    def add(self, trial: RateTrial) -> None:
        """Write a trial as far as it has come."""
        losses = [loss if math.isfinite(loss) else None for loss in trial.losses]
        self._write({"rate": trial.rate, "losses": losses, "stopped": trial.stopped}, "a")

    def _write(self, told: dict[str, Any], mode: str) -> None:
        if self.path is None:
            return
        try:
            with self.path.open(mode, encoding="utf-8") as file:
                file.write("\n" * self.torn + json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n")
            self.torn = False
        except OSError as error:
            raise InputError(
                f"expected a file to write trials to, got {error.strerror} for {str(self.path)!r}."
            ) from error
