"""The environment of the templates."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from freeness.advice import NOT_ASKED
from freeness.show.answer import number, percent


def page_environment() -> Environment:
    """Templates of this room; strings are escaped, and a name that is not given is an error."""
    environment = Environment(
        loader=PackageLoader("freeness.show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent}
    environment.globals["not_asked"] = NOT_ASKED
    return environment
