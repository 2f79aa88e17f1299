"""``freeness rate``: the learning rate of a model of one's own, found by short trials."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freeness.cli import rate_options as option
from freeness.cli.command import Command
from freeness.cli.config import CONFIG_OPTION
from freeness.cli.data_option import DATA_OPTION, note_code
from freeness.cli.errors import INTERRUPTED, needs_extra, reports_errors
from freeness.cli.files import check_files, pair_of
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.model_options import Device, Loss, Model, WeightsFile, loaded_model
from freeness.cli.output import Outputs, numbers, of_user, progress_bar, stderr
from freeness.errors import InputError
from freeness.show import document_of, found_rate_picture
from freeness.training import FoundRate, Schedule

if TYPE_CHECKING:
    from freeness.torch import FindOptions, LabelledBatch


@reports_errors
def rate_command(
    model: Model,
    data: Annotated[str, DATA_OPTION] = "fashion-mnist",
    loss: Loss = None,
    optimizer: option.OptimizerName = "adam",
    steps: option.Steps = 200,
    cost: option.Cost = 1.5,
    batch: option.Batch = None,
    schedule: option.ScheduleName = "constant",
    warmup: option.Warmup = 0,
    interval: option.Interval = None,
    accumulate: option.Accumulate = 1,
    clip: option.Clip = None,
    precision: option.Precision = "",
    out: option.OutFolder = None,
    resume: option.Resume = False,
    force: option.Force = False,
    config: Annotated[Path | None, CONFIG_OPTION] = None,
    json: Annotated[str | None, JSON_OPTION] = None,
    weights: WeightsFile = None,
    output: option.Output = None,
    device: Device = "cpu",
    seed: option.Seed = 0,
) -> None:
    """Find the learning rate of your PyTorch model by short trials on your batches.

    Several rates are tried on the same batches; the worst are given up, the best go on, and what diverges is stopped. The
    trials cost at most --cost runs of --steps steps. Ctrl-C ends them and tells the best so far; with --out,
    --resume goes on.

    Examples:
      freeness rate model.py:build --data fashion-mnist --optimizer adamw
      freeness rate model.py:build --data mine.npz --steps 1000 --out rate
    """
    with needs_extra("torch"):
        from freeness.torch import FindOptions, load_loss, load_optimizer
    check_files(json, force=force)
    record = _record(out, resume=resume, force=force)
    note_code(model, data, loss, optimizer)
    with of_user():
        options = FindOptions(
            loss=load_loss(loss),
            optimizer=load_optimizer(optimizer),
            steps=steps,
            cost=cost,
            batch=batch,
            interval=None if interval is None else pair_of(interval, "--interval", "1e-4,1e-2"),
            schedule=Schedule(steps, schedule, warmup),
            accumulate=accumulate,
            clip=clip,
            precision=precision,
            output=output,
            seed=seed,
            record=record,
        )
        found, loaded = _found(model, data, weights, device, options)
    outputs = Outputs(json)
    document = {"model": model, "data": loaded.batch.described} | document_of(found)
    if out is not None:
        outputs.add("Numbers", out / option.DOCUMENT, lambda: numbers(document))
        outputs.picture(out / option.PICTURE, lambda: found_rate_picture(found))
    outputs.give(document, found)
    if loaded.stand_in:
        stderr().print(f"Warning: no labels were given; targets are {loaded.stand_in}.", soft_wrap=True)
    if found.interrupted:
        again = f"\nTo go on: {shlex.join(['freeness', *(w for w in sys.argv[1:] if w != '--resume'), '--resume'])}"
        stderr().print("Interrupted; this is the best so far." + (again if out is not None else ""), soft_wrap=True)
        raise typer.Exit(INTERRUPTED)


def _found(
    model: str, data: str, weights: Path | None, device: str, options: FindOptions
) -> tuple[FoundRate, LabelledBatch]:
    """The rate, and the data that it was found on."""
    from freeness.torch import device_of, find_rate, load_batch

    place = device_of(device)
    network = loaded_model(model, options.seed, weights)
    needed = math.ceil(options.cost * options.steps) * options.accumulate
    loaded = load_batch(data, network, options.seed, options.loss, options.output, batches=needed)
    with progress_bar("reading the model") as progress:
        return find_rate(network.to(place), loaded.batch, options, progress=progress), loaded


def _record(out: Path | None, *, resume: bool, force: bool) -> Path | None:
    """The file of the trials, in a folder that can be written."""
    if out is None:
        if resume:
            raise InputError("expected --out DIR with --resume, got none; name the folder of the trials to go on with.")
        return None
    with needs_extra("plot"):
        from freeness.show import figure_of  # noqa: F401  (pictures, before anything is computed)
    record = out / option.RECORD
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


COMMAND = Command("rate", rate_command, "Your own model", "Its learning rate, by short trials on your batches.", 20)
