"""The command line: one file a command, which parses, calls one library function and prints."""

from freeness.cli.commands import app, main

__all__ = ["app", "main"]
