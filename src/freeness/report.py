"""Deprecated: reports, tables and documents are in :mod:`freeness.show`, under the same names."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freeness.show import (
        DOCUMENT_NAME,
        INTERPRETATION_NAME,
        REPORT_NAME,
        SCHEMA_VERSION,
        Table,
        ablation_table,
        dump_json,
        frame,
        freeness_table,
        layer_table,
        number,
        render_html,
        render_interpretation,
        require_folder,
        require_writable,
        role_table,
        schema,
        schema_text,
        spectrum_table,
        state_table,
        to_json,
        write_folder,
        write_interpretation,
        write_json,
        write_report,
    )

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


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"freeness.report.{name} is deprecated; import it from freeness.show.", DeprecationWarning, stacklevel=2
    )
    return getattr(import_module("freeness.show"), name)
