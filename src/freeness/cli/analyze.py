"""``freeness analyze``: the same for a model of one's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from freeness.advice import Analysis
from freeness.cli.data_option import DATA_OPTION, note_code
from freeness.cli.demo import DEFAULT_OUT
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.output import progress_bar, stderr, stdout
from freeness.show import dump_json, print_answer, schema_text
from freeness.training import loss_names, optimizer_names

_LOSSES, _OPTIMIZERS = loss_names(), optimizer_names()
_PARTS = ("layers", "spectra", "rate")


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def checked(value: str) -> str:
        if value not in choices:
            raise typer.BadParameter(f"expected {', '.join(choices)}, got {value!r}; choose one.")
        return value

    return checked


def _each_of(choices: tuple[str, ...]) -> Callable[[list[str] | None], list[str] | None]:
    one = _one_of(choices)
    return lambda values: None if values is None else [one(value) for value in values]


@reports_errors
def _print_schema(asked: bool) -> None:
    if asked:
        typer.echo(schema_text(), nl=False)
        raise typer.Exit


def _computes(device: str) -> str:
    if device.partition(":")[0] == "meta":
        raise typer.BadParameter(f"expected a device that computes, got {device!r}; choose cpu.")
    return device


@reports_errors
def analyze_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:FACTORY", help="A function without arguments in a Python file that returns an nn.Module."
        ),
    ],
    data: Annotated[
        str,
        DATA_OPTION,
    ] = "fashion-mnist",
    sample: Annotated[int, typer.Option(min=0, help="Which input the spectra are taken at.")] = 0,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.py:FACTORY",
            help=f"What you train with: {', '.join(_LOSSES)}; own (what the model returns as its loss); or a function in a file "
            "that returns a loss of torch or a function of (outputs, targets). The model's own if left out, else cross_entropy.",
        ),
    ] = None,
    optimizer: Annotated[
        str, typer.Option(help=f"Whose learning rate: {', '.join(_OPTIMIZERS)}.", callback=_one_of(_OPTIMIZERS))
    ] = "sgd",
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Samples whose curvature bounds the learning rate; those of your loader, or 64."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help=f"Folder for report.html and analysis.json; {DEFAULT_OUT} if left out.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on stdout and nothing else there; files only with --out.")
    ] = False,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema", help="Print the JSON Schema of --json and end.", is_eager=True, callback=_print_schema
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Seed of the factory's weights and of random data.")
    ] = 0,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, mps, …", callback=_computes)] = "cpu",
    output: Annotated[
        str | None, typer.Option(help="Name or number of the output to look at, where the model returns several.")
    ] = None,
    training: Annotated[
        bool | None,
        typer.Option(
            "--training/--eval",
            help="In training mode, or in eval mode; the mode that training will use if left out: batch statistics, dropout with "
            "fixed masks.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights to load into the model: .pt with a state_dict, or .safetensors."),
    ] = None,
    passes: Annotated[
        int | None, typer.Option(min=1, help="Backward passes of a measurement: more hold less memory.")
    ] = None,
    budget: Annotated[
        float, typer.Option(min=1.0, help="Seconds for everything; what does not fit is estimated or left out.")
    ] = 60.0,
    memory: Annotated[float, typer.Option(min=0.01, help="Gigabytes beyond the model.")] = 4.0,
    only: Annotated[
        list[str] | None,
        typer.Option(help=f"Only a part, or several: {', '.join(_PARTS)}.", callback=_each_of(_PARTS)),
    ] = None,
) -> None:
    """Analyze your own PyTorch model and bound its learning rate.

    Its spectra are predicted and measured side by side. The model is made by calling FACTORY() from FILE.py, which runs
    your code; it is read, not changed or trained.

    Example: freeness analyze model.py:build --data fashion-mnist --loss cross_entropy
    """
    with needs_extra("torch"):
        from freeness.show import (
            figure_of,  # noqa: F401  (pictures, before anything is computed)
            require_folder,
        )
        from freeness.torch import AnalyzeOptions, analyze, load_batch, load_loss, load_model, load_weights, split_model
    folder = out or (None if json else DEFAULT_OUT)
    if folder is not None:
        require_folder(folder)
    stderr().print(f"Note: this runs the code in {split_model(model)[0]}.", soft_wrap=True)
    note_code(data)
    if loss is not None and ".py:" in loss:
        note_code(loss)
    with redirect_stdout(sys.stderr):  # what the user's code prints is not a result
        network = load_model(model, seed)
        if weights is not None:
            load_weights(network, weights)
        wanted = load_loss(loss)
        loaded = load_batch(data, network, seed, "cross_entropy" if wanted in (None, "own") else wanted, output)
        options = AnalyzeOptions(
            sample=sample,
            loss=wanted,
            optimizer=optimizer,
            batch=batch,
            seed=seed,
            device=device,
            output=output,
            training=training,
            passes=passes,
            budget=budget,
            memory=1e9 * memory,
            only=tuple(only or ()),
            title=model,
            data=loaded.batch.described,
            source=model,
            weights="" if weights is None else str(weights),
            stand_in=loaded.stand_in,
        )
        with progress_bar("reading the model") as progress:
            analysis = analyze(network, loaded.batch, options, progress=progress)
    _print(analysis, json)
    if folder is not None:
        _write(analysis, folder, quiet=json)
    if analysis.interrupted:
        raise typer.Exit(130)


def _print(analysis: Analysis, json: bool) -> None:
    if json:
        typer.echo(dump_json(analysis), nl=False)
    else:
        print_answer(stdout(), analysis)


def _write(analysis: Analysis, folder: Path, *, quiet: bool) -> None:
    from freeness.show import write_folder

    report, document = write_folder(analysis, folder)
    console = stderr() if quiet else stdout()
    console.print(f"\nReport with pictures: {report} (open it in a browser)\nAll numbers: {document}", soft_wrap=True)
