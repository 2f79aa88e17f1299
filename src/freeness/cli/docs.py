"""``freeness docs``: the pages that come with the package, read in the terminal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.markdown import Markdown

from freeness.cli.command import Command
from freeness.cli.completion import begun
from freeness.cli.errors import reports_errors
from freeness.cli.output import stdout
from freeness.errors import InputError
from freeness.show import Answer, Section, Sentence, Table, print_answer

_FORMULA = re.compile(r"\$([^$\n]+)\$")
_CODE = re.compile(r"^```\{code-block\} (\w+)\n", re.M)
_HIDDEN = re.compile(r"^```\{(?:toctree|raw|automodule)\}.*?^```\n", re.M | re.S)


def _completed(incomplete: str) -> list[str]:
    return begun(_pages(docs_folder()), incomplete)


@reports_errors
def docs_command(
    page: Annotated[
        str | None,
        typer.Argument(
            metavar="[PAGE]",
            help="For instance limits, or tutorials/analyze; a list if left out.",
            autocompletion=_completed,
        ),
    ] = None,
) -> None:
    """Read a page of the documentation, or list them all.

    Example:
      freeness docs limits
    """
    folder = docs_folder()
    pages = _pages(folder)
    if page is None:
        rows = tuple((name, _title(path)) for name, path in pages.items() if not name.startswith("reference/"))
        said = Sentence(f"Read one by freeness docs PAGE; they lie in {folder}.")
        print_answer(stdout(), Answer("Pages", (Section("", (Table(("page", "what it is"), rows), said)),)))
        return
    name = page.removeprefix("docs/").removesuffix(".md")
    if name not in pages:
        raise InputError(f"expected a page of the documentation, got {page!r}; freeness docs lists them.")
    stdout().print(Markdown(for_terminal(pages[name].read_text(encoding="utf-8"))))


def for_terminal(text: str) -> str:
    """A page without what only its site can show: formulas stand as they are written, blocks of code are plain ones.

    Example:
        >>> for_terminal("the rate $2/λ$")
        'the rate `2/λ`'
    """
    text = _CODE.sub(r"```\1\n", _HIDDEN.sub("", text))
    return _FORMULA.sub(r"`\1`", text)


def docs_folder() -> Path:
    """Where the pages lie: inside the installed package, or beside the source."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "docs", package.parents[1] / "docs"):
        if (folder / "limits.md").is_file():
            return folder
    raise InputError("expected the pages beside the package, found none; install freeness from its wheel.")


def _pages(folder: Path) -> dict[str, Path]:
    return {str(path.relative_to(folder).with_suffix("")): path for path in sorted(folder.rglob("*.md"))}


def _title(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix("# ") for line in lines if line.startswith("# ")), path.stem)


COMMAND = Command("docs", docs_command, "Find your way", "Read a page of the documentation.", 30)
