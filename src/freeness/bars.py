"""How a long computation shows where it is: a bar on a terminal or in a notebook, lines in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from freeness.advice import Progress, Report


@contextmanager
def progress_bar(name: str) -> Iterator[Report]:
    """A progress bar on stderr; where that is neither a terminal nor a notebook, one line a stage."""
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    if not (console.is_terminal or console.is_jupyter):
        yield _lines(console)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)

        def show(at: Progress) -> None:
            if at.note and at.share == 0:
                bar.console.print(at.note, soft_wrap=True)
            bar.update(task, description=at.stage, completed=at.done + at.share, total=at.total)

        yield show


@contextmanager
def followed(progress: Report | bool | None) -> Iterator[Report | None]:
    """What a function's argument ``progress`` asks for: True is a bar, a function is called, None and False are silent.

    Example:
        >>> with followed(None) as report:
        ...     report is None
        True
    """
    chosen = progress_bar("preparing") if progress is True else nullcontext(progress or None)
    with chosen as report:
        yield report


def _lines(console: Console) -> Callable[[Progress], None]:
    said = ""

    def report(at: Progress) -> None:
        nonlocal said
        if at.stage != "done" and at.share == 0 and str(at) != said:
            said = str(at)
            console.print(said, soft_wrap=True)

    return report
