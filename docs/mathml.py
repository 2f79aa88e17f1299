"""Formulas of the pages as MathML, which browsers draw by themselves: no script, no font, no network.

Pages have them in Unicode between dollars, as $q_(l+1) = σ_w² q̂_l + σ_b²$, so that they can be read in a terminal as well.
"""

from __future__ import annotations

import re
from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

_UP = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿᵀ", "0123456789+-()nT", strict=True))
_DOWN = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-", strict=True))
_WORDS = ("max", "log", "exp", "ln", "tr", "diag", "Var", "erf", "Im", "id", "rate")
_SIGNS = {
    "←": r"\\leftarrow", "→": r"\\rightarrow", "≥": r"\\ge", "≤": r"\\le", "∼": r"\\sim", "≪": r"\\ll",
    "⊞": r"\\boxplus", "⊠": r"\\boxtimes", "⊗": r"\\otimes", "∘": r"\\circ",
}  # fmt: skip
_TO_LATEX = (
    (re.compile("(.)\N{COMBINING CIRCUMFLEX ACCENT}"), r"\\hat{\1}"),
    (re.compile(f"[{''.join(_UP)}]+"), lambda found: "^{" + "".join(_UP[sign] for sign in found[0]) + "}"),
    (re.compile(f"[{''.join(_DOWN)}]+"), lambda found: "_{" + "".join(_DOWN[sign] for sign in found[0]) + "}"),
    (re.compile(r"([_^])\{?([A-Za-z]{2,})\b\}?"), r"\1{\\mathrm{\2}}"),
    (re.compile(rf"(?<![\\A-Za-z{{])({'|'.join(_WORDS)})(?![A-Za-z])"), r"\\operatorname{\1}"),
    (re.compile(r"(?<![\\A-Za-z{])E (?=\S)"), r"\\mathbb{E}\\,"),
    (re.compile(r"‖"), r"\\Vert "),
    (re.compile(r"│"), r"\\vert "),
    (re.compile(r"·"), r"\\cdot "),
    (re.compile(r"[∑]"), r"\\textstyle\\sum "),
    (re.compile(r"½"), r"\\tfrac{1}{2}"),
    (re.compile(r"(?<=\w), "), r",\\ "),
    *((re.compile(sign), name + " ") for sign, name in _SIGNS.items()),
)


def latex_of(formula: str) -> str:
    """The formula as LaTeX has it.

    Args:
        formula: in Unicode.
    """
    for pattern, put in _TO_LATEX:
        formula = pattern.sub(put, formula)
    return _braced(formula)


def _braced(formula: str) -> str:
    """Of ^(…), _(…) and √(…) the brackets only hold together; the argument of a root without brackets is one letter."""
    parts, place = [], 0
    while place < len(formula):
        sign, after = formula[place], formula[place + 1 : place + 2]
        if sign in "^_√" and after == "(":
            end = _closing(formula, place + 1)
            parts.append({"√": r"\sqrt"}.get(sign, sign) + "{" + _braced(formula[place + 2 : end]) + "}")
            place = end + 1
        elif sign == "√":
            parts.append(rf"\sqrt{{{after}}}")
            place += 2
        else:
            parts.append(sign)
            place += 1
    return "".join(parts)


def _closing(formula: str, opening: int) -> int:
    depth = 0
    for place in range(opening, len(formula)):
        depth += {"(": 1, ")": -1}.get(formula[place], 0)
        if depth == 0:
            return place
    raise ValueError(f"expected a closing bracket in {formula!r}, got none")


def visit_inline(translator: Any, node: Any) -> None:
    """Write a formula within a sentence."""
    translator.body.append(convert(latex_of(node.astext())))
    raise SkipNode


def visit_block(translator: Any, node: Any) -> None:
    """Write a formula on a line of its own."""
    translator.body.append(convert(latex_of(node.astext()), display="block"))
    raise SkipNode
