"""What the package index shows: the README with links that lead somewhere from there.

`base` in pyproject.toml is where the repository can be read. While there is none, links to pages become the command that shows
them (the pages come with the package), and pictures their words; badges, which the index tells itself, are left out.
"""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)\s]+)\)")
_BADGES = re.compile(r"(?:!\[[^\]]*\]\(docs/badges/[^)]*\)\s*)+")  # beside one another, with the empty line behind them
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Gives the package its description, and its addresses where there are any."""

    def update(self, metadata: dict) -> None:
        base = str(self.config.get("base", "")).rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": resolved(text, base)}
        if base:
            pages = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md"}
            metadata["urls"] = {"Source": base} | {name: f"{base}/{page}" for name, page in pages.items()}


def resolved(text: str, base: str) -> str:
    """The README with absolute links.

    Args:
        text: with links relative to the root of the repository.
        base: the address of that root, without a slash at its end; "" where there is none.

    Example:
        >>> resolved("see [limits](docs/limits.md)", "https://host.example/freeness")
        'see [limits](https://host.example/freeness/docs/limits.md)'
        >>> resolved("see [limits](docs/limits.md) and ![a law](docs/law.png)", "")
        'see limits (`freeness docs limits`) and *Picture: a law.*'
    """
    if base:
        return _LINK.sub(rf"[\1]({base}/\2)", _PICTURE.sub(rf"![\1]({base}/\2)", text))
    told = _PICTURE.sub(r"*Picture: \1.*", _BADGES.sub("", text))
    return _LINK.sub(lambda found: _named(found[1], found[2]), told)


def _named(words: str, target: str) -> str:
    page = re.fullmatch(r"docs/(\S+)\.md(#\S*)?", target)
    return words if page is None else f"{words} (`freeness docs {page[1]}`)"
