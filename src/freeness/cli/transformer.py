"""``freeness transformer``: starts and phases of Transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from freeness.advice import design_transformer
from freeness.cli import transformer_options as option
from freeness.cli.command import Command
from freeness.cli.completion import activations
from freeness.cli.errors import reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, check_picture
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs
from freeness.network import TransformerPlan
from freeness.show import document_of, picture_of


@reports_errors
def transformer_command(
    depth: option.Blocks = 12,
    width: option.Width = 256,
    heads: option.Heads = 4,
    tokens: option.Tokens = 16,
    norm: option.Norm = option.NormPlace.pre,
    causal: option.Causal = False,
    activation: Annotated[
        str, typer.Option(help="Of the MLP: gelu, relu, silu, …", autocompletion=activations)
    ] = "gelu",
    gated: Annotated[bool, typer.Option("--gated", help="Gated MLPs, as SwiGLU and GEGLU.")] = False,
    sigma_qk: Annotated[
        float, typer.Option(help="Gain of query and key weights; scores have its fourth power as variance.")
    ] = 1.0,
    cosine: option.Cosine = 0.25,
    kept: Annotated[float, typer.Option(help="Factor by which squared gradients may change from end to end.")] = 2.0,
    phases: Annotated[
        int | None,
        typer.Option(min=2, max=option.MOST_POINTS, help="Also a map of so many gains times so many branch scales."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="That map as a picture: FILE.png or FILE.svg.")] = None,
    json: Annotated[str | None, JSON_OPTION] = None,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """How to start a deep Transformer: the scale of its branches, beside the usual recipes.

    Theory says for each start how much squared gradients grow on their way back, and whether the tokens become alike.
    --phases maps both over the gain of queries and keys and the scale of branches.

    Examples:
      freeness transformer --depth 24 --width 512 --heads 8 --norm pre
      freeness transformer --phases 9 --out phases.png
    """
    check_picture(out)
    check_files(out, json, force=force)
    place: Literal["pre", "post", "none"] = norm.value
    plan = TransformerPlan(depth, width, heads, tokens, place, causal, sigma_qk, activation=activation, gated=gated)
    found = design_transformer(plan, cosine, kept)
    document = document_of(found)
    outputs, answers = Outputs(json), [found]
    count = phases or (option.USUAL_POINTS if out is not None else None)
    if count is not None:
        map_ = option.mapped(plan, count, cosine)
        outputs.picture(out, lambda: picture_of(map_))
        document["phases"] = document_of(map_)
        outputs.give(document, *answers, map_)
        return
    outputs.give(document, *answers)


COMMAND = Command(
    "transformer", transformer_command, "A start for a deep network", "The scale of a Transformer's branches.", 20
)
