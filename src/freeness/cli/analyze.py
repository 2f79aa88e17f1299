"""``freeness analyze``: the same for a model of one's own."""

from __future__ import annotations

import shlex
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from freeness.advice import Analysis
from freeness.cli import analyze_options as option
from freeness.cli.command import Command
from freeness.cli.data_option import note_code
from freeness.cli.demo import DEFAULT_OUT
from freeness.cli.errors import INTERRUPTED, needs_extra, reports_errors
from freeness.cli.files import check_files, free_folder
from freeness.cli.json_option import STDOUT
from freeness.cli.model_options import Device, Loss, Seed, WeightsFile, loaded_model
from freeness.cli.output import of_user, progress_bar, stderr, stdout
from freeness.errors import InputError
from freeness.show import answer_of, brief_of, dump_json, print_answers, side_by_side, write_bytes

if TYPE_CHECKING:
    from freeness.torch import AnalyzeOptions


@reports_errors
def analyze_command(
    models: option.Models,
    data: option.Data = option.USUAL_DATA,
    sample: option.Sample = 0,
    loss: Loss = None,
    optimizer: option.OptimizerName = "sgd",
    batch: option.Batch = None,
    out: option.OutFolder = None,
    details: option.Details = False,
    force: option.Force = False,
    config: option.Config = None,
    json: option.Json = None,
    schema: option.Schema = False,
    seed: Seed = 0,
    device: Device = "cpu",
    output: option.Output = None,
    training: option.Training = None,
    weights: WeightsFile = None,
    passes: option.Passes = None,
    budget: option.Budget = 60.0,
    memory: option.Memory = 4.0,
    only: option.Only = None,
) -> None:
    """Does your PyTorch model train, how should it start, how fast may it learn?

    FACTORY() in FILE.py makes the model; calling it runs your code. The model is measured, not changed or trained,
    and theory's prediction stands beside.

    Examples:
      freeness analyze model.py:build --data fashion-mnist
      freeness analyze model.py:build --data mine.npz --loss mse
      freeness analyze model.py:before model.py:after
    """
    with needs_extra("torch"):
        from freeness.show import figure_of  # noqa: F401  (pictures, before anything is computed)
        from freeness.torch import AnalyzeOptions, load_loss
    if weights is not None and len(models) > 1:
        raise InputError("expected one model with --weights, got several; analyze them one by one.")
    check_files(json, force=force)
    folder = _folder(out, len(models), force, asked=json != STDOUT)
    with of_user():
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
    note_code(*models, data, loss)
    again = {"--loss": loss, "--optimizer": optimizer, "--batch": batch, "--weights": weights}
    again |= {"--output": output, "--device": None if device == "cpu" else device, "--seed": seed or None}
    analyses = [_analyzed(model, data, options, again) for model in models]
    _print(analyses, json, details)
    if folder is not None:
        _write(analyses, folder, quiet=json == STDOUT)
    if any(analysis.interrupted for analysis in analyses):
        raise typer.Exit(INTERRUPTED)


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


def _analyzed(model: str, data: str, options: AnalyzeOptions, again: dict[str, object]) -> Analysis:
    """Of one model; ``again`` are the options that ``freeness rate`` takes as well."""
    from freeness.torch import analyze, load_batch

    weights = again["--weights"]
    network = loaded_model(model, options.seed, weights if isinstance(weights, Path) else None)
    with of_user():
        loaded = load_batch(data, network, options.seed, options.loss, options.output)
        given = {name: [name, str(value)] for name, value in again.items() if value is not None}
        trials = shlex.join(["freeness", "rate", model, "--data", data, *chain.from_iterable(given.values())])
        asked = shlex.join(chain.from_iterable(words for name, words in given.items() if name != "--weights"))
        told = replace(options, title=model, data=loaded.batch.described, source=model, trials=trials, asked=asked)
        told = replace(told, data_source="" if data == option.USUAL_DATA else data, stand_in=loaded.stand_in)
        with progress_bar("reading the model") as progress:
            return analyze(network, loaded.batch, told, progress=progress)


def _print(analyses: list[Analysis], json: str | None, details: bool) -> None:
    if json is not None:
        documents = [dump_json(analysis) for analysis in analyses]
        text = documents[0] if len(documents) == 1 else f"[{','.join(documents)}]\n"
        if json == STDOUT:
            typer.echo(text, nl=False)
            return
        write_bytes(Path(json), text.encode())
    answers = [answer_of(analysis) if details else brief_of(analysis) for analysis in analyses]
    if len(answers) > 1:
        answers.append(side_by_side(analyses))
    print_answers(stdout(), answers)
    if json is not None:
        stdout().print(f"Numbers: {json}", soft_wrap=True)


def _write(analyses: list[Analysis], folder: Path, *, quiet: bool) -> None:
    from freeness.show import write_folder

    report, *documents = write_folder(analyses, folder)
    numbers = ", ".join(map(str, documents))
    console = stderr() if quiet else stdout()
    console.print(f"\nReport with pictures: {report} (open it in a browser)\nAll numbers: {numbers}", soft_wrap=True)


COMMAND = Command(
    "analyze", analyze_command, "Your own model", "Does it train, how should it start, how fast may it learn?", 10
)
