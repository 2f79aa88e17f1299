"""What the shell completes."""

import pytest
import typer.main

from freeness.cli.commands import app

COMMANDS = typer.main.get_command(app).commands


def completed(command: str, parameter: str, typed: str) -> list[str]:
    (asked,) = (one for one in COMMANDS[command].params if one.name == parameter)
    context = COMMANDS[command].context_class(COMMANDS[command])
    return [getattr(item, "value", item) for item in asked.shell_complete(context, typed)]


@pytest.mark.parametrize(
    ("command", "parameter", "typed", "expected"),
    [
        ("phase", "activation", "hardt", ["hardtanh"]),
        ("design", "activation", "gelu_", ["gelu_tanh"]),
        ("transformer", "activation", "si", ["silu"]),
        ("analyze", "loss", "cross", ["cross_entropy"]),
        ("analyze", "optimizer", "adam", ["adam", "adamw"]),
        ("rate", "optimizer", "nest", ["nesterov"]),
        ("docs", "page", "tutorials/an", ["tutorials/analyze"]),
    ],
)
def test_names_are_completed(command, parameter, typed, expected):
    assert [name for name in completed(command, parameter, typed) if name in expected] == expected
    assert all(name.startswith(typed) for name in completed(command, parameter, typed))
