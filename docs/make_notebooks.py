"""Runs the notebooks and writes them with their outputs: `python docs/make_notebooks.py`, half a minute.

Of every docs/notebooks/NAME.py, whose cells begin with `# %%`, it writes NAME.ipynb to download, and NAME.md with its pictures
for these pages. Cells are run here as Jupyter would run them, so nothing of Jupyter has to be installed.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import hashlib
import io
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "notebooks"
_PLAIN, _HTML, _PNG = "text/plain", "text/html", "image/png"


@dataclass
class Cell:
    """A cell; of code, what it printed and what its last line is, by media type."""

    kind: str
    source: str
    printed: str = ""
    shown: dict[str, str] = field(default_factory=dict)


def cells_of(text: str) -> list[Cell]:
    """Cells of a file, none of them run.

    Args:
        text: of the file.
    """
    cells = []
    for part in text.split("# %%")[1:]:
        head, _, body = part.partition("\n")
        if head.strip() == "[markdown]":
            lines = [line.removeprefix("#").removeprefix(" ") for line in body.strip().splitlines()]
            cells.append(Cell("markdown", "\n".join(lines).strip()))
        else:
            cells.append(Cell("code", body.strip()))
    return cells


def run(cells: list[Cell]) -> None:
    """Run the cells of code one after the other, and keep what they give.

    Args:
        cells: of one notebook.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        if cell.kind != "code":
            continue
        tree = ast.parse(cell.source)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(tree, "<cell>", "exec"), names)
            value = None
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
        cell.printed = printed.getvalue()
        cell.shown = {} if value is None else media_of(value)


def media_of(value: Any) -> dict[str, str]:
    """What a notebook keeps of a value: its picture, else its table beside its text.

    Args:
        value: the last line of a cell.
    """
    if draws := getattr(value, "_repr_png_", None):
        return {_PNG: base64.b64encode(draws()).decode("ascii")}
    table = getattr(value, "_repr_html_", None)
    plain = str(value) if hasattr(value, "_repr_pretty_") else repr(value)
    return {_PLAIN: plain} | ({} if table is None else {_HTML: table()})


def notebook(cells: list[Cell]) -> dict[str, Any]:
    """The document of Jupyter, format 4.5.

    Args:
        cells: run.
    """
    made, number = [], 0
    for place, cell in enumerate(cells):
        name = hashlib.sha256(f"{place}{cell.source}".encode()).hexdigest()[:8]
        entry: dict[str, Any] = {"cell_type": cell.kind, "id": name, "metadata": {}, "source": _lines(cell.source)}
        if cell.kind == "code":
            number += 1
            outputs: list[dict[str, Any]] = []
            if cell.printed:
                outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(cell.printed)})
            if cell.shown:
                data = {kind: text if kind == _PNG else _lines(text) for kind, text in cell.shown.items()}
                result = {"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data}
                outputs.append(result)
            entry |= {"execution_count": number, "outputs": outputs}
        made.append(entry)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": made, "metadata": about, "nbformat": 4, "nbformat_minor": 5}


def page(name: str, cells: list[Cell]) -> str:
    """The notebook as a page of this documentation; its pictures are :func:`pictures`.

    Args:
        name: of the notebook.
        cells: run.
    """
    parts, drawn = [], 0
    for cell in cells:
        if cell.kind == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```{{code-block}} python\n{cell.source}\n```")
        if cell.printed:
            parts.append(f"```{{code-block}} text\n{cell.printed.rstrip()}\n```")
        if _PNG in cell.shown:
            drawn += 1
            parts.append(f"![What the last line above draws]({name}-{drawn}.png)")
        elif _HTML in cell.shown:
            parts.append(f"```{{raw}} html\n{cell.shown[_HTML]}\n```")
        elif cell.shown:
            parts.append(f"```{{code-block}} text\n{cell.shown[_PLAIN]}\n```")
    download = f"[Download this notebook]({name}.ipynb), with the outputs as they are here."
    parts.insert(1, download)
    return "\n\n".join(parts) + "\n"


def pictures(name: str, cells: list[Cell]) -> dict[str, bytes]:
    """The pictures of the page, by the names of their files.

    Args:
        name: of the notebook.
        cells: run.
    """
    drawn = [cell.shown[_PNG] for cell in cells if _PNG in cell.shown]
    return {f"{name}-{number}.png": base64.b64decode(content) for number, content in enumerate(drawn, 1)}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> int:
    """Run and write all of them."""
    for file in sorted(FOLDER.glob("*.py")):
        cells = cells_of(file.read_text(encoding="utf-8"))
        run(cells)
        document = json.dumps(notebook(cells), indent=1, ensure_ascii=False) + "\n"
        file.with_suffix(".ipynb").write_text(document, encoding="utf-8")
        file.with_suffix(".md").write_text(page(file.stem, cells), encoding="utf-8")
        for name, content in pictures(file.stem, cells).items():
            (FOLDER / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
