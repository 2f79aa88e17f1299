"""Formulas of the documentation: from Unicode to LaTeX, which is typeset without a script."""

import importlib.util
import re
import sys
from types import ModuleType

import pytest

from tests.conftest import REPOSITORY

PAGES = [page for page in (REPOSITORY / "docs").rglob("*.md") if "_build" not in page.parts]
FORMULA = re.compile(r"(?<![\\$])\$([^$\n]+)\$")


@pytest.fixture(scope="module")
def latex_of():
    """The function without what typesets its result, which only the documentation needs."""
    stand_ins = {"latex2mathml.converter": {"convert": None}, "docutils.nodes": {"SkipNode": Exception}}
    with pytest.MonkeyPatch.context() as patch:
        for name, held in stand_ins.items():
            module = ModuleType(name)
            vars(module).update(held)
            patch.setitem(sys.modules, name.partition(".")[0], ModuleType(name.partition(".")[0]))
            patch.setitem(sys.modules, name, module)
        spec = importlib.util.spec_from_file_location("mathml", REPOSITORY / "docs" / "mathml.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module.latex_of


@pytest.mark.parametrize(
    ("formula", "latex"),
    [
        ("σ_w²", "σ_w^{2}"),
        ("x^(l-1)", "x^{l-1}"),
        ("q̂_l", r"\hat{q}_l"),
        ("√(Var·C/N)", r"\sqrt{\operatorname{Var}\cdot C/N}"),
        ("√q ξ", r"\sqrt{q} ξ"),
        ("λ_max", r"λ_{\mathrm{max}}"),
        ("e^(-σ²u)", "e^{-σ^{2}u}"),
        ("E φ'²", r"\mathbb{E}\,φ'^{2}"),
        ("p⁻ⁿ", "p^{-n}"),
        ("f(√(a(b + c)))", r"f(\sqrt{a(b + c)})"),
    ],
)
def test_a_formula_is_what_latex_writes(latex_of, formula, latex):
    assert latex_of(formula) == latex


def test_formulas_of_all_pages_can_be_read(latex_of):
    formulas = [formula for page in PAGES for formula in FORMULA.findall(page.read_text(encoding="utf-8"))]
    assert len(formulas) > 150
    for formula in formulas:
        latex = latex_of(formula)
        assert latex.count("{") == latex.count("}") and not set("²⁻√₁") & set(latex), formula
