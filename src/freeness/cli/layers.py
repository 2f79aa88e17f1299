"""``freeness layers``: what of PyTorch is read, covered by theory and measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from freeness.cli.command import Command
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import FORCE_OPTION, check_files
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs


@reports_errors
def layers_command(
    json: Annotated[str | None, JSON_OPTION] = None,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """Which operations of PyTorch theory covers, under which conditions, and why not others.

    Any model is read and measured; where theory covers all of it there is a prediction beside the measurement.

    Example:
      freeness layers
    """
    check_files(json, force=force)
    with needs_extra("torch"):
        from freeness.show import kinds_answer
        from freeness.torch import KINDS
    rows = [asdict(kind) | {"measured": kind.measured} for kind in KINDS]
    Outputs(json).give({"operations": rows}, kinds_answer(KINDS))


COMMAND = Command("layers", layers_command, "Find your way", "Which operations of PyTorch theory covers.", 40)
