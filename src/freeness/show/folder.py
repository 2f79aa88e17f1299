"""Both files of an analysis in one folder: all of them or none."""

from __future__ import annotations

from pathlib import Path

from freeness.advice import Analysis
from freeness.show.document import dump_json
from freeness.show.files import require_writable, write_together
from freeness.show.report_page import REPORT_NAME, render_html

DOCUMENT_NAME = "analysis.json"


def require_folder(directory: Path) -> None:
    """Refuse a folder that :func:`write_folder` could not write, before long work is begun.

    Raises:
        InputError: it cannot be made or written, or a directory stands where a file is to be.
    """
    require_writable(directory, REPORT_NAME, DOCUMENT_NAME)


def write_folder(analysis: Analysis, directory: Path) -> tuple[Path, Path]:
    """Write an analysis as a report and as JSON; both are rendered before either is written.

    Args:
        analysis: what is written.
        directory: made if it does not exist; older files of the same names are replaced.

    Returns:
        The paths of the report and of the JSON document.

    Raises:
        InputError: as in :func:`require_folder`; no file has changed then.
    """
    report, document = directory / REPORT_NAME, directory / DOCUMENT_NAME
    write_together({report: render_html([analysis]), document: dump_json(analysis)})
    return report, document
