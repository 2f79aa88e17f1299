"""``freeness phase``: order and chaos of deep networks with one activation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from freeness.cli.completion import activations
from freeness.cli.errors import reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, check_picture, named_numbers
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs
from freeness.errors import InputError
from freeness.gaussian import activation as activation_of
from freeness.meanfield import phase_portrait
from freeness.show import document_of, phase_csv, phase_picture

SCHEMA_VERSION = 1


@reports_errors
def phase_command(
    activation: Annotated[
        str, typer.Option(metavar="NAME", help="For instance tanh, gelu, relu.", autocompletion=activations)
    ],
    parameter: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the activation.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="SIGMA_W,SIGMA_B", help="Say where a network of these settles.")
    ] = None,
    sigma_w: Annotated[str, typer.Option(metavar="LOW,HIGH", help="Range of the diagram.")] = "0.5,3",
    sigma_b: Annotated[str, typer.Option(metavar="LOW,HIGH", help="Range of the diagram.")] = "0,1",
    points: Annotated[int, typer.Option(min=2, max=1000, help="Points of the grid, each way.")] = 101,
    out: Annotated[Path | None, typer.Option(help="Picture to write: FILE.png or FILE.svg.")] = None,
    csv: Annotated[Path | None, typer.Option(help="The grid as CSV: sigma_w, sigma_b, q, chi1.")] = None,
    json: Annotated[str | None, JSON_OPTION] = None,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """Phase diagram of deep networks with one activation, and its critical curve, the edge of chaos.

    At the edge squared gradients neither grow nor vanish with depth (chi1 = 1). Assumes wide layers with Gaussian or
    Haar weights of variance sigma_w^2/fan_in and biases of variance sigma_b^2.

    For a Transformer: freeness transformer --phases 9

    Example: freeness phase --activation tanh --at 1.5,0.2 --out phase.png
    """
    check_picture(out)
    check_files(out, csv, json, force=force)
    function = activation_of(activation, **named_numbers(parameter or [], "--parameter"))
    grid = (
        np.linspace(*_range(sigma_w, "--sigma-w"), points),
        np.linspace(*_range(sigma_b, "--sigma-b"), points),
    )
    place = None if at is None else _pair(at, "--at")
    record = phase_portrait(function, *grid, place)
    outputs = Outputs(json)
    outputs.add("Table", csv, lambda: phase_csv(record.diagram))
    title = f"{activation}: blue ordered, orange chaotic"
    outputs.picture(out, lambda: phase_picture(record.diagram, record.edge, place, title=title))
    outputs.give({"schema_version": SCHEMA_VERSION} | document_of(record) | {"activation": activation}, record)


def _pair(text: str, option: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"expected two numbers for {option}, separated by a comma, got {text!r}; write {option} 1.5,0.2."
        ) from None
    return first, second


def _range(text: str, option: str) -> tuple[float, float]:
    low, high = _pair(text, option)
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low < high and (low > 0 or option == "--sigma-b")):
        raise InputError(f"expected LOW < HIGH, both positive, for {option}, got {text!r}; write {option} 0.5,3.")
    return low, high
