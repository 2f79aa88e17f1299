"""What several commands may be asked about a Transformer: one name an option."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import numpy as np
import typer

from freeness.advice import TransformerPhases, transformer_phases
from freeness.cli.output import progress_bar
from freeness.network import TransformerPlan


class NormPlace(StrEnum):
    """Of the norm."""

    pre = "pre"
    post = "post"
    none = "none"


Blocks = Annotated[int, typer.Option("--depth", help="Blocks, each of attention and an MLP.")]
Width = Annotated[int, typer.Option(help="Channels of the stream.")]
Heads = Annotated[int, typer.Option(help="Heads of attention.")]
Tokens = Annotated[int, typer.Option(help="Positions; some tens tell the same as more.")]
Norm = Annotated[NormPlace, typer.Option(help="In front of each branch, behind each sum, or none.")]
Causal = Annotated[bool, typer.Option("--causal", help="No position sees later ones.")]
Cosine = Annotated[float, typer.Option(help="How alike two tokens are at the input: the cosine between them.")]

USUAL_POINTS, MOST_POINTS = 9, 41  # of the map, each way


def mapped(plan: TransformerPlan, points: int, cosine: float) -> TransformerPhases:
    """The phases over gains of queries and keys up to 2 and branch scales up to 1.5."""
    with progress_bar("phases") as progress:
        return transformer_phases(plan, np.linspace(0.25, 2.0, points), np.linspace(0.1, 1.5, points), cosine, progress)
