"""What several commands on a model of one's own may be asked, in the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from freeness.cli.completion import losses
from freeness.cli.output import of_user
from freeness.training import loss_names


def _computes(device: str) -> str:
    if device.partition(":")[0] == "meta":
        raise typer.BadParameter(f"expected a device that computes, got {device!r}; choose cpu.")
    return device


Model = Annotated[
    str,
    typer.Argument(
        metavar="FILE.py:FACTORY", help="A function without arguments in a Python file that returns an nn.Module."
    ),
]
Loss = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE.py:FACTORY",
        help=f"What you train with: {', '.join(loss_names())}; own (what the model returns as its loss); or a function in a "
        "file. It returns a loss of torch or a function of (outputs, targets). The model's own if left out, else cross_entropy.",
        autocompletion=losses,
    ),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Weights to load into the model: .pt with a state_dict, or .safetensors."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the factory's weights and of random data.")]
Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, mps, …", callback=_computes)]


def loaded_model(spec: str, seed: int, weights: Path | None = None) -> Any:
    """What FACTORY() of FILE.py makes, with the weights of a file where one is given."""
    from freeness.torch import load_model, load_weights

    with of_user():
        model = load_model(spec, seed)
        if weights is not None:
            load_weights(model, weights)
    return model
