"""An analysis as a self-contained HTML report, as tables of text, and as strict JSON."""

from freeness.report.document import SCHEMA_VERSION, dump_json, to_json, write_json
from freeness.report.document_schema import schema, schema_text
from freeness.report.files import require_writable
from freeness.report.folder import DOCUMENT_NAME, require_folder, write_folder
from freeness.report.frames import frame
from freeness.report.html import REPORT_NAME, render_html, write_report
from freeness.report.interpretation import (
    INTERPRETATION_NAME,
    ablation_table,
    render_interpretation,
    role_table,
    state_table,
    write_interpretation,
)
from freeness.report.tables import Table, freeness_table, layer_table, number, spectrum_table

__all__ = [
    "DOCUMENT_NAME",
    "INTERPRETATION_NAME",
    "REPORT_NAME",
    "SCHEMA_VERSION",
    "Table",
    "ablation_table",
    "dump_json",
    "frame",
    "freeness_table",
    "layer_table",
    "number",
    "render_html",
    "render_interpretation",
    "require_folder",
    "require_writable",
    "role_table",
    "schema",
    "schema_text",
    "spectrum_table",
    "state_table",
    "to_json",
    "write_folder",
    "write_interpretation",
    "write_json",
    "write_report",
]
