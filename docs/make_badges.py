"""The badges of the README, from pyproject.toml and the version, as files: nothing is fetched where the README is read.

Run from the root of the repository: `python docs/make_badges.py`.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from xml.sax.saxutils import escape

from freeness.version import __version__

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "badges"
LETTER, MARGIN, HEIGHT = 6.6, 7, 20  # px: mean width of a letter of 11 px, space beside the words, height


def badges() -> dict[str, str]:
    """File name and content of each."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    told = {
        "version": ("version", __version__, "#356a9a"),
        "python": ("python", about["requires-python"].replace(">=", "≥ "), "#356a9a"),
        "licence": ("licence", about["license"], "#2c7a4b"),
        "types": ("types", "pyright, strict for theory", "#2c7a4b"),
    }
    return {f"{name}.svg": badge(*words) for name, words in told.items()}


def badge(name: str, value: str, colour: str) -> str:
    """An SVG of two words side by side; the second one on the colour."""
    left, right = (round(LETTER * len(words)) + 2 * MARGIN for words in (name, value))
    words = escape(name), escape(value)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img" '
        f'aria-label="{words[0]}: {words[1]}">\n'
        f"<title>{words[0]}: {words[1]}</title>\n"
        f'<clipPath id="round"><rect width="{left + right}" height="{HEIGHT}" rx="3"/></clipPath>\n'
        f'<g clip-path="url(#round)"><rect width="{left}" height="{HEIGHT}" fill="#4a4a4a"/>'
        f'<rect x="{left}" width="{right}" height="{HEIGHT}" fill="{colour}"/></g>\n'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">\n'
        f'<text x="{left / 2}" y="14">{words[0]}</text>\n<text x="{left + right / 2}" y="14">{words[1]}</text>\n</g>\n</svg>\n'
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file, content in badges().items():
        (FOLDER / file).write_text(content, encoding="utf-8")
