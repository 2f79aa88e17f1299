"""``freeness layers``: what of PyTorch is read, covered by theory and measured."""

from __future__ import annotations

import json as documents
from dataclasses import asdict
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.output import stdout

SCHEMA_VERSION = 1
_THEORY = {"spectra": "spectra, kernels", "kernels": "kernels", "none": "–"}


@reports_errors
def layers_command(
    json: Annotated[bool, typer.Option("--json", help="The matrix as JSON, with torch's names of the calls.")] = False,
) -> None:
    """Print the support matrix: which operations of PyTorch theory covers, under which conditions, and why not others.

    Any model is read and measured exactly; where theory covers all of it there is a prediction beside the measurement.

    Example: freeness layers --json
    """
    with needs_extra("torch"):
        from freeness.torch.kinds import KINDS
    if json:
        rows = [asdict(kind) | {"measured": kind.measured} for kind in KINDS]
        typer.echo(documents.dumps({"schema_version": SCHEMA_VERSION, "operations": rows}, indent=1))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("operation", "theory", "measured exactly", "conditions of theory, or why it has none"):
        table.add_column(name, overflow="fold")
    for kind in KINDS:
        table.add_row(kind.name, _THEORY[kind.theory], kind.measured, kind.limits)
    console = stdout()
    console.print(table)
    console.print(
        "Every operation is read and named. Dual Gram matrix and Jacobian are exact for all of them: layer by layer without "
        "the Jacobian of the parameters in memory, or by autograd, one parameter at a time."
    )
