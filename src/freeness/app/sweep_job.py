"""A sweep's table as plain numbers, read in a process that has what reads it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np

from freeness.experiments import open_sweep, with_thresholds
from freeness.show import heat_map_picture, picture_bytes, swept_design

_LOOKS = ("accuracy", "loss")


def perform(
    store: str, design: str = "", picture: str | None = None, *, stage: Callable[[str, float], None]
) -> dict[str, Any]:
    """The sweep that was run last: accuracy over depth and rate, along training, and the lines of theory."""
    stage("reading the store", 0.1)
    table = with_thresholds(open_sweep(store))
    names = [str(name) for name in table["design"].values]
    if picture is not None:
        shown = design if design in names else names[0]
        content = picture_bytes(heat_map_picture(swept_design(table, shown), title=shown), picture)
        return {"picture": base64.b64encode(content).decode("ascii")}
    return {
        "name": str(table.attrs["name"]),
        "cells": int(table.attrs["cells"]),
        "finished": int(table.attrs["finished"]),
        "depths": [int(depth) for depth in table["depth"].values],
        "steps": [int(step) for step in table["step"].values],
        "designs": {name: _design(table.sel(design=name)) for name in names},
    }


def _design(part: Any) -> dict[str, Any]:
    """Arrays over depth, rate and step; means over those seeds that are finished."""
    looks = {name: part[name].mean("seed").transpose("depth", "rate_index", "step").values for name in _LOOKS}
    arrays = {name: _plain(values) for name, values in looks.items()}
    arrays["rates"] = _plain(part["rate"].transpose("depth", "rate_index").values)
    depths = part["depth"].size
    for name in ("two_over_depth", "one_sample_bound", "boundary"):
        arrays[name] = _plain(np.broadcast_to(part[name].values, (depths,)))
    return arrays


def _plain(values: np.ndarray) -> Any:
    """Nested lists; None where a number is not finite."""
    plain = np.array(values, dtype=object)
    plain[~np.isfinite(np.asarray(values, dtype=float))] = None
    return plain.tolist()
