"""A self-contained HTML report: no file and no request beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from freeness.advice import Analysis, Comparison
from freeness.errors import InputError
from freeness.show.answer import Table
from freeness.show.answers.analysis import chain_table, freeness_table, layer_table
from freeness.show.answers.spectrum import spectrum_table
from freeness.show.encoded import picture_uri
from freeness.show.files import write_atomically
from freeness.show.page import page_environment
from freeness.show.pictures.cdf import cdf_picture
from freeness.show.pictures.layers import layers_picture
from freeness.show.pictures.spectrum import spectrum_picture
from freeness.version import __version__

REPORT_NAME = "report.html"


@dataclass(frozen=True)
class _Spectrum:
    """One comparison, ready for the page."""

    name: str
    symbol: str
    meaning: str
    comparison: Comparison
    table: Table
    picture: str  # "" where nothing was measured
    distribution: str
    alternative: str


def render_html(analyses: Sequence[Analysis]) -> str:
    """The report of one or more analyses as one HTML page.

    Args:
        analyses: at least one; strings in them are escaped.

    Raises:
        InputError: there is none.
    """
    if not analyses:
        raise InputError("expected at least one analysis, got none; run analyze first.")
    sections = [
        {
            "analysis": analysis,
            "spectra": _spectra(analysis),
            "layers": layer_table(analysis),
            "chain": chain_table(analysis),
            "freeness": freeness_table(analysis),
            "layer_picture": picture_uri(layers_picture(analysis)),
        }
        for analysis in analyses
    ]
    return page_environment().get_template("report.html").render(sections=sections, version=__version__)


def write_report(analyses: Sequence[Analysis], directory: Path | str) -> Path:
    """Write the report into a directory, whole or not at all.

    Args:
        analyses: at least one.
        directory: made if it does not exist; an older report in it is replaced.

    Returns:
        The path of the file, ``report.html`` in the directory.

    Raises:
        InputError: there is no analysis, or the directory cannot be made or written.
    """
    return write_atomically(Path(directory) / REPORT_NAME, render_html(analyses))


def _spectra(analysis: Analysis) -> tuple[_Spectrum, _Spectrum]:
    return (
        _spectrum(
            "Input–output Jacobian",
            "JJᵀ",
            "How strongly the outputs react to small changes of the input: one eigenvalue per output direction.",
            analysis.jacobian,
        ),
        _spectrum(
            "Fisher information of one sample",
            "Θ",
            "How strongly the outputs react to small changes of the parameters; its largest eigenvalue limits the "
            "learning rate on this sample.",
            analysis.fisher,
        ),
    )


def _spectrum(name: str, symbol: str, meaning: str, comparison: Comparison) -> _Spectrum:
    table = spectrum_table(comparison)
    largest = next(row for row in table.rows if row[0] == "largest eigenvalue")
    alternative = f"Spectrum of {symbol}: largest eigenvalue {largest[1]} in theory, {largest[2]} measured."
    xlabel = f"eigenvalue of {symbol}"
    return _Spectrum(
        name=name,
        symbol=symbol,
        meaning=meaning,
        comparison=comparison,
        table=table,
        picture=picture_uri(spectrum_picture(comparison, xlabel=xlabel)) if comparison.measured else "",
        distribution=picture_uri(cdf_picture(comparison, xlabel=xlabel)) if comparison.measured else "",
        alternative=alternative,
    )
