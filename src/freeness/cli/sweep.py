"""``freeness sweep``: train over designs, depths and learning rates, and draw where learning breaks beside theory."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freeness.cli.command import Command
from freeness.cli.errors import INCOMPLETE, INTERRUPTED, needs_extra, reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, check_picture
from freeness.cli.output import Outputs, progress_bar, stderr, stdout
from freeness.errors import InputError
from freeness.show import (
    Picture,
    Section,
    Sentence,
    SweepTable,
    heat_map_picture,
    sweep_answer,
    swept_design,
    thresholds_picture,
    training_picture,
)

if TYPE_CHECKING:
    from freeness.experiments import Engine, SweepRun, SweepSpecification


class EngineName(StrEnum):
    """Who trains."""

    dask = "dask"
    inline = "inline"


class PictureName(StrEnum):
    """What is drawn."""

    heat = "heat"
    thresholds = "thresholds"
    training = "training"


@reports_errors
def _written(path: Path | None) -> None:
    """Write the sweep to start from."""
    if path is None:
        return
    from freeness.experiments import EXAMPLE

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(EXAMPLE)
    except FileExistsError:
        raise InputError(f"expected a file that does not exist yet, got {str(path)!r}; choose another name.") from None
    except OSError as error:
        raise InputError(f"expected a place to write {str(path)!r}, got {error.strerror}; choose another.") from error
    stdout().print(f"Written: {path}. Edit it, then: freeness sweep {shlex.quote(str(path))}", soft_wrap=True)
    raise typer.Exit


@reports_errors
def _printed(asked: bool) -> None:
    """Print the schema of sweeps."""
    if asked:
        from freeness.experiments import sweep_schema

        typer.echo(sweep_schema(), nl=False)
        raise typer.Exit


@reports_errors
def sweep_command(
    specification: Annotated[
        Path | None, typer.Argument(metavar="SPEC.toml", help="What to train; --init writes one to start from.")
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
    picture: Annotated[PictureName, typer.Option(help="What the picture shows.")] = PictureName.heat,
    export: Annotated[Path | None, typer.Option(help="The whole table as .parquet or .nc.")] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Train nothing: tell whether every row of the store is as it was written.")
    ] = False,
    init: Annotated[
        Path | None,
        typer.Option(metavar="SPEC.toml", help="Write a commented sweep to start from, and end.", callback=_written),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print what SPEC.toml may say as JSON Schema, and end.", callback=_printed)
    ] = False,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """Train networks over depths and learning rates, and see where learning breaks.

    Theory's bound stands beside. Finished networks are kept in the store and never trained again. The same command
    goes on where a run was ended: by Ctrl-C, by kill or by a lost cluster. It also draws another picture without training.

    Examples:
      freeness sweep --init mine.toml
      freeness sweep mine.toml --out mine.png
      freeness sweep --preset headline --out learning-rate-depth.png
    """
    check_picture(out)
    check_files(out, export, force=force)
    with needs_extra("sweep"):
        from freeness.experiments import DaskEngine, check_export, inline, open_sweep, with_thresholds
        from freeness.experiments import export as write_table
    if export is not None:
        check_export(export)
    if verify and specification is None and preset is None and store is not None:
        return _verified(store, "freeness sweep SPEC.toml")
    sweep = _sweep(specification, preset)
    if store is None and Path(sweep.name).name != sweep.name:
        raise InputError(f"expected a name for a file beside others, got {sweep.name!r}; change it, or give --store.")
    path = store or Path(f"{sweep.name}.sqlite")
    if verify:
        return _verified(path, shlex.join(["freeness", *(word for word in sys.argv[1:] if word != "--verify")]))
    if engine is EngineName.inline and (scheduler or workers or adaptive):
        raise InputError(
            "expected --scheduler, --workers and --adaptive with the engine dask, got inline; leave them out."
        )
    performed = inline if engine is EngineName.inline else DaskEngine(scheduler, workers, adaptive)
    run = _run(sweep, path, performed, device)
    table = with_thresholds(open_sweep(path, sweep.name))
    counts = f"{run.cells} cells, {run.reused} from the store, {run.computed} trained in {run.seconds:.0f} s"
    answer = sweep_answer(table)
    lead = Section("", (Sentence(f"{counts}; results: {path}"),))
    outputs = Outputs()
    outputs.picture(out, lambda: _drawn(table, picture))
    outputs.give({}, replace(answer, sections=(lead, *answer.sections)))
    if export is not None:
        write_table(table, export)
        stdout().print(f"Table: {export}", soft_wrap=True)


def _run(sweep: SweepSpecification, path: Path, engine: Engine, device: str) -> SweepRun:
    """Train what is missing; where that ends early, say how it goes on."""
    from freeness.experiments import IncompleteError, run_sweep

    again = f"To go on: {shlex.join(['freeness', *sys.argv[1:]])}"
    try:
        with _quiet(), progress_bar(f"sweep {sweep.name}") as progress:
            return run_sweep(sweep, path, engine, device=device, progress=progress)
    except IncompleteError as error:
        stderr().print(f"Incomplete: {error}\n{again}", style="red", soft_wrap=True)
        raise typer.Exit(INCOMPLETE) from None
    except KeyboardInterrupt:
        stderr().print(f"Interrupted; finished cells are in {path}.\n{again}", style="red", soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


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
    raise typer.Exit(INCOMPLETE)


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

    if path is not None and name is not None:
        raise InputError("expected a file SPEC.toml or --preset, got both; leave one out.")
    if path is None and name is None:
        raise InputError(
            "expected a file SPEC.toml or --preset, got neither; --init SPEC.toml writes one, --preset tiny takes seconds."
        )
    return read_specification(path) if path is not None else preset(name or "")


def _drawn(table: SweepTable, picture: PictureName) -> Picture:
    if picture is PictureName.heat:
        return heat_map_picture(swept_design(table), title=str(table["design"].values[0]))
    return thresholds_picture(table) if picture is PictureName.thresholds else training_picture(table)


COMMAND = Command("sweep", sweep_command, "Theory and experiments", "Train over depths and rates, beside theory.", 40)
