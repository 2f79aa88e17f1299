"""Answers for people.

Records become rows, tables and sentences (``answer_of``), which are printed, written as HTML or shown in a notebook; pictures are
values (``picture_of``), which become axes of matplotlib or figures of plotly; analyses become reports and strict JSON.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from freeness.show.answer import Answer, Row, Section, Sentence, Table, answer_of, brief_of, number, percent
from freeness.show.answers.analysis import chain_table, freeness_table, layer_table
from freeness.show.answers.design import BESIDE, WHY
from freeness.show.answers.phase import layers_text
from freeness.show.answers.side_by_side import side_by_side
from freeness.show.answers.spectrum import spectrum_table
from freeness.show.answers.sweep import sweep_answer
from freeness.show.csv_table import csv_bytes, law_csv, phase_csv
from freeness.show.document import SCHEMA_VERSION, dump_json, to_json, write_json
from freeness.show.document_schema import schema, schema_text
from freeness.show.encoded import picture_bytes, picture_uri
from freeness.show.files import require_writable, write_bytes
from freeness.show.frames import frame
from freeness.show.html import answer_html, list_html, page_parts, parts_html
from freeness.show.interactive import PlotlyFigure, plain_numbers, to_plotly
from freeness.show.json_values import document_of, json_text, plain
from freeness.show.law_values import DrawnLaw, drawn_law, drawn_values
from freeness.show.picture import Appearance, Axis, Bars, HeatMap, Histogram, Picture, Rule, Series, Stems, Swatch
from freeness.show.pictures import picture_of
from freeness.show.pictures.cdf import cdf_picture
from freeness.show.pictures.dynamics import dynamics_picture, forecast_picture
from freeness.show.pictures.found_rate import found_rate_picture
from freeness.show.pictures.interpretation import layer_accuracy_picture, likelihoods_picture, parts_picture
from freeness.show.pictures.law import drawn_law_picture, law_picture
from freeness.show.pictures.layers import layers_picture
from freeness.show.pictures.lines import lines_picture
from freeness.show.pictures.phase import map_picture, map_pictures, phase_picture
from freeness.show.pictures.spectrum import spectrum_picture
from freeness.show.pictures.sweep import (
    SweepTable,
    SweptDesign,
    heat_map_picture,
    swept_design,
    thresholds_picture,
    training_picture,
)
from freeness.show.pictures.trade_off import trade_off_picture
from freeness.show.pictures.watch import watched_layers_picture, watched_rate_picture
from freeness.show.pointmass import Split, split_eigenvalues
from freeness.show.table_html import html_table
from freeness.show.window import Window, law_grid, window_of

if TYPE_CHECKING:
    from freeness.show.answers.measured.interpretation import ablation_table, role_table, state_table
    from freeness.show.answers.measured.models import kinds_answer
    from freeness.show.characters import sketch, with_sketch
    from freeness.show.folder import DOCUMENT_NAME, document_names, require_folder, write_folder
    from freeness.show.interpretation_page import INTERPRETATION_NAME, render_interpretation, write_interpretation
    from freeness.show.maps import plot_maps
    from freeness.show.plots import (
        plot_cdf,
        plot_dynamics,
        plot_heat_map,
        plot_law,
        plot_layer_accuracy,
        plot_layers,
        plot_likelihoods,
        plot_parts,
        plot_phase,
        plot_spectrum,
        plot_thresholds,
        plot_trade_off,
        plot_training,
    )
    from freeness.show.report_page import REPORT_NAME, render_html, write_report
    from freeness.show.static import draw, figure_of
    from freeness.show.terminal import answer_text, print_answer, print_answers, print_section
    from freeness.show.watch_page import render_watch

# Loaded when they are first asked for, since these modules need matplotlib, jinja2, rich or torch.
_LATER = {
    "answers.measured.interpretation": "ablation_table role_table state_table",
    "answers.measured.models": "kinds_answer",
    "characters": "sketch with_sketch",
    "folder": "DOCUMENT_NAME document_names require_folder write_folder",
    "interpretation_page": "INTERPRETATION_NAME render_interpretation write_interpretation",
    "maps": "plot_maps",
    "plots": "plot_cdf plot_dynamics plot_heat_map plot_law plot_layer_accuracy plot_layers plot_likelihoods plot_parts "
    "plot_phase plot_spectrum plot_thresholds plot_trade_off plot_training",
    "report_page": "REPORT_NAME render_html write_report",
    "static": "draw figure_of",
    "terminal": "answer_text print_answer print_answers print_section",
    "watch_page": "render_watch",
}
_EXTRAS = {"matplotlib": "plot", "jinja2": "torch", "torch": "torch"}
_MODULE_OF = {name: module for module, names in _LATER.items() for name in names.split()}

__all__ = [
    "BESIDE",
    "DOCUMENT_NAME",
    "INTERPRETATION_NAME",
    "REPORT_NAME",
    "SCHEMA_VERSION",
    "WHY",
    "Answer",
    "Appearance",
    "Axis",
    "Bars",
    "DrawnLaw",
    "HeatMap",
    "Histogram",
    "Picture",
    "PlotlyFigure",
    "Row",
    "Rule",
    "Section",
    "Sentence",
    "Series",
    "Split",
    "Stems",
    "Swatch",
    "SweepTable",
    "SweptDesign",
    "Table",
    "Window",
    "ablation_table",
    "answer_html",
    "answer_of",
    "answer_text",
    "brief_of",
    "cdf_picture",
    "chain_table",
    "csv_bytes",
    "document_names",
    "document_of",
    "draw",
    "drawn_law",
    "drawn_law_picture",
    "drawn_values",
    "dump_json",
    "dynamics_picture",
    "figure_of",
    "forecast_picture",
    "found_rate_picture",
    "frame",
    "freeness_table",
    "heat_map_picture",
    "html_table",
    "json_text",
    "kinds_answer",
    "law_csv",
    "law_grid",
    "law_picture",
    "layer_accuracy_picture",
    "layer_table",
    "layers_picture",
    "layers_text",
    "likelihoods_picture",
    "lines_picture",
    "list_html",
    "map_picture",
    "map_pictures",
    "number",
    "page_parts",
    "parts_html",
    "parts_picture",
    "percent",
    "phase_csv",
    "phase_picture",
    "picture_bytes",
    "picture_of",
    "picture_uri",
    "plain",
    "plain_numbers",
    "plot_cdf",
    "plot_dynamics",
    "plot_heat_map",
    "plot_law",
    "plot_layer_accuracy",
    "plot_layers",
    "plot_likelihoods",
    "plot_maps",
    "plot_parts",
    "plot_phase",
    "plot_spectrum",
    "plot_thresholds",
    "plot_trade_off",
    "plot_training",
    "print_answer",
    "print_answers",
    "print_section",
    "render_html",
    "render_interpretation",
    "render_watch",
    "require_folder",
    "require_writable",
    "role_table",
    "schema",
    "schema_text",
    "side_by_side",
    "sketch",
    "spectrum_picture",
    "spectrum_table",
    "split_eigenvalues",
    "state_table",
    "sweep_answer",
    "swept_design",
    "thresholds_picture",
    "to_json",
    "to_plotly",
    "trade_off_picture",
    "training_picture",
    "watched_layers_picture",
    "watched_rate_picture",
    "window_of",
    "with_sketch",
    "write_bytes",
    "write_folder",
    "write_interpretation",
    "write_json",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_MODULE_OF[name]}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name not in _EXTRAS:
            raise
        told = f"expected the package {error.name}, which is not installed; run pip install 'freeness[{_EXTRAS[error.name]}]'."
        raise ModuleNotFoundError(told, name=error.name) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
