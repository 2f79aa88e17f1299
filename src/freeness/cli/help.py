"""What ``--help`` looks like: a sentence, an example to copy, and options in groups."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from freeness.cli.usage import given_value, in_words

OWN = "Options"
# Options that several commands share, by what they are about; all others are the command's own.
_GROUPS = {
    "Training": (
        *("loss", "optimizer", "momentum", "weight_decay", "batch", "big_batch", "steps", "schedule", "warmup"),
        *("accumulate", "clip", "precision", "learning_rate", "epochs", "rate", "parametrisation"),
    ),
    "Files": ("out", "csv", "json", "html", "save", "export", "picture", "details", "schema", "force", "config"),
    "Computation": (
        *("device", "seed", "budget", "memory", "passes", "only", "method", "engine", "workers", "adaptive"),
        *("scheduler", "points", "seconds"),
    ),
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names}
_FEW = 9  # so many options need no groups
_KINDS = {"int": "N", "float": "X", "path": "PATH", "Path": "PATH", "str": "TEXT"}
_KIND = re.compile(r"<(?:list\[)?(int|float|path|Path|str)(?: range)?\]?>")
_RANGE = re.compile(r"(?:; )?(?:-?[\d.]+<=?)?x(?:<=?|>=?)[\d.]+(?=; |\])")
_EMPTY = re.compile(r"\s*\[(?:; )?\]$")


class HelpfulCommand(TyperCommand):
    """A command whose help stays readable in a terminal of 80 columns, and whose refusals are sentences."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            name = getattr(error.param, "name", None)
            value = given_value(error.param, given) or (ctx.default_map or {}).get(name)
            error.message = in_words(error.message, value)
            raise

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        _write_text(self.help, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": [], OWN: [], **{name: [] for name in _GROUPS}}
        shown = [(param, record) for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        few = len(shown) <= _FEW
        for param, record in shown:
            argument = param.param_type_name == "argument"
            group = "Arguments" if argument else OWN if few else _GROUP_OF.get(param.name or "", OWN)
            groups[group].append(plain(*record))
        for name, rows in groups.items():
            if rows:
                with formatter.section(name):
                    formatter.write_dl(rows, col_max=28)


class HelpfulGroup(TyperGroup):
    """The commands in groups, each with a line of its own."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        _write_text(self.help, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            panel = getattr(command, "rich_help_panel", None)
            title = panel if isinstance(panel, str) else "Commands"
            groups.setdefault(title, []).append((name, command.short_help or ""))
        for title, rows in groups.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def plain(option: str, words: str) -> tuple[str, str]:
    """An option and its words for readers: N for whole numbers, X for others, and no bounds, which errors tell.

    Example:
        >>> plain("--batch <int range>", "Samples of a step.  [default: 64; x>=1]")
        ('--batch N', 'Samples of a step.  [default: 64]')
        >>> plain("--seed <int range>", "Of the weights.  [0<=x<=10]")
        ('--seed N', 'Of the weights.')
    """
    option = _KIND.sub(lambda found: _KINDS[found[1]], option)
    return option, _EMPTY.sub("", _RANGE.sub("", words).replace("[; ", "["))


def _write_text(text: str | None, formatter: Any) -> None:
    """Paragraphs are wrapped; indented lines are printed as they are, so that commands can be copied."""
    for indented, block in _blocks(inspect.cleandoc(text or "")):
        if indented:
            formatter.write("".join(f"  {line}\n" for line in block))
        else:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(" ".join(block))


def _blocks(text: str) -> Iterator[tuple[bool, list[str]]]:
    for paragraph in text.split("\n\n"):
        block: list[str] = []
        indented = False
        for line in paragraph.splitlines():
            if block and line.startswith(" ") is not indented:
                yield indented, block
                block = []
            indented = line.startswith(" ")
            block.append(line)
        if block:
            yield indented, block
