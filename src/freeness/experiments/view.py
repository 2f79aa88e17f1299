"""A sweep as one labelled table, and its export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas
import xarray

from freeness.errors import InputError
from freeness.experiments.store import StoredSweep, open_store
from freeness.files import whole_files

_DIMENSIONS = ("design", "depth", "rate_index", "seed")
_LOOKS = {
    "accuracy": "share of test images told right",
    "loss": "mean test loss",
    "sharpness": "largest eigenvalue of the GGN of a batch",
    "freeness": "largest score of the freeness test, in standard deviations",
}


def open_sweep(path: Path | str, name: str | None = None) -> xarray.Dataset:
    """The results of a sweep: dimensions design, depth, rate_index, seed and step; cells that are not finished are NaN.

    Every variable has ``units`` and ``long_name``. ``rate`` is the absolute learning rate; ``two_over_depth``,
    ``one_sample_bound`` and ``batch_bound`` are the lines of theory. Attributes hold specification and provenance as JSON, how
    many cells are finished, and ``mean_square``, that of an input's entries.

    Args:
        path: of the store's SQLite file.
        name: of a sweep, if it is not the one that was run last.

    Raises:
        InputError: no such store or sweep.

    Example:
        >>> import tempfile
        >>> from freeness.experiments import preset, run_sweep
        >>> small = preset("tiny").model_copy(update={"depths": (2,), "steps": 2, "evaluate": (2,)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = run_sweep(small, Path(folder) / "store.sqlite")
        ...     table = open_sweep(Path(folder) / "store.sqlite")
        >>> dict(table.sizes)
        {'design': 1, 'depth': 1, 'rate_index': 3, 'seed': 2, 'step': 1}
    """
    with open_store(path, create=False) as store:
        stored = _chosen(store.sweeps(), path, name)
        cells, rates = store.cells(stored.key), store.rates(stored.key)
    sweep = stored.specification
    coordinates = {
        "design": [design.name for design in sweep.designs],
        "depth": list(sweep.depths),
        "rate_index": list(range(len(sweep.rates.values))),
        "seed": list(sweep.seeds),
        "step": list(sweep.evaluate),
    }
    shape = tuple(len(coordinates[name]) for name in _DIMENSIONS)
    looks = {name: np.full((*shape, len(sweep.evaluate)), np.nan) for name in (*_LOOKS, "train_loss")}
    single = {name: np.full(shape, np.nan) for name in ("divergence_step", "seconds")}
    for cell in cells:
        for name in _LOOKS:
            looks[name][cell.place] = [_number(look[name]) for look in cell.result["looks"]]
        looks["train_loss"][cell.place] = [_number(value) for value in cell.result["train_loss"]]
        for name, values in single.items():
            values[cell.place] = _number(cell.result[name])
    table = xarray.Dataset(coords=coordinates)
    for name, values in looks.items():
        units = "1" if name == "accuracy" else "loss" if "loss" in name else "1/rate" if name == "sharpness" else "1"
        words = _LOOKS.get(name, "mean loss of the batches since the last look")
        table[name] = ((*_DIMENSIONS, "step"), values, {"units": units, "long_name": words})
    table["divergence_step"] = (
        _DIMENSIONS,
        single["divergence_step"],
        {"units": "steps", "long_name": "step at which the loss was lost and the cell frozen"},
    )
    table["seconds"] = (_DIMENSIONS, single["seconds"], {"units": "s", "long_name": "share of the time of its stack"})
    table = _with_rates(table, stored, rates)
    provenance = sorted({json.dumps(cell.provenance, sort_keys=True) for cell in cells})
    table.attrs = {
        "name": stored.name,
        "specification": sweep.model_dump_json(),
        "provenance": "[" + ", ".join(provenance) + "]",
        "data_sha256": stored.theory["facts"]["digest"],
        "mean_square": float(stored.theory["facts"]["qhat0"]),
        "cells": int(np.prod(shape)),
        "finished": len(cells),
    }
    return table


def frame(table: xarray.Dataset) -> pandas.DataFrame:
    """A table as a DataFrame, a row for every look at a cell; what was not finished is NaN.

    Example:
        >>> frame(xarray.Dataset({"loss": ("step", [2.0, 1.0])}, {"step": [1, 10]})).values.tolist()
        [[1.0, 2.0], [10.0, 1.0]]
    """
    return table.to_dataframe().reset_index()


def export(table: xarray.Dataset, path: Path | str) -> None:
    """Write a table to .nc (NetCDF 3) or, a row a look, to .parquet; whole or not at all.

    Raises:
        InputError: another ending, or a file that cannot be written.
    """
    where = check_export(path)
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with whole_files(where) as (temporary,):
            if where.suffix == ".nc":
                table.to_netcdf(temporary, engine="scipy")
            else:
                frame(table).to_parquet(temporary)
    except OSError as error:
        raise InputError(f"expected a file to write, got {str(where)!r} ({error}); choose another one.") from error


def check_export(path: Path | str) -> Path:
    """The path, if a table can be written in the format of its ending.

    Raises:
        InputError: another ending.
    """
    where = Path(path)
    if where.suffix not in (".nc", ".parquet"):
        raise InputError(f"expected a file .nc or .parquet, got {where.name!r}; change the ending.")
    return where


def _chosen(sweeps: tuple[StoredSweep, ...], path: Path | str, name: str | None) -> StoredSweep:
    fitting = [sweep for sweep in sweeps if name is None or sweep.name == name]
    if not fitting:
        names = ", ".join(dict.fromkeys(sweep.name for sweep in sweeps)) or "none"
        raise InputError(f"expected a sweep of the store {str(path)!r} ({names}), got {name!r}; name one of these.")
    return fitting[-1]


def _with_rates(table: xarray.Dataset, stored: StoredSweep, rates: dict) -> xarray.Dataset:
    shape = tuple(table.sizes[name] for name in _DIMENSIONS[:3])
    absolute = np.full(shape, np.nan)
    for place, rate in rates.items():
        absolute[place[:3]] = rate
    lines = {
        "rate": (_DIMENSIONS[:3], absolute, "learning rate"),
        "two_over_depth": (("depth",), 2 / table["depth"].values, "2/L"),
        "one_sample_bound": (_DIMENSIONS[:2], stored.theory["one_sample_bound"], "2/λ of one sample by theory"),
        "batch_bound": (_DIMENSIONS[:2], stored.theory["batch_bound"], "2/λ of a batch by theory"),
    }
    return table.assign_coords(
        {name: (dims, values, {"units": "rate", "long_name": words}) for name, (dims, values, words) in lines.items()}
    )


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
