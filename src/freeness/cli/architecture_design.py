"""``freeness design --architecture``: starts of Transformers and residual networks."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated

import typer

from freeness.advice import ResidualDesign, ResidualShape, TransformerDesign, design_resnet, design_transformer
from freeness.errors import InputError
from freeness.network import TransformerPlan

_READ = {"architecture", "depth", "width", "activation", "json", "force"}  # options that count here


class DesignedKind(StrEnum):
    """Of a design."""

    mlp = "mlp"
    transformer = "transformer"
    resnet = "resnet"


ArchitectureName = Annotated[
    DesignedKind,
    typer.Option(help="Of transformer and resnet the scale of the branches is designed; --depth counts blocks."),
]


def check_options(context: typer.Context, read: Collection[str], architecture: str) -> None:
    """Refuse what was typed and would count for nothing."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in read and source is not None and source.name == "COMMANDLINE":
            raise InputError(
                f"expected no {parameter.opts[0]} beside --architecture {architecture}, got it; it does not count there: "
                "leave it out."
            )


def architecture_design(
    context: typer.Context, architecture: DesignedKind, sizes: tuple[int | None, str | None], activation: str | None
) -> TransformerDesign | ResidualDesign:
    """The scale of the branches of this architecture."""
    check_options(context, _READ, architecture.value)
    depth, width = sizes
    if depth is None:
        raise InputError("expected --depth, the number of blocks, got none; write for instance --depth 24.")
    if width is not None and not width.isdecimal():
        raise InputError(f"expected one whole number for --width, got {width!r}; write for instance --width 512.")
    channels = 256 if width is None else int(width)
    if architecture is DesignedKind.resnet:
        return design_resnet(ResidualShape(depth, channels, activation or "relu"))
    return design_transformer(TransformerPlan(depth, channels, 4, 16, activation=activation or "gelu"))
