"""``freeness transfer``: the rate of a small network, carried to a big one."""

from __future__ import annotations

from typing import Annotated

import typer

from freeness.cli.command import Command
from freeness.cli.data_option import DATA_OPTION, note_code
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.model_options import Loss
from freeness.cli.output import Outputs, of_user
from freeness.show import answer_of, document_of
from freeness.training import USUAL_BATCH, optimizer_names


@reports_errors
def transfer_command(
    small: Annotated[
        str, typer.Argument(metavar="SMALL.py:FACTORY", help="Makes the network whose rate is known; its code is run.")
    ],
    big: Annotated[
        str, typer.Argument(metavar="BIG.py:FACTORY", help="Makes the network that needs a rate; its code is run.")
    ],
    rate: Annotated[float, typer.Option(help="The good rate of the small network.")],
    data: Annotated[str, DATA_OPTION] = "fashion-mnist",
    loss: Loss = None,
    optimizer: Annotated[str, typer.Option(help=f"Which optimiser: {', '.join(optimizer_names())}.")] = "sgd",
    batch: Annotated[
        int, typer.Option(min=1, help="Samples of a step; four times as many are looked at.")
    ] = USUAL_BATCH,
    big_batch: Annotated[
        int | None, typer.Option(min=1, help="Samples of a step of the big network, where it has another batch.")
    ] = None,
    steps: Annotated[
        tuple[int, int] | None,
        typer.Option(metavar="SMALL BIG", help="Steps of the run whose rate is known, and of the other one."),
    ] = None,
    starts: Annotated[
        int, typer.Option(min=1, help="Starts of the small network to look at; one of a narrow network scatters.")
    ] = 3,
    json: Annotated[str | None, JSON_OPTION] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the weights and of random data.")] = 0,
) -> None:
    """Carry the learning rate of a small network to a big one of its family.

    The code that uses it is printed. Nothing is trained: the first step of the optimiser is looked at in both, with
    about 15 forward passes of the big network.

    Example:
      freeness transfer small.py:build big.py:build --rate 1e-3
    """
    with needs_extra("torch"):
        from freeness.torch import TransferSettings, batch_of, load_batch, load_loss, load_model, transfer
    note_code(small, big, data, loss)
    with of_user():
        begun, network = [load_model(small, seed + start) for start in range(starts)], load_model(big, seed)
        wanted = load_loss(loss)
        loaded = load_batch(data, network, seed, wanted).batch
        samples = batch_of(loaded, network)
        settings: TransferSettings = {"loss": wanted, "optimizer": optimizer, "batch": batch}
        if big_batch is not None:
            settings["batch"] = (batch, big_batch)
        if steps is not None:
            settings["steps"] = steps
        found = transfer(begun, network, rate, samples, **settings)
    where = {"small": small, "big": big, "data": loaded.described}
    Outputs(json).give(where | document_of(found), answer_of(found))


COMMAND = Command("transfer", transfer_command, "Your own model", "Carry the rate of a small network to a big one.", 30)
