"""``freeness layers``: what of PyTorch is read, covered by theory and measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.output import stdout
from freeness.show import json_text, print_answer

SCHEMA_VERSION = 1


@reports_errors
def layers_command(
    json: Annotated[bool, typer.Option("--json", help="The matrix as JSON, with torch's names of the calls.")] = False,
) -> None:
    """Print the support matrix: which operations of PyTorch theory covers, under which conditions, and why not others.

    Any model is read and measured exactly; where theory covers all of it there is a prediction beside the measurement.

    Example: freeness layers --json
    """
    with needs_extra("torch"):
        from freeness.show import kinds_answer
        from freeness.torch import KINDS
    if json:
        rows = [asdict(kind) | {"measured": kind.measured} for kind in KINDS]
        typer.echo(json_text({"schema_version": SCHEMA_VERSION, "operations": rows}), nl=False)
        return
    print_answer(stdout(), kinds_answer(KINDS))
