"""How Sphinx builds the documentation; `make docs` calls it."""

from __future__ import annotations

import importlib
import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from types import GenericAlias
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
from mathml import visit_block, visit_inline

project = "freeness"
author = copyright = "freeness contributors"
version = release = installed_version("freeness")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
suppress_warnings = ["ref.python"]  # a word in a signature that is an attribute of several classes links to none
html_theme = "furo"
pygments_dark_style = "github-dark"  # modules are not underlined as if they were links
html_title = "freeness"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
highlight_language = "none"  # of a fence without a language: commands and output
smartquotes = False  # φ' is a derivative

myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
html_math_renderer = "mathml"  # no script and no network: browsers draw it

autodoc_member_order = "groupwise"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"ArrayLike": "ArrayLike", "npt.ArrayLike": "ArrayLike"}  # else spelled out over three lines
autosummary_generate = False  # the tables of names only; every room is one page


_LITERAL = re.compile(r"(``.*?``|:[a-z:]+:`[^`]*`)")
_THEORY = re.compile(r"theory\.md (§\d+(?:\.\d+)?)")
_CONSTANTS = (str, int, float, tuple, GenericAlias)  # whose docstring is that of their type
_MARKUP = re.compile(r"([|`]|\*(?=\S)|(?<=\w)_\b)")


def plain_text(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep |x|, a*a and W_ in docstrings what they are: only literals, roles and examples are markup there."""
    for place, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = _LITERAL.split(line)
            parts[::2] = [_MARKUP.sub(r"\\\1", part) for part in parts[::2]]
            lines[place] = _THEORY.sub(r":doc:`theory.md \1 </theory>`", "".join(parts))


def no_alias(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Python says "Alias for field number 1" of a NamedTuple's field, which tells a reader nothing."""
    lines[:] = [line for line in lines if not line.startswith("Alias for field number")]


def plain_types(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Keep the stars of shapes, as in " samples *shape", in the types of attributes, which napoleon writes."""
    lines[:] = [line.replace("*", r"\*") if line.lstrip().startswith(":type:") else line for line in lines]


def table_of_names(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put the names of a room, with their first sentences, before the names themselves."""
    if what == "module" and hasattr(obj, "__all__"):
        members = {member: getattr(obj, member) for member in obj.__all__}
        told = {member: thing for member, thing in members.items() if not isinstance(thing, _CONSTANTS)}
        entries = [f"   {listed_as(member, thing, name)}" for member, thing in told.items()]
        lines += ["", ".. autosummary::", "   :nosignatures:", "", *entries, ""]


def listed_as(member: str, thing: Any, module: str) -> str:
    """The name under which the reference has what ``module`` exports: that of the room that defines and exports it."""
    room = ".".join(getattr(thing, "__module__", module).split(".")[:2])
    if not room.startswith("freeness.") or room == module or not hasattr(importlib.import_module(room), member):
        return member
    return f"{room}.{member}".removeprefix(f"{module}.")


_WIDE = 1100  # pixels: a picture of several panels
_AS_THEY_ARE = ("interpretation-maps.png", "learning-rate-depth.png")  # a photograph, a scale of many colours
_NUMBER = 14  # characters of a cell that does not break at its minus


def looks(app: Sphinx, doctree: nodes.document) -> None:
    """Tell the style sheet which pictures scroll on phones or stay as they are in the dark, and which cells are numbers."""
    for image in doctree.findall(nodes.image):
        file = Path(app.srcdir, image["uri"])
        if file.suffix == ".png" and file.is_file():
            width = int.from_bytes(file.read_bytes()[16:20], "big")  # of IHDR, the first chunk
            image["classes"] += ["wide"] * (width > _WIDE) + ["kept"] * (file.name in _AS_THEY_ARE)
    for cell in doctree.findall(nodes.entry):
        text = cell.astext()
        if len(text) <= _NUMBER and text[-1:].isdigit():
            cell["classes"].append("number")


def setup(app: Sphinx) -> None:
    """Connect them to autodoc, before napoleon (priority 500) sees the docstring; formulas become MathML."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("autodoc-process-docstring", no_alias, priority=400)
    app.connect("autodoc-process-docstring", plain_text, priority=400)
    app.connect("autodoc-process-docstring", plain_types, priority=600)
    app.connect("autodoc-process-docstring", table_of_names, priority=600)
    app.connect("doctree-read", looks)
