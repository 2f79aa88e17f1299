"""What ``freeness design`` may be asked: one name an option."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from freeness.advice import Form as _Form
from freeness.advice import Parametrisation as _Parametrisation
from freeness.cli.completion import activations
from freeness.cli.files import FORCE_OPTION
from freeness.training import loss_names

WIDTH, ACTIVATION = 512, "tanh"
INPUTS, OUTPUTS = 784, 10  # of the images that freeness analyze takes where no data are named

Depth = Annotated[
    int | None, typer.Option(help="Weight matrices L; there are L - 1 activations. Read from the model with --apply.")
]
Width = Annotated[
    str | None,
    typer.Option(
        metavar="N|N_0,...,N_L", help=f"Of the hidden layers, or all widths; {WIDTH}, or the model's with --apply."
    ),
]
Inputs = Annotated[int | None, typer.Option(min=1, help=f"Numbers that go in; {INPUTS}, or the model's with --apply.")]
Outputs = Annotated[
    int | None,
    typer.Option(
        min=1, help=f"Numbers that come out, on which the rate depends; {OUTPUTS}, or the model's with --apply."
    ),
]
ActivationName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"For instance hardtanh, gelu; {ACTIVATION}, or the model's with --apply.",
        autocompletion=activations,
    ),
]
Parameter = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the activation, as negative_slope=0.2.")
]
Isometry = Annotated[
    float | None,
    typer.Option(
        help="How unequally small changes are stretched: relative variance of the Jacobian's squared singular values; "
        "0.25, or the nearest."
    ),
]
Weights = Annotated[
    str, typer.Option(metavar="haar|gaussian", help="haar: random orthogonal matrices; gaussian: independent entries.")
]
Form = Annotated[
    str,
    typer.Option(
        help=f"Of the activation: {', '.join(get_args(_Form))}. All but plain reshape it; dks and tat "
        "are published recipes."
    ),
]
MeanSquare = Annotated[float, typer.Option(help="Mean square of the inputs' entries; 1 for standardised data.")]
ScaleInputs = Annotated[
    bool, typer.Option("--scale-inputs", help="Inputs will be multiplied by the scale that is printed.")
]
LossName = Annotated[
    str, typer.Option(help=f"What you train with, in the mean over the batch: {', '.join(loss_names())}.")
]
OptimizerName = Annotated[str, typer.Option(help="sgd, momentum or nesterov.")]
Momentum = Annotated[float, typer.Option(help="Of momentum and nesterov.")]
WeightDecay = Annotated[float, typer.Option(help="Added to the gradient.")]
Batch = Annotated[int, typer.Option(help="Samples of a step.")]
Correlation = Annotated[float | None, typer.Option(help="Correlation of two inputs; gives a batch its own bound.")]
Parametrisation = Annotated[
    str, typer.Option(help=f"How weights and rates scale with width: {', '.join(get_args(_Parametrisation))}.")
]
Picture = Annotated[Path | None, typer.Option(help="Picture of the trade-off to write: FILE.png or FILE.svg.")]
Apply = Annotated[
    str | None, typer.Option(metavar="FILE.py:FACTORY", help="Initialise this model by the design; runs its code.")
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="What the model with --apply takes: FILE.py:FACTORY, whose code is run, a file, gaussian; as of freeness analyze. "
        "Random numbers if left out, which a model of several inputs does not take.",
    ),
]
Save = Annotated[Path | None, typer.Option(metavar="FILE.pt", help="The initialised model's state_dict.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the weights, with --apply.")]
Force = Annotated[bool, FORCE_OPTION]
