"""Pictures of sweeps: accuracy over depth and learning rate with the lines of theory, thresholds, training curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from freeness.plots import style
from freeness.plots.cells import cell_edges


class SweepTable(Protocol):
    """An ``xarray.Dataset`` as ``freeness.experiments.with_thresholds`` returns it."""

    @property
    def attrs(self) -> Mapping[Any, Any]:
        """Name and provenance."""
        ...

    def __getitem__(self, key: Any, /) -> Any:
        """A variable by its name."""
        ...

    def sel(self, *args: Any, **kwargs: Any) -> Any:
        """The part at these labels."""
        ...


_LINES = (
    ("two_over_depth", "2/L", style.RED, "-"),
    ("one_sample_bound", "2/λ of the predicted spectrum", "black", "--"),
    ("batch_bound", "2/λ of the batch, predicted", style.GREY, ":"),
)


def plot_heat_map(table: SweepTable, design: str | None = None, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw accuracy after training, mean over the seeds, over depth and learning rate, with theory and the measured boundary.

    Args:
        table: of a sweep, with its thresholds.
        design: by name; the first one when left out.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture; the design when left out.
    """
    axes = style.axes_or_new(ax)
    name = design or str(table["design"].values[0])
    part = table.sel(design=name)
    depths = np.asarray(part["depth"].values, dtype=float)
    accuracy = part["accuracy"].isel(step=-1).mean("seed")
    edges = cell_edges(depths)
    shade = Normalize(0.0, 1.0)
    mesh = None
    for row, depth in enumerate(part["depth"].values):  # rates differ from depth to depth
        rates = part["rate"].sel(depth=depth).values
        order = np.argsort(rates)
        values = accuracy.sel(depth=depth).values[order][:, None]
        mesh = axes.pcolormesh(edges[row : row + 2], cell_edges(rates[order]), values, norm=shade, cmap="viridis")
    handles = _lines(axes, part, depths)
    handles += axes.plot(
        depths,
        part["boundary"].values,
        "o",
        color="white",
        markeredgecolor="black",
        label="accuracy below 80 % of the best",
        gid="boundary",
    )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(depths, [f"{depth:g}" for depth in depths])
    style.finish(axes, xlabel="depth L", ylabel="learning rate η", title=title or name)
    if mesh is not None:
        style.figure_of(axes).colorbar(mesh, ax=axes, label="test accuracy")
    style.legend_below(axes, handles, columns=1)
    return axes


def plot_thresholds(table: SweepTable, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw where learning breaks and where it is best over depth, one colour a design, with 2/L and the predicted bounds.

    Args:
        table: of a sweep, with its thresholds.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
    """
    axes = style.axes_or_new(ax)
    depths = np.asarray(table["depth"].values, dtype=float)
    handles: list[Line2D] = axes.plot(depths, table["two_over_depth"].values, color=style.RED, label="2/L")
    colours = (style.THEORY, style.MEASURED, style.GREEN, style.GREY, "black")
    for name, colour in zip(table["design"].values, colours * len(table["design"]), strict=False):
        part = table.sel(design=name)
        handles += axes.plot(
            depths, part["boundary"].values, "o-", color=colour, label=f"{name}: breaks{_slope(part, 'boundary')}"
        )
        handles += axes.plot(
            depths, part["best_rate"].values, "^:", color=colour, label=f"{name}: best{_slope(part, 'best_rate')}"
        )
        handles += axes.plot(
            depths, part["one_sample_bound"].values, "--", color=colour, linewidth=1, label=f"{name}: 2/λ predicted"
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(depths, [f"{depth:g}" for depth in depths])
    style.finish(axes, xlabel="depth L", ylabel="learning rate η", title=title)
    style.legend_below(axes, handles, columns=1)
    return axes


def plot_training(
    table: SweepTable, design: str | None = None, depth: int | None = None, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw accuracy along training, mean over the seeds, one curve a learning rate.

    Args:
        table: of a sweep.
        design: by name; the first one when left out.
        depth: the last one when left out.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture; design and depth when left out.
    """
    axes = style.axes_or_new(ax)
    name = design or str(table["design"].values[0])
    at = int(table["depth"].values[-1]) if depth is None else depth
    part = table.sel(design=name, depth=at)
    handles: list[Line2D] = []
    rates = part["rate"].values
    for index in np.argsort(rates):
        colour = (0.2, 0.3 + 0.6 * index / len(rates), 0.8 - 0.7 * index / len(rates))
        values = part["accuracy"].isel(rate_index=int(index)).mean("seed").values
        handles += axes.plot(
            part["step"].values, values, "o-", color=colour, markersize=3, label=f"η = {rates[index]:.3g}"
        )
    axes.set_ylim(0, 1)
    style.finish(axes, xlabel="step", ylabel="test accuracy", title=title or f"{name}, L = {at}")
    style.legend_below(axes, handles, columns=3)
    return axes


def _lines(axes: Axes, part: Any, depths: np.ndarray) -> list[Line2D]:
    shown: list[np.ndarray] = []
    handles: list[Line2D] = []
    for name, label, colour, dashes in _LINES:
        values = np.broadcast_to(part[name].values, depths.shape)
        if not any(np.array_equal(values, other) for other in shown):
            handles += axes.plot(depths, values, dashes, color=colour, linewidth=2, label=label, gid=name)
            shown.append(values)
    return handles


def _slope(part: Any, name: str) -> str:
    slope, error = float(part[f"{name}_slope"]), float(part[f"{name}_slope_error"])
    return f" (slope {slope:.2f} ± {error:.2f})" if np.isfinite(slope) else ""
