"""What all pages share: the templates' environment, and pictures inside the page."""

from __future__ import annotations

import base64
import io

from jinja2 import Environment, PackageLoader, StrictUndefined

from freeness.plots import Figure
from freeness.report.tables import number, percent

_DPI = 150


def page_environment() -> Environment:
    """Templates of this room; strings are escaped, and a name that is not given is an error."""
    environment = Environment(
        loader=PackageLoader("freeness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment


def picture_uri(figure: Figure) -> str:
    """The figure as a data URI.

    Args:
        figure: of matplotlib.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
