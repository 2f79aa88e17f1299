"""Deprecated: reports, tables and documents are in :mod:`freeness.show`, under the same names."""

from __future__ import annotations

from freeness.deprecation import moved

_NAMES = (
    "DOCUMENT_NAME INTERPRETATION_NAME REPORT_NAME SCHEMA_VERSION Table ablation_table dump_json frame "
    "freeness_table layer_table number render_html render_interpretation require_folder require_writable "
    "role_table schema schema_text spectrum_table state_table to_json write_folder write_interpretation "
    "write_json write_report"
)

__all__ = _NAMES.split()  # pyright: ignore[reportUnsupportedDunderAll]

__getattr__ = moved(__name__, {name: f"freeness.show.{name}" for name in __all__})
