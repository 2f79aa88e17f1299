"""Where learning breaks, where it is best, and how both depend on depth."""

from __future__ import annotations

import numpy as np
import xarray

_KEPT = 0.8  # of the best accuracy


def with_thresholds(table: xarray.Dataset, kept: float = _KEPT) -> xarray.Dataset:
    """The table with ``boundary`` and ``best_rate`` of every design and depth, and slopes of their logarithms over log depth.

    ``boundary``: the smallest rate above the best one at which the accuracy, mean over the seeds at the last look, falls below
    ``kept`` of that depth's best, interpolated in log η; NaN where it does not fall within the rates. ``*_slope`` and
    ``*_slope_error`` (one standard error) are fitted by least squares; ``*_factor`` is the fitted value over 2/L at the
    geometric mean of the depths. ``boundary_of_seed`` is the same of every seed by itself.

    Args:
        table: of ``open_sweep``.
        kept: the share.

    Example:
        >>> accuracy = xarray.DataArray([[[[[0.8]], [[0.5]]]]], dims=("design", "depth", "rate_index", "seed", "step"))
        >>> rates = xarray.DataArray([[[0.1, 0.4]]], dims=("design", "depth", "rate_index"))
        >>> table = xarray.Dataset({"accuracy": accuracy}, {"rate": rates, "depth": [2], "step": [9]})
        >>> round(with_thresholds(table)["boundary"].item(), 3)
        0.209
    """
    last = table["accuracy"].isel(step=-1)
    mean = last.mean("seed")
    found = table.assign(
        boundary=_over_rates(_boundary, table["rate"], mean, kept),
        boundary_of_seed=_over_rates(_boundary, table["rate"], last, kept),
        best_rate=_over_rates(_best, table["rate"], mean, kept),
        best_accuracy=mean.max("rate_index"),
    )
    for name in ("boundary", "best_rate"):
        slope, error, factor = xarray.apply_ufunc(
            _fitted,
            found[name],
            table["depth"],
            input_core_dims=[["depth"], ["depth"]],
            output_core_dims=[[], [], []],
            vectorize=True,
        )
        found = found.assign({f"{name}_slope": slope, f"{name}_slope_error": error, f"{name}_factor": factor})
    words = {
        "boundary": f"rate at which accuracy falls below {kept:.0%} of the best",
        "best_rate": "rate of best accuracy",
    }
    for name, text in words.items():
        found[name].attrs.update(units="rate", long_name=text)
    return found


def _over_rates(function, rates: xarray.DataArray, accuracy: xarray.DataArray, kept: float) -> xarray.DataArray:
    return xarray.apply_ufunc(
        function,
        rates,
        accuracy,
        kept,
        input_core_dims=[["rate_index"], ["rate_index"], []],
        vectorize=True,
    )


def _boundary(rates: np.ndarray, accuracy: np.ndarray, kept: float) -> float:
    order = np.argsort(rates)
    rates, accuracy = rates[order], accuracy[order]
    if np.isnan(accuracy).any():
        return np.nan
    best = int(accuracy.argmax())
    below = np.flatnonzero(accuracy[best:] < kept * accuracy[best])
    if below.size == 0:
        return np.nan
    i = best + int(below[0])
    share = (accuracy[i - 1] - kept * accuracy[best]) / (accuracy[i - 1] - accuracy[i])
    return float(np.exp(np.log(rates[i - 1]) + share * np.log(rates[i] / rates[i - 1])))


def _best(rates: np.ndarray, accuracy: np.ndarray, kept: float) -> float:
    return np.nan if np.isnan(accuracy).any() else float(rates[accuracy.argmax()])


def _fitted(values: np.ndarray, depths: np.ndarray) -> tuple[float, float, float]:
    there = np.isfinite(values)
    if there.sum() < 3:
        return np.nan, np.nan, np.nan
    x, y = np.log(depths[there]), np.log(values[there])
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    return float(slope), float(np.sqrt(covariance[0, 0])), float(np.exp(y.mean() + x.mean()) / 2)
