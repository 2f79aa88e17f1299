"""``freeness dynamics``: training curves of wide networks from their tangent kernel, beside real ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from freeness.advice import ForecastOptions, TrainingForecast, forecast_training
from freeness.cli.architecture import Sizes, of_equal_norm, wide_network
from freeness.cli.command import Command
from freeness.cli.completion import activations
from freeness.cli.data_option import DATA_OPTION, rows_of
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, check_picture, named_numbers
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs
from freeness.data import Loaded, aims_of, numbers_of, read_arrays
from freeness.errors import InputError
from freeness.gaussian import activation as activation_of
from freeness.show import Answer, answer_of, document_of, forecast_picture
from freeness.training import loss_names, loss_of

_LOSSES = ", ".join(loss_names())


@reports_errors
def dynamics_command(
    activation: Annotated[
        str, typer.Option(metavar="NAME", help="For instance tanh, gelu, relu.", autocompletion=activations)
    ] = "tanh",
    depth: Annotated[int, typer.Option(min=1, max=1000, help="Weight matrices.")] = 3,
    width: Annotated[int, typer.Option(min=1, help="Of the hidden layers.")] = 1024,
    sigma_w: Annotated[float, typer.Option(help="Weights have variance sigma_w^2/fan_in.")] = 1.4,
    sigma_b: Annotated[float, typer.Option(help="Biases have variance sigma_b^2.")] = 0.1,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the activation, as negative_slope=0.2.")
    ] = None,
    residual: Annotated[
        float | None, typer.Option(metavar="BETA", help="Hidden layers are x + BETA*W*phi(x); else a chain.")
    ] = None,
    data: Annotated[str, DATA_OPTION] = "fashion-mnist",
    targets: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With a FILE of inputs: .npy of classes (n,), or of numbers (n, C)."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=5000, help="The first so many inputs.")] = 256,
    loss: Annotated[str, typer.Option(help=f"Mean over the inputs: {_LOSSES}.")] = "half_squared_error",
    rate: Annotated[
        float | None, typer.Option("--learning-rate", help="By default 0.35 of 2/lambda, lambda predicted.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Also tell learning rates for batches of so many of these inputs.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=1_000_000, help="Of full-batch gradient descent.")] = 500,
    measure: Annotated[int, typer.Option(min=0, max=100, help="Train so many real networks beside it.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The curves as a picture, .png or .svg.")] = None,
    json: Annotated[str | None, JSON_OPTION] = None,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """How the loss of a wide network falls on given data, and up to which learning rate.

    Gradient descent on all inputs at once, standard parametrisation. The curve is exact for infinitely wide networks:
    it follows from their tangent kernel. --measure trains real ones of the given width beside it, and tells how
    their sharpness grows. Learning rates count with the scatter that a finite width leaves between outputs.

    Example:
      freeness dynamics --depth 3 --count 128 --measure 2 --out curves.png
    """
    check_picture(out)
    check_files(out, json, force=force)
    criterion = loss_of(loss)
    rows = rows_of(data, count)
    inputs, source, aims = rows.inputs, rows.described, _aims(rows, targets, count)
    inputs = of_equal_norm(inputs)
    function = activation_of(activation, **named_numbers(parameter))
    sizes = Sizes(inputs.shape[1], width, aims.shape[1])
    network = wide_network(sizes, function, depth, (sigma_w, sigma_b), residual)
    told = forecast_training(network, inputs, aims, ForecastOptions(criterion, rate, steps, batch))
    if measure:
        with needs_extra("torch"):
            from freeness.torch import measure_training
        told = measure_training(told, measure)
    outputs = Outputs(json)
    title = f"{activation}, {depth} weight matrices, {len(inputs)} inputs"
    outputs.picture(out, lambda: forecast_picture(told, title=title))
    outputs.give({"data": source} | document_of(told), _from(source, told))


def _from(source: str, told: TrainingForecast) -> Answer:
    answer = answer_of(told)
    title = f"Training on {len(told.inputs)} inputs from {source}, {told.training.criterion}"
    return replace(answer, title=title)


def _aims(rows: Loaded, path: Path | None, asked: int) -> np.ndarray:
    """(n, C), of the data itself or of a file beside them."""
    there = len(rows.inputs)
    if path is None:
        if rows.targets is None:
            raise InputError("expected --targets FILE with inputs that have none, got none; give classes or numbers.")
        values, name = rows.targets, rows.described
    else:
        if rows.targets is not None:
            raise InputError(
                f"expected no --targets with {rows.described}, which has labels of its own; leave them out."
            )
        held = read_arrays(path)
        values, name = numbers_of(held.get("targets", held["inputs"]), "targets", path.name), path.name
        if values.ndim == 0 or len(values) < there or (there < asked and len(values) > there):
            raise InputError(f"expected a target for each of {there} inputs, got shape {values.shape}; give as many.")
    return aims_of(values[:there], name, rows.classes)


COMMAND = Command(
    "dynamics", dynamics_command, "Theory and experiments", "Training curves of wide networks on data.", 30
)
