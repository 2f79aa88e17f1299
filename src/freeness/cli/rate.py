"""``freeness rate``: the learning rate of a model of one's own, found by short trials."""

from __future__ import annotations

import math
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from freeness.cli.config import CONFIG_OPTION
from freeness.cli.data_option import DATA_OPTION, note_code
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.model_options import Loss, Model, WeightsFile
from freeness.cli.output import Outputs, progress_bar, stderr
from freeness.errors import InputError
from freeness.show import document_of, found_rate_picture, json_text
from freeness.training import Schedule, optimizer_names, schedule_names

SCHEMA_VERSION = 1
_RECORD, _DOCUMENT, _PICTURE = "trials.jsonl", "rate.json", "rate.png"
_INTERRUPTED = 130


@reports_errors
def rate_command(
    model: Model,
    data: Annotated[str, DATA_OPTION] = "fashion-mnist",
    loss: Loss = None,
    optimizer: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.py:NAME",
            help=f"What you train with: {', '.join(optimizer_names())}; or a class or function in a file that makes an "
            "optimizer of a list of parameters, whose groups keep the ratios of their rates.",
        ),
    ] = "adam",
    steps: Annotated[int, typer.Option(min=1, help="Of the training to come.")] = 200,
    cost: Annotated[
        float,
        typer.Option(help="What the trials may cost at most, in runs of so many steps: gradient evaluations count."),
    ] = 1.5,
    batch: Annotated[int | None, typer.Option(min=1, help="Samples of a batch; those of your loader, or 64.")] = None,
    schedule: Annotated[str, typer.Option(help=f"Of the rate: {', '.join(schedule_names())}.")] = "constant",
    warmup: Annotated[int, typer.Option(min=0, help="Steps of a warm-up that your training has.")] = 0,
    interval: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH", help="Rates between which the trials begin.")
    ] = None,
    accumulate: Annotated[int, typer.Option(min=1, help="Batches whose gradients make one step.")] = 1,
    clip: Annotated[float | None, typer.Option(help="The norm to which gradients are clipped.")] = None,
    precision: Annotated[str, typer.Option(metavar="DTYPE", help="Of autocast: bfloat16.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help=f"Folder for {_DOCUMENT}, {_PICTURE} and {_RECORD}, which --resume goes on from."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the trials that are in the folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Begin anew in a folder that has trials.")] = False,
    config: Annotated[Path | None, CONFIG_OPTION] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")] = False,
    weights: WeightsFile = None,
    output: Annotated[
        str | None, typer.Option(help="Name or number of the output to train, where the model returns several.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda, mps, …")] = "cpu",
    seed: Annotated[
        int,
        typer.Option(min=0, max=2**63 - 1, help="Seed of the factory's weights, of random data and of their order."),
    ] = 0,
) -> None:
    """Find the learning rate of your own PyTorch model by short trials on your own batches.

    Several rates are tried on the same batches; the worst are given up, the best go on, and what diverges is stopped. The trials
    cost at most --cost runs of --steps steps. Ctrl-C ends them and tells the best so far; with --out, --resume goes on.

    Example: freeness rate model.py:build --data fashion-mnist --loss cross_entropy --optimizer adamw --steps 200 --out rate
    """
    with needs_extra("torch"):
        from freeness.torch import (
            FindOptions,
            find_rate,
            load_batch,
            load_loss,
            load_model,
            load_optimizer,
            load_weights,
            split_model,
        )
    record = _record(out, resume=resume, force=force)
    stderr().print(f"Note: this runs the code in {split_model(model)[0]}.", soft_wrap=True)
    for given in (data, loss, optimizer):
        if given is not None and ".py:" in given:
            note_code(given)
    with redirect_stdout(sys.stderr):  # what the user's code prints is not a result
        network = load_model(model, seed)
        if weights is not None:
            load_weights(network, weights)
        wanted = load_loss(loss)
        options = FindOptions(
            loss=wanted,
            optimizer=load_optimizer(optimizer),
            steps=steps,
            cost=cost,
            batch=batch,
            interval=_interval(interval),
            schedule=Schedule(steps, schedule, warmup),
            accumulate=accumulate,
            clip=clip,
            precision=precision,
            output=output,
            seed=seed,
            record=record,
        )
        needed = math.ceil(cost * steps) * accumulate
        plain = "cross_entropy" if wanted in (None, "own") else wanted
        loaded = load_batch(data, network, seed, plain, output, batches=needed)
        with progress_bar("reading the model") as progress:
            found = find_rate(network.to(device), loaded.batch, options, progress=progress)
    outputs = Outputs("-" if json else None)
    document = {"schema_version": SCHEMA_VERSION, "model": model, "data": loaded.batch.described} | document_of(found)
    if out is not None:
        outputs.add("Numbers", out / _DOCUMENT, lambda: json_text(document).encode())
        outputs.picture(out / _PICTURE, lambda: found_rate_picture(found))
    outputs.give(document, found)
    if loaded.stand_in:
        stderr().print(f"Warning: no labels were given; targets are {loaded.stand_in}.", soft_wrap=True)
    if found.interrupted:
        again = f"\nTo go on: {shlex.join(['freeness', *(w for w in sys.argv[1:] if w != '--resume'), '--resume'])}"
        stderr().print("Interrupted; this is the best so far." + (again if out is not None else ""), soft_wrap=True)
        raise typer.Exit(_INTERRUPTED)


def _record(out: Path | None, *, resume: bool, force: bool) -> Path | None:
    """The file of the trials, in a folder that can be written."""
    if out is None:
        if resume:
            raise InputError("expected --out DIR with --resume, got none; name the folder of the trials to go on with.")
        return None
    with needs_extra("plot"):
        from freeness.show import figure_of  # noqa: F401  (pictures, before anything is computed)
    record = out / _RECORD
    try:
        out.mkdir(parents=True, exist_ok=True)
        if force and not resume:
            record.unlink(missing_ok=True)
        if record.exists() and not resume:
            raise InputError(
                f"expected a folder without trials, got {str(out)!r}, which has some; add --resume to go on with them, or "
                "--force to begin anew."
            )
    except OSError as error:
        raise InputError(
            f"expected a folder to write, got {error.strerror} for {str(out)!r}; choose another."
        ) from error
    return record


def _interval(given: str | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        low, high = (float(part) for part in given.split(","))
    except ValueError:
        raise InputError(f"expected --interval LOW,HIGH, got {given!r}; write for instance 1e-4,1e-2.") from None
    return low, high
