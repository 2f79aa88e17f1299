"""``freeness analyze``: the same for a model of one's own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freeness.advice import Analysis
from freeness.cli.config import CONFIG_OPTION
from freeness.cli.data_option import DATA_OPTION, note_code
from freeness.cli.demo import DEFAULT_OUT, DETAILS_OPTION
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, free_folder
from freeness.cli.output import progress_bar, stderr, stdout
from freeness.errors import InputError
from freeness.show import answer_of, brief_of, dump_json, print_answers, schema_text, side_by_side
from freeness.training import loss_names, optimizer_names

if TYPE_CHECKING:
    from freeness.torch import AnalyzeOptions

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
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE.py:FACTORY",
            help="A function without arguments in a Python file that returns an nn.Module; several are compared.",
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
        Path | None,
        typer.Option(
            help=f"Folder for report.html and analysis.json; {DEFAULT_OUT}, or the next free one, if left out."
        ),
    ] = None,
    details: Annotated[bool, DETAILS_OPTION] = False,
    force: Annotated[bool, FORCE_OPTION] = False,
    config: Annotated[Path | None, CONFIG_OPTION] = None,
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
    """Analyze your own PyTorch model: does it train, how to start it, how fast may it learn.

    Theory stands beside what is measured. The model is made by calling FACTORY() from FILE.py, which runs your code; it is
    read, not changed or trained.

    Example: freeness analyze model.py:build --data fashion-mnist --loss cross_entropy

    Two models side by side: freeness analyze model.py:before model.py:after
    """
    with needs_extra("torch"):
        from freeness.show import figure_of  # noqa: F401  (pictures, before anything is computed)
        from freeness.torch import AnalyzeOptions, load_loss
    if weights is not None and len(models) > 1:
        raise InputError("expected one model with --weights, got several; analyze them one by one.")
    folder = _folder(out, len(models), force, asked=not json)
    with redirect_stdout(sys.stderr):  # what the user's code prints is not a result
        options = AnalyzeOptions(
            sample=sample,
            loss=load_loss(loss),
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
            weights="" if weights is None else str(weights),
        )
    note_code(data)
    if loss is not None and ".py:" in loss:
        note_code(loss)
    analyses = [_analyzed(model, data, options, weights) for model in models]
    _print(analyses, json, details)
    if folder is not None:
        _write(analyses, folder, quiet=json)
    if any(analysis.interrupted for analysis in analyses):
        raise typer.Exit(130)


def _folder(out: Path | None, models: int, force: bool, *, asked: bool) -> Path | None:
    """Where the report goes; None where it was not asked for."""
    from freeness.show import document_names, require_writable

    names = document_names(models)
    if out is None and not asked:
        return None
    folder = out or free_folder(DEFAULT_OUT, *names)
    require_writable(folder, *names)
    check_files(*(folder / name for name in names), force=force)
    return folder


def _analyzed(model: str, data: str, options: AnalyzeOptions, weights: Path | None) -> Analysis:
    from freeness.torch import analyze, load_batch, load_model, load_weights, split_model

    stderr().print(f"Note: this runs the code in {split_model(model)[0]}.", soft_wrap=True)
    with redirect_stdout(sys.stderr):
        network = load_model(model, options.seed)
        if weights is not None:
            load_weights(network, weights)
        targets = "cross_entropy" if options.loss in (None, "own") else options.loss
        loaded = load_batch(data, network, options.seed, targets, options.output)
        told = replace(options, title=model, data=loaded.batch.described, source=model, stand_in=loaded.stand_in)
        with progress_bar("reading the model") as progress:
            return analyze(network, loaded.batch, told, progress=progress)


def _print(analyses: list[Analysis], json: bool, details: bool) -> None:
    if json:
        documents = [dump_json(analysis) for analysis in analyses]
        typer.echo(documents[0] if len(documents) == 1 else f"[{','.join(documents)}]\n", nl=False)
        return
    answers = [answer_of(analysis) if details else brief_of(analysis) for analysis in analyses]
    if len(answers) > 1:
        answers.append(side_by_side(analyses))
    print_answers(stdout(), answers)


def _write(analyses: list[Analysis], folder: Path, *, quiet: bool) -> None:
    from freeness.show import write_folder

    report, *documents = write_folder(analyses, folder)
    numbers = ", ".join(map(str, documents))
    console = stderr() if quiet else stdout()
    console.print(f"\nReport with pictures: {report} (open it in a browser)\nAll numbers: {numbers}", soft_wrap=True)
