"""``freeness demo``: the whole story on bundled images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from freeness.cli.command import Command
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, free_folder
from freeness.cli.output import progress_bar, stdout
from freeness.show import answer_of, brief_of, print_answers

DEFAULT_OUT = Path("freeness-report")
_CLOSING = "Your own model: freeness analyze FILE.py:FACTORY, where FACTORY is a function that makes it."
DETAILS_OPTION = typer.Option("--details", help="Print all tables of the report, not the answer alone.")


@reports_errors
def demo_command(
    out: Annotated[
        Path | None, typer.Option(help=f"Folder for report.html; {DEFAULT_OUT}, or the next free one, if left out.")
    ] = None,
    details: Annotated[bool, DETAILS_OPTION] = False,
    force: Annotated[bool, FORCE_OPTION] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the random weights.")] = 0,
) -> None:
    """See all of it on bundled images, in a minute.

    A network for Fashion-MNIST is built twice: 10 layers of width 400 with orthogonal weights and hard-tanh, once with
    10 outputs and once with 400. For both you are told whether it trains and how fast it may learn, with the
    predicted spectra beside the measured ones. An HTML report has the pictures.

    Example:
      freeness demo --out my-report
    """
    with needs_extra("torch"):
        from freeness.show import (
            REPORT_NAME,
            figure_of,  # noqa: F401  (pictures, before anything is computed)
            require_writable,
            write_report,
        )
        from freeness.torch import demo_analyses
    folder = out or free_folder(DEFAULT_OUT, REPORT_NAME)
    require_writable(folder, REPORT_NAME)
    check_files(folder / REPORT_NAME, force=force)
    with progress_bar("preparing") as progress:
        analyses = demo_analyses(seed, progress)
    print_answers(stdout(), [answer_of(analysis) if details else brief_of(analysis) for analysis in analyses])
    path = write_report(analyses, folder)
    stdout().print(f"\nReport with pictures: {path} (open it in a browser)", soft_wrap=True)
    stdout().print(_CLOSING)


COMMAND = Command("demo", demo_command, "Find your way", "All of it on bundled images, in a minute.", 10)
