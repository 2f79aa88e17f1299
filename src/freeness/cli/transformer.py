"""``freeness transformer``: starts and phases of Transformers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from freeness.advice import design_transformer, transformer_phases
from freeness.cli.completion import activations
from freeness.cli.errors import reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, check_picture
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs, progress_bar
from freeness.network import TransformerPlan
from freeness.show import document_of, picture_of

SCHEMA_VERSION = 1


class NormPlace(StrEnum):
    """Of the norm."""

    pre = "pre"
    post = "post"
    none = "none"


@reports_errors
def transformer_command(
    depth: Annotated[int, typer.Option(help="Blocks, each of attention and an MLP.")] = 12,
    width: Annotated[int, typer.Option(help="Channels of the stream.")] = 256,
    heads: Annotated[int, typer.Option(help="Of attention.")] = 4,
    tokens: Annotated[int, typer.Option(help="Positions; some tens tell the same as more.")] = 16,
    norm: Annotated[NormPlace, typer.Option(help="In front of each branch, behind each sum, or none.")] = NormPlace.pre,
    causal: Annotated[bool, typer.Option("--causal", help="No position sees later ones.")] = False,
    activation: Annotated[
        str, typer.Option(help="Of the MLP: gelu, relu, silu, …", autocompletion=activations)
    ] = "gelu",
    gated: Annotated[bool, typer.Option("--gated", help="SwiGLU, GEGLU.")] = False,
    sigma_qk: Annotated[
        float, typer.Option(help="Gain of query and key weights; scores have its fourth power as variance.")
    ] = 1.0,
    cosine: Annotated[float, typer.Option(help="Of two tokens at the input.")] = 0.25,
    kept: Annotated[float, typer.Option(help="Factor by which squared gradients may change from end to end.")] = 2.0,
    phases: Annotated[
        int | None, typer.Option(min=2, max=41, help="Also a map of so many gains times so many branch scales.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="That map as a picture: FILE.png or FILE.svg.")] = None,
    json: Annotated[str | None, JSON_OPTION] = None,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """How to start a deep Transformer: the scale of its branches, beside the usual recipes.

    Theory says for each start how much squared gradients grow on their way back, and whether the tokens become alike.

    Example: freeness transformer --depth 24 --width 512 --heads 8 --norm pre

    A map over the gain of queries and keys and the scale of branches: freeness transformer --phases 9 --out phases.png
    """
    check_picture(out)
    check_files(out, json, force=force)
    place: Literal["pre", "post", "none"] = norm.value
    plan = TransformerPlan(depth, width, heads, tokens, place, causal, sigma_qk, activation=activation, gated=gated)
    found = design_transformer(plan, cosine, kept)
    document = {"schema_version": SCHEMA_VERSION} | document_of(found)
    outputs, answers = Outputs(json), [found]
    count = phases or (9 if out is not None else None)
    if count is not None:
        with progress_bar("phases") as progress:
            map_ = transformer_phases(
                plan, np.linspace(0.25, 2.0, count), np.linspace(0.1, 1.5, count), cosine, progress
            )
        outputs.picture(out, lambda: picture_of(map_))
        document["phases"] = document_of(map_)
        outputs.give(document, *answers, map_)
        return
    outputs.give(document, *answers)
