"""What ``freeness analyze`` may be asked: one name an option."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from freeness.cli.completion import optimizers
from freeness.cli.config import CONFIG_OPTION
from freeness.cli.data_option import DATA_OPTION
from freeness.cli.demo import DEFAULT_OUT, DETAILS_OPTION
from freeness.cli.errors import reports_errors
from freeness.cli.files import FORCE_OPTION
from freeness.cli.json_option import JSON_OPTION
from freeness.show import schema_text
from freeness.training import optimizer_names

_OPTIMIZERS = optimizer_names()
USUAL_DATA = "fashion-mnist"
_PARTS = ("layers", "spectra", "rate")


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def checked(value: str) -> str:
        if value not in choices:
            raise typer.BadParameter(f"expected {', '.join(choices)}, got {value!r}; choose one.")
        return value

    return checked


def _each_of(choices: tuple[str, ...]) -> Callable[[list[str] | None], list[str] | None]:
    one = _one_of(choices)
    return lambda values: None if values is None else [one(value) for value in values]


@reports_errors
def _print_schema(asked: bool) -> None:
    if asked:
        typer.echo(schema_text(), nl=False)
        raise typer.Exit


Models = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE.py:FACTORY",
        help="A function without arguments in a Python file that returns an nn.Module; several are compared.",
    ),
]
Data = Annotated[str, DATA_OPTION]
Sample = Annotated[int, typer.Option(min=0, help="Which input the spectra are taken at.")]
OptimizerName = Annotated[
    str,
    typer.Option(
        help=f"Whose learning rate: {', '.join(_OPTIMIZERS)}.", callback=_one_of(_OPTIMIZERS), autocompletion=optimizers
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(min=1, help="Samples whose curvature bounds the learning rate; those of your loader, or 64."),
]
OutFolder = Annotated[
    Path | None,
    typer.Option(
        help=f"Folder for report.html and analysis.json; {DEFAULT_OUT}, or the next free one; with --json - only if given."
    ),
]
Details = Annotated[bool, DETAILS_OPTION]
Force = Annotated[bool, FORCE_OPTION]
Config = Annotated[Path | None, CONFIG_OPTION]
Json = Annotated[str | None, JSON_OPTION]
Schema = Annotated[
    bool,
    typer.Option("--schema", help="Print the JSON Schema of --json and end.", is_eager=True, callback=_print_schema),
]
Output = Annotated[
    str | None, typer.Option(help="Name or number of the output to look at, where the model returns several.")
]
Training = Annotated[
    bool | None,
    typer.Option(
        "--training/--eval",
        help="In training mode, or in eval mode; the mode that training will use if left out: batch statistics, dropout with "
        "fixed masks.",
    ),
]
Passes = Annotated[int | None, typer.Option(min=1, help="Backward passes of a measurement: more hold less memory.")]
Budget = Annotated[
    float, typer.Option(min=1.0, help="Seconds for everything; what does not fit is estimated or left out.")
]
Memory = Annotated[float, typer.Option(min=0.01, help="Gigabytes beyond the model.")]
Only = Annotated[
    list[str] | None,
    typer.Option(help=f"Only a part, or several: {', '.join(_PARTS)}.", callback=_each_of(_PARTS)),
]
