"""An analysis as a self-contained HTML report, as tables of text, and as strict JSON."""

from freeness.report.document import SCHEMA_VERSION, dump_json, to_json, write_json
from freeness.report.files import require_writable
from freeness.report.folder import DOCUMENT_NAME, require_folder, write_folder
from freeness.report.html import REPORT_NAME, render_html, write_report
from freeness.report.tables import Table, freeness_table, layer_table, number, spectrum_table

__all__ = [
    "DOCUMENT_NAME",
    "REPORT_NAME",
    "SCHEMA_VERSION",
    "Table",
    "dump_json",
    "freeness_table",
    "layer_table",
    "number",
    "render_html",
    "require_folder",
    "require_writable",
    "spectrum_table",
    "to_json",
    "write_folder",
    "write_json",
    "write_report",
]
