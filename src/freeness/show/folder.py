"""All files of an analysis, or of several, in one folder: all of them or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from freeness.advice import Analysis
from freeness.show.document import dump_json
from freeness.show.files import require_writable, write_together
from freeness.show.report_page import REPORT_NAME, render_html

DOCUMENT_NAME = "analysis.json"


def document_names(analyses: int) -> tuple[str, ...]:
    """The files that so many analyses are written to: the report first, then the numbers of each.

    Example:
        >>> document_names(1), document_names(2)
        (('report.html', 'analysis.json'), ('report.html', 'analysis-1.json', 'analysis-2.json'))
    """
    if analyses == 1:
        return (REPORT_NAME, DOCUMENT_NAME)
    stem, dot, ending = DOCUMENT_NAME.partition(".")
    return (REPORT_NAME, *(f"{stem}-{number}{dot}{ending}" for number in range(1, analyses + 1)))


def require_folder(directory: Path) -> None:
    """Refuse a folder that :func:`write_folder` could not write, before long work is begun.

    Raises:
        InputError: it cannot be made or written, or a directory stands where a file is to be.
    """
    require_writable(directory, *document_names(1))


def write_folder(analyses: Analysis | Sequence[Analysis], directory: Path) -> tuple[Path, ...]:
    """Write an analysis, or several, as one report and as JSON; all are rendered before any is written.

    Args:
        analyses: what is written.
        directory: made if it does not exist; older files of the same names are replaced.

    Returns:
        The paths of the report and of the JSON documents.

    Raises:
        InputError: as in :func:`require_folder`; no file has changed then.
    """
    told = [analyses] if isinstance(analyses, Analysis) else list(analyses)
    paths = tuple(directory / name for name in document_names(len(told)))
    write_together(dict(zip(paths, [render_html(told), *map(dump_json, told)], strict=True)))
    return paths
