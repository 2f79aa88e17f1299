"""``freeness sweep``: train over designs, depths and learning rates, and draw where learning breaks beside theory."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import check_picture, write_atomically
from freeness.cli.output import progress_bar, stderr, stdout
from freeness.errors import InputError

if TYPE_CHECKING:
    from freeness.experiments import SweepSpecification

_INCOMPLETE, _INTERRUPTED = 3, 130


class EngineName(StrEnum):
    """Who trains."""

    dask = "dask"
    inline = "inline"


class Picture(StrEnum):
    """What is drawn."""

    heat = "heat"
    thresholds = "thresholds"
    training = "training"


@reports_errors
def sweep_command(
    specification: Annotated[
        Path | None, typer.Argument(metavar="SPEC.toml", help="What to train; see docs/learning-rate-depth.md.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Instead of a file: headline, capacity, depth-law or tiny.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="File of results, kept and resumed; NAME.sqlite when left out.")
    ] = None,
    engine: Annotated[
        EngineName, typer.Option(help="dask: processes, here or on a cluster; inline: this process alone.")
    ] = EngineName.dask,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; its cores when left out.")
    ] = None,
    adaptive: Annotated[bool, typer.Option("--adaptive", help="Start workers as they are needed.")] = False,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Of a running Dask scheduler.")] = None,
    device: Annotated[str, typer.Option(help="cpu, or cuda of the workers.")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="Picture .png or .svg.")] = None,
    picture: Annotated[Picture, typer.Option(help="What the picture shows.")] = Picture.heat,
    export: Annotated[Path | None, typer.Option(help="The whole table as .parquet or .nc.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Train nothing: tell whether every row of the store is as it was written.")
    ] = False,
) -> None:
    """Train networks over depths and learning rates, and compare where learning breaks with theory.

    Finished networks are kept in the store and never trained again: the same command goes on where a run was ended, by
    Ctrl-C, by kill or by a lost cluster, and draws another picture without training.

    Example: freeness sweep --preset headline --out learning-rate-depth.png
    """
    check_picture(out)
    with needs_extra("torch"):
        import freeness.torch  # noqa: F401
    with needs_extra("sweep"):
        from freeness.experiments import (
            DaskEngine,
            IncompleteError,
            check_export,
            inline,
            open_sweep,
            run_sweep,
            with_thresholds,
        )
        from freeness.experiments import export as write_table
    if export is not None:
        check_export(export)
    if verify and specification is None and preset is None and store is not None:
        return _verified(store, "freeness sweep SPEC.toml")
    sweep = _sweep(specification, preset)
    path = store or Path(f"{sweep.name}.sqlite")
    if verify:
        return _verified(path, shlex.join(["freeness", *(word for word in sys.argv[1:] if word != "--verify")]))
    if engine is EngineName.inline and (scheduler or workers or adaptive):
        raise InputError(
            "expected --scheduler, --workers and --adaptive with the engine dask, got inline; leave them out."
        )
    performed = inline if engine is EngineName.inline else DaskEngine(scheduler, workers, adaptive)
    again = f"To go on: {shlex.join(['freeness', *sys.argv[1:]])}"
    try:
        with _quiet(), progress_bar(f"sweep {sweep.name}") as progress:
            run = run_sweep(sweep, path, performed, device=device, progress=progress)
    except IncompleteError as error:
        stderr().print(f"Incomplete: {error}\n{again}", style="red", soft_wrap=True)
        raise typer.Exit(_INCOMPLETE) from None
    except KeyboardInterrupt:
        stderr().print(f"Interrupted; finished cells are in {path}.\n{again}", style="red", soft_wrap=True)
        raise typer.Exit(_INTERRUPTED) from None
    table = with_thresholds(open_sweep(path, sweep.name))
    _print(table, path, run)
    if out is not None:
        write_atomically(out, _drawn(table, picture, out.suffix.lower().lstrip(".")))
        stdout().print(f"Picture: {out}", soft_wrap=True)
    if export is not None:
        write_table(table, export)
        stdout().print(f"Table: {export}", soft_wrap=True)


def _verified(path: Path, again: str) -> None:
    """Say which rows are damaged, and how they are mended."""
    from freeness.experiments import open_store

    with open_store(path, create=False) as store:
        damaged = store.damaged()
    if not damaged:
        stdout().print(f"Every row of {path} is as it was written.", soft_wrap=True)
        return
    for row in damaged:
        stdout().print(f"Damaged: {row}", soft_wrap=True, markup=False)
    stderr().print(
        f"Incomplete: {len(damaged)} damaged rows.\nTo train them anew: {again}", style="red", soft_wrap=True
    )
    raise typer.Exit(_INCOMPLETE)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Dask's own log: what is lost is said in a sentence."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _sweep(path: Path | None, name: str | None) -> SweepSpecification:
    from freeness.experiments import preset, read_specification

    if (path is None) == (name is None):
        raise InputError("expected a file SPEC.toml or --preset, got neither or both; try --preset tiny.")
    return read_specification(path) if path is not None else preset(name or "")


def _print(table, path: Path, run) -> None:
    console = stdout()
    console.print(
        f"Sweep {table.attrs['name']}: {run.cells} cells, {run.reused} from the store, {run.computed} trained"
    )
    console.print(f"in {run.seconds:.0f} s; results: {path}", soft_wrap=True)
    for design in table["design"].values:
        part = table.sel(design=design)
        console.print(f"\n{design}", style="bold")
        shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        for header in ("L", "2/L", "2/λ theory", "breaks at", "over 2/L", "best rate", "accuracy", "diverged"):
            shown.add_column(header, justify="right")
        for depth in table["depth"].values:
            at = part.sel(depth=depth)
            boundary, line = float(at["boundary"]), float(at["two_over_depth"])
            lost = int(at["divergence_step"].notnull().sum())
            numbers = (line, float(at["one_sample_bound"]), boundary, boundary / line, float(at["best_rate"]))
            accuracy = f"{float(at['best_accuracy']):.3f}"
            shown.add_row(str(depth), *map(_short, numbers), accuracy, f"{lost}/{at['divergence_step'].size}")
        console.print(shown)
        for name, words in (("boundary", "breaks"), ("best_rate", "best")):
            slope, error = float(part[f"{name}_slope"]), float(part[f"{name}_slope_error"])
            if slope == slope:
                console.print(
                    f"Rate where learning {words if name == 'boundary' else 'is best'}: ∝ L^({slope:.2f} ± {error:.2f})."
                )
    console.print("\nBreaks at: accuracy, mean over the seeds, falls below 80 % of that depth's best.")


def _short(value: float) -> str:
    return f"{value:.3g}" if value == value else "–"


def _drawn(table, picture: Picture, kind: str) -> bytes:
    from freeness.show import figure_of, picture_bytes, plot_heat_map, plot_thresholds, plot_training

    draw = {Picture.heat: plot_heat_map, Picture.thresholds: plot_thresholds, Picture.training: plot_training}[picture]
    return picture_bytes(figure_of(draw(table)), kind)
