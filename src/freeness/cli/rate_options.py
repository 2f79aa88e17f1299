"""What ``freeness rate`` may be asked: one name an option."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freeness.cli.completion import optimizers
from freeness.training import optimizer_names, schedule_names

RECORD, DOCUMENT, PICTURE = "trials.jsonl", "rate.json", "rate.png"  # in the folder of --out

OptimizerName = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE.py:NAME",
        help=f"What you train with: {', '.join(optimizer_names())}; or a class or function in a file that makes an "
        "optimizer of a list of parameters, whose groups keep the ratios of their rates.",
        autocompletion=optimizers,
    ),
]
Steps = Annotated[int, typer.Option(min=1, help="Steps of the training to come.")]
Cost = Annotated[
    float, typer.Option(help="What the trials may cost at most, in runs of so many steps: gradient evaluations count.")
]
Batch = Annotated[int | None, typer.Option(min=1, help="Samples of a batch; those of your loader, or 64.")]
ScheduleName = Annotated[str, typer.Option(help=f"How the rate changes over the steps: {', '.join(schedule_names())}.")]
Warmup = Annotated[int, typer.Option(min=0, help="Steps of a warm-up that your training has.")]
Interval = Annotated[str | None, typer.Option(metavar="LOW,HIGH", help="Rates between which the trials begin.")]
Accumulate = Annotated[int, typer.Option(min=1, help="Batches whose gradients make one step.")]
Clip = Annotated[float | None, typer.Option(help="The norm to which gradients are clipped.")]
Precision = Annotated[str, typer.Option(metavar="DTYPE", help="Of autocast: bfloat16.")]
OutFolder = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help=f"Folder for {DOCUMENT}, {PICTURE} and {RECORD}, which --resume goes on from."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the trials that are in the folder.")]
Force = Annotated[bool, typer.Option("--force", help="Begin anew in a folder that has trials.")]
Output = Annotated[
    str | None, typer.Option(help="Name or number of the output to train, where the model returns several.")
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**63 - 1, help="Seed of the factory's weights, of random data and of their order."),
]
