"""``freeness phase``: order and chaos of deep networks with one activation."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from freeness.cli import transformer_options as option
from freeness.cli.architecture_design import check_options
from freeness.cli.command import Command
from freeness.cli.completion import activations
from freeness.cli.design_options import Parameter
from freeness.cli.errors import reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, check_picture, named_numbers, pair_of
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs
from freeness.errors import InputError
from freeness.gaussian import activation as activation_of
from freeness.meanfield import phase_portrait
from freeness.network import TransformerPlan
from freeness.show import document_of, phase_csv, phase_picture, picture_of

_POINTS, _COSINE = 101, 0.25
_BOTH = {"architecture", "activation", "points", "out", "json", "force"}
_OF_CHAINS = _BOTH | {"parameter", "at", "sigma_w", "sigma_b", "csv"}
_OF_TRANSFORMERS = _BOTH | {"depth", "width", "heads", "tokens", "norm", "causal"}


class MappedKind(StrEnum):
    """Of a diagram."""

    mlp = "mlp"
    transformer = "transformer"


@reports_errors
def phase_command(
    context: typer.Context,
    activation: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For instance tanh, gelu, relu; gelu if left out, for a Transformer.",
            autocompletion=activations,
        ),
    ] = None,
    architecture: Annotated[
        MappedKind,
        typer.Option(
            help="With transformer the map is over σ_qk, the gain of queries and keys, and the scale of branches."
        ),
    ] = MappedKind.mlp,
    parameter: Parameter = None,
    at: Annotated[
        str | None, typer.Option(metavar="SIGMA_W,SIGMA_B", help="Say where a network of these settles.")
    ] = None,
    sigma_w: Annotated[str, typer.Option(metavar="LOW,HIGH", help="Range of the diagram.")] = "0.5,3",
    sigma_b: Annotated[str, typer.Option(metavar="LOW,HIGH", help="Range of the diagram.")] = "0,1",
    points: Annotated[
        int | None, typer.Option(min=2, max=1000, help="Points of the grid, each way; 101, for a Transformer 9.")
    ] = None,
    depth: option.Blocks = 12,
    width: option.Width = 256,
    heads: option.Heads = 4,
    tokens: option.Tokens = 16,
    norm: option.Norm = option.NormPlace.pre,
    causal: option.Causal = False,
    out: Annotated[Path | None, typer.Option(help="Picture to write: FILE.png or FILE.svg.")] = None,
    csv: Annotated[Path | None, typer.Option(help="The grid as CSV: sigma_w, sigma_b, q, chi1.")] = None,
    json: Annotated[str | None, JSON_OPTION] = None,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """For which weights and biases signals die, explode or pass: the edge of chaos.

    At the edge squared gradients neither grow nor vanish with depth (chi1 = 1). Layers are wide, with Gaussian or
    orthogonal weights of variance sigma_w^2/fan_in and biases of variance sigma_b^2. For Transformers the map
    shows how much gradients grow and how alike tokens become behind all blocks.

    Examples:
      freeness phase --activation tanh --at 1.5,0.2 --out phase.png
      freeness phase --architecture transformer --depth 24 --out phases.png
    """
    check_picture(out)
    check_files(out, csv, json, force=force)
    if architecture is MappedKind.transformer:
        check_options(context, _OF_TRANSFORMERS, architecture.value)
        place: Literal["pre", "post", "none"] = norm.value
        plan = TransformerPlan(depth, width, heads, tokens, place, causal, activation=activation or "gelu")
        _transformer(plan, points or option.USUAL_POINTS, out, Outputs(json))
        return
    check_options(context, _OF_CHAINS, architecture.value)
    if activation is None:
        raise InputError("expected --activation, got none; write for instance --activation tanh.")
    function = activation_of(activation, **named_numbers(parameter))
    grid = (
        np.linspace(*_range(sigma_w, "--sigma-w"), points or _POINTS),
        np.linspace(*_range(sigma_b, "--sigma-b"), points or _POINTS),
    )
    at_point = None if at is None else pair_of(at, "--at", "1.5,0.2")
    record = phase_portrait(function, *grid, at_point)
    outputs = Outputs(json)
    outputs.add("Table", csv, lambda: phase_csv(record.diagram))
    title = f"{activation}: blue ordered, orange chaotic"
    outputs.picture(out, lambda: phase_picture(record.diagram, record.edge, at_point, title=title))
    outputs.give(document_of(record) | {"activation": activation}, record)


def _transformer(plan: TransformerPlan, points: int, out: Path | None, outputs: Outputs) -> None:
    if points > option.MOST_POINTS:
        raise InputError(f"expected at most --points {option.MOST_POINTS} of a Transformer, got {points}; take fewer.")
    record = option.mapped(plan, points, _COSINE)
    outputs.picture(out, lambda: picture_of(record))
    outputs.give(document_of(record), record)


def _range(text: str, option: str) -> tuple[float, float]:
    low, high = pair_of(text, option, "0.5,3")
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low < high and (low > 0 or option == "--sigma-b")):
        raise InputError(f"expected LOW < HIGH, both positive, for {option}, got {text!r}; write {option} 0.5,3.")
    return low, high


COMMAND = Command("phase", phase_command, "A start for a deep network", "Where signals die, explode or pass.", 30)
