"""``--config``: options of a command from a TOML file; what is typed wins over it."""

from __future__ import annotations

from pathlib import Path

import typer

from freeness.cli.errors import reports_errors
from freeness.cli.json_option import STDOUT
from freeness.errors import InputError
from freeness.files import read_toml


@reports_errors
def _read(context: typer.Context, path: Path | None) -> None:
    if path is None:
        return
    told = read_toml(path, "a config file in TOML")
    names = {parameter.name for parameter in context.command.params} - {"config", "help"}
    found = {name.replace("-", "_"): value for name, value in told.items()}
    if found.get("json") is True:
        found["json"] = STDOUT
    several = {parameter.name for parameter in context.command.params if parameter.multiple or parameter.nargs == -1}
    found |= {
        name: [found[name]] for name in several & set(found) if isinstance(found[name], str)
    }  # one without brackets
    unknown = sorted(set(found) - names)
    if unknown:
        raise InputError(
            f"expected options of {context.info_name} in {path.name}, got {unknown[0]!r}; "
            f"choose among {', '.join(sorted(names))}."
        )
    context.default_map = {**(context.default_map or {}), **found}


CONFIG_OPTION = typer.Option(
    "--config",
    metavar="FILE.toml",
    help='Options from a file, as loss = "mse"; what is typed wins.',
    is_eager=True,
    callback=_read,
)
