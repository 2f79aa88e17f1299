"""What all commands print with: consoles, tables, the text of an analysis, the progress bar."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from freeness.advice.analysis import CODE, Analysis
from freeness.advice.progress import Progress

if TYPE_CHECKING:
    from freeness.report import Table as TextTable

_STYLES = {"free": "", "not free": "yellow", "not tested": ""}
_WIDE = 7  # a table of so many columns is set tight, so that it fits 80 characters


def stdout() -> Console:
    """Where results go: plain text unless it is a terminal; nothing in it is read as markup."""
    return Console(markup=False, highlight=False, emoji=False)


def stderr() -> Console:
    """Where progress, notes and errors go."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on stderr; where that is not a terminal, one line a stage.

    Args:
        name: shown until the first stage begins.
    """
    console = stderr()
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda at: bar.update(task, description=at.stage, completed=at.done, total=at.total)


def _lines(console: Console) -> Callable[[Progress], None]:
    def report(at: Progress) -> None:
        if at.stage != "done":
            console.print(str(at), soft_wrap=True)

    return report


def print_analysis(analysis: Analysis) -> None:
    """Print the tables, the verdict and the learning rate of an analysis."""
    from freeness.report import freeness_table, layer_table, spectrum_table

    console = stdout()
    console.print(f"\n{analysis.title}", style="bold underline")
    weights = f"; weights: {analysis.weights}" if analysis.weights else ""
    console.print(f"{analysis.parameters:,} parameters; data: {analysis.data}; sample {analysis.sample}{weights}")
    if analysis.layers:
        _print_table(console, "Layers", layer_table(analysis))
    _print_table(console, "Jacobian JJᵀ: predicted beside measured", spectrum_table(analysis.jacobian))
    _print_table(console, "One-sample Fisher dual Θ: predicted beside measured", spectrum_table(analysis.fisher))
    freeness, table = analysis.freeness, freeness_table(analysis)
    if table.rows:
        _print_table(console, "Freeness of the weights: measured", table)
    else:
        console.print("\nFreeness of the weights: measured", style="bold")
    _bullet(console, freeness.sentence, "!" if freeness.status == "not free" else "•", style=_STYLES[freeness.status])
    _print_verdict(console, analysis)
    _print_learning_rate(console, analysis)


def _print_verdict(console: Console, analysis: Analysis) -> None:
    verdict = analysis.verdict
    console.print("\nVerdict", style="bold")
    for sentence in verdict.sentences:
        _bullet(console, sentence)
    for advice in verdict.advice or ("Nothing to change: keep this initialisation.",):
        if advice.startswith(CODE):  # to be pasted: not broken into lines
            console.print(f"  {advice.removeprefix(CODE)}", soft_wrap=True)
        else:
            _bullet(console, advice, "→")
    whole = analysis.jacobian.predicted is not None and analysis.fisher.predicted is not None
    for reason in analysis.uncovered:
        _bullet(console, f"{'Covered in part' if whole else 'Not covered by theory'}: {reason}", "!", style="yellow")
    for warning in verdict.warnings:
        _bullet(console, warning, "!", style="yellow")


def _print_learning_rate(console: Console, analysis: Analysis) -> None:
    from freeness.report import number

    rate = analysis.learning_rate
    console.print("\nLearning rate", style="bold")
    if not rate.known:
        _bullet(console, rate.reason, "!", style="yellow")
        return
    _bullet(console, f"Start at {number(rate.recommended, 3)}; {rate.outlook}.", style="bold")
    if rate.theory_bound is not None:
        _bullet(console, f"Theory for the one sample alone says {number(rate.theory_bound, 3)}.")
    _bullet(console, rate.reason)


def _bullet(console: Console, text: str, mark: str = "•", *, style: str = "") -> None:
    lines = textwrap.fill(text, max(console.width, 20), initial_indent=f"{mark} ", subsequent_indent="  ")
    console.print(lines, style=style, soft_wrap=True)


def _print_table(console: Console, title: str, table: TextTable) -> None:
    console.print(f"\n{title}", style="bold")
    gap = 1 if len(table.header) < _WIDE else 0
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, gap, 0, 0), show_edge=False)
    for name in table.header:
        shown.add_column(name, justify="right" if name in table.numeric else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
