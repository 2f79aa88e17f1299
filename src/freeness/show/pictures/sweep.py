"""Pictures of sweeps: accuracy over depth and learning rate with the lines of theory, thresholds, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

from freeness.show import style
from freeness.show.picture import Appearance, Axis, Dash, Drawing, HeatMap, Picture, Series

_LINES: tuple[tuple[str, str, str, Dash], ...] = (
    ("two_over_depth", "2/L", style.RED, "solid"),
    ("one_sample_bound", "2/λ of the predicted spectrum", "#000000", "dash"),
    ("batch_bound", "2/λ of the batch, predicted", style.GREY, "dot"),
)
_COLOURS = (style.THEORY, style.MEASURED, style.GREEN, style.GREY, "#000000")
_RATE = "learning rate η"


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


@dataclass(frozen=True, eq=False)
class SweptDesign:
    """One design of a sweep. ``rates`` and ``accuracy``: a row a depth; NaN where it is not finished yet.

    ``lines``: rates over the depths, by the names of the table's variables two_over_depth, one_sample_bound and batch_bound.
    """

    depths: Sequence[int]
    rates: Float[np.ndarray, "depths rates"]
    accuracy: Float[np.ndarray, "depths rates"]
    lines: Mapping[str, Float[np.ndarray, " depths"]]
    boundary: Float[np.ndarray, " depths"]


def swept_design(table: SweepTable, design: str | None = None) -> SweptDesign:
    """What a heat map shows of one design: accuracy after training, mean over the seeds.

    Args:
        table: of a sweep, with its thresholds.
        design: by name; the first one when left out.
    """
    part = table.sel(design=design or str(table["design"].values[0]))
    depths = part["depth"].values
    accuracy = part["accuracy"].isel(step=-1).mean("seed").transpose("depth", "rate_index").values
    lines = {name: np.broadcast_to(part[name].values, depths.shape) for name, *_ in _LINES}
    rates = part["rate"].transpose("depth", "rate_index").values
    return SweptDesign([int(depth) for depth in depths], rates, accuracy, lines, part["boundary"].values)


def heat_map_picture(swept: SweptDesign, *, title: str = "", sentence: str = "") -> Picture:
    """Accuracy over depth and learning rate, with theory and the measured boundary.

    The first drawings are the map's columns, one a depth, for every depth has rates of its own. Lines of theory that coincide
    are drawn once.

    Args:
        swept: rates and accuracies of one design, from :func:`swept_design`.
        title: above the picture.
        sentence: says what is seen.

    Example:
        >>> ends = np.array([1.0, 0.5])
        >>> rates = np.array([[0.1, 0.2, 0.4], [0.05, 0.1, 0.2]])
        >>> swept = SweptDesign([2, 4], rates, np.full((2, 3), 0.5), {"two_over_depth": ends}, ends)
        >>> [type(drawing).__name__ for drawing in heat_map_picture(swept).drawings]
        ['HeatMap', 'HeatMap', 'Series', 'Series']
    """
    depths = np.asarray(swept.depths, dtype=float)
    sides = np.exp(style.cell_edges(np.log(depths)))
    columns = [_column(swept, row, sides[row : row + 2]) for row in range(depths.size)]
    broken = Appearance("#ffffff", 0, marker="circle", size=6, edge="#000000")
    boundary = Series(depths, swept.boundary, broken, "accuracy below 80 % of the best", "boundary")
    return Picture(
        (*columns, *_theory(swept.lines, depths), boundary),
        _depth_axis(depths),
        Axis(_RATE, log=True),
        title=title,
        sentence=sentence,
        columns=1,
    )


def _column(swept: SweptDesign, row: int, sides: np.ndarray) -> HeatMap:
    order = np.argsort(swept.rates[row])
    rates, values = swept.rates[row][order], swept.accuracy[row][order]
    words = tuple(
        (f"L = {swept.depths[row]:g}, η = {rate:.3g}<br>accuracy {value:.3f}",)
        for rate, value in zip(rates, values, strict=True)
    )
    return HeatMap(
        sides, np.exp(style.cell_edges(np.log(rates))), values[:, None], (0.0, 1.0), "test accuracy", words=words
    )


def _theory(lines: Mapping[str, np.ndarray], depths: np.ndarray) -> list[Drawing]:
    shown: list[np.ndarray] = []
    drawn: list[Drawing] = []
    for name, label, colour, dash in _LINES:
        if name in lines and not any(np.array_equal(lines[name], other) for other in shown):
            drawn.append(Series(depths, lines[name], Appearance(colour, dash=dash), label, name))
            shown.append(lines[name])
    return drawn


def thresholds_picture(table: SweepTable, *, title: str = "") -> Picture:
    """Where learning breaks and where it is best over depth, one colour a design, with 2/L and the predicted bounds.

    Args:
        table: of a sweep, with its thresholds.
        title: above the picture.
    """
    depths = np.asarray(table["depth"].values, dtype=float)
    drawn = [Series(depths, table["two_over_depth"].values, Appearance(style.RED, 1.5), "2/L")]
    for name, colour in zip(table["design"].values, _COLOURS * len(table["design"]), strict=False):
        part = table.sel(design=name)
        for variable, words, look in (
            ("boundary", f"{name}: breaks{_slope(part, 'boundary')}", Appearance(colour, 1.5, marker="circle")),
            ("best_rate", f"{name}: best{_slope(part, 'best_rate')}", Appearance(colour, 1.5, "dot", "up")),
            ("one_sample_bound", f"{name}: 2/λ predicted", Appearance(colour, 1, "dash")),
        ):
            drawn.append(Series(depths, part[variable].values, look, words, variable))
    return Picture(tuple(drawn), _depth_axis(depths), Axis(_RATE, log=True), title=title, columns=1)


def training_picture(
    table: SweepTable, design: str | None = None, depth: int | None = None, *, title: str = ""
) -> Picture:
    """Accuracy along training, mean over the seeds, one curve a learning rate.

    Args:
        table: of a sweep.
        design: by name; the first one when left out.
        depth: the last one when left out.
        title: above the picture; design and depth when left out.
    """
    name = design or str(table["design"].values[0])
    at = int(table["depth"].values[-1]) if depth is None else depth
    part = table.sel(design=name, depth=at)
    drawn, rates, steps = [], part["rate"].values, part["step"].values
    for index in np.argsort(rates):
        share = index / len(rates)
        look = Appearance(_blend(share), 1.5, marker="circle", size=3)
        values = part["accuracy"].isel(rate_index=int(index)).mean("seed").values
        drawn.append(Series(steps, values, look, f"η = {rates[index]:.3g}"))
    heading = title or f"{name}, L = {at}"
    return Picture(tuple(drawn), Axis("step"), Axis("test accuracy", 0.0, 1.0), title=heading, columns=3)


def _blend(share: float) -> str:
    """From blue to green."""
    return "#" + "".join(f"{round(255 * part):02x}" for part in (0.2, 0.3 + 0.6 * share, 0.8 - 0.7 * share))


def _depth_axis(depths: np.ndarray) -> Axis:
    return Axis("depth L", log=True, base=2, ticks=tuple(depths.tolist()))


def _slope(part: Any, name: str) -> str:
    slope, error = float(part[f"{name}_slope"]), float(part[f"{name}_slope_error"])
    return f" (slope {slope:.2f} ± {error:.2f})" if np.isfinite(slope) else ""
