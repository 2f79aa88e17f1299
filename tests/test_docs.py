"""The documentation: every page is reached, every name and test of the theory page exists, the site builds without a warning."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
THEORY = (DOCS / "theory.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| .+ \| \[(?P<shown>.+)\]\(#freeness\.(?P<name>[\w.]+)\) \| (?P<source>.+) \| (?P<test>tests/\S+\.py) \|$"
)


def pages() -> set[str]:
    """Every page beside what is built, as a toctree names it."""
    found = {page.relative_to(DOCS).with_suffix("").as_posix() for page in DOCS.rglob("*.md")}
    return {page for page in found if not page.startswith("_build/")}


def rows() -> list[str]:
    """Rows of the theory page's tables."""
    return [line for line in THEORY.splitlines() if line.startswith("| ") and not line.startswith("| formula ")]


def test_the_index_lists_every_page_once():
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```", (DOCS / "index.md").read_text(encoding="utf-8"), re.M | re.S)
    listed = [line for tree in trees for line in tree.splitlines() if line and not line.startswith(":")]
    assert sorted(listed) == sorted(pages() - {"index"})


def test_the_index_links_every_page_where_no_site_is_built():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    assert {link.removesuffix(".md") for link in re.findall(r"\]\(([\w/-]+\.md)\)", text)} == pages() - {"index"}


def test_the_badges_tell_what_the_project_says_of_itself():
    spec = importlib.util.spec_from_file_location("make_badges", DOCS / "make_badges.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.badges()
    assert made == {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "badges").iterdir()}
    assert all(f"(docs/badges/{name})" in (REPOSITORY / "README.md").read_text(encoding="utf-8") for name in made)


def test_no_line_of_a_page_is_a_comment_by_mistake():
    pattern = re.compile(r"^ *%.*", re.MULTILINE)  # what myst leaves out
    found = {page: pattern.findall((DOCS / f"{page}.md").read_text(encoding="utf-8")) for page in pages()}
    assert not {page: lines for page, lines in found.items() if lines}


def test_links_of_all_pages_lead_to_what_the_package_brings():
    """The wheel has this folder and nothing around it."""
    lost = []
    for name in sorted(pages()):
        page = DOCS / f"{name}.md"
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            file = (page.parent / target).resolve()
            if not target.startswith("http") and not (file.exists() and file.is_relative_to(DOCS)):
                lost.append((name, target))
    assert not lost


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_a_file_that_describes_the_house_names_what_is_there(page):
    named = set(re.findall(r"`([\w./]+\.(?:py|md|toml|txt))`", (REPOSITORY / page).read_text(encoding="utf-8")))
    folders = ("src", "tests", "docs", "scripts", "benchmarks")
    there = [f"/{file.relative_to(REPOSITORY)}" for folder in folders for file in (REPOSITORY / folder).rglob("*.*")]
    there += [f"/{file.name}" for file in REPOSITORY.iterdir()]
    assert {name for name in named if not any(path.endswith(f"/{name}") for path in there)} <= {
        "benchmarks/peers/NAME.py"
    }
    assert len(named) > 10


def test_the_reference_has_a_page_for_every_public_room():
    import freeness

    homes = {getattr(freeness, name).__module__.split(".")[1] for name in freeness.__all__} - {"errors"}
    described = {page.stem for page in (DOCS / "reference").glob("*.md")}
    assert homes | {"freeness", "training", "data", "torch", "interpret", "experiments", "show"} == described


@pytest.mark.parametrize("row", rows())
def test_a_formula_has_a_function_a_source_and_a_test_that_exist(row):
    found = ROW.match(row)
    assert found and found["shown"] == found["name"] and found["source"].strip()
    room, name = found["name"].split(".")
    assert name in importlib.import_module(f"freeness.{room}").__all__
    assert (REPOSITORY / found["test"]).is_file()


def test_every_section_that_a_docstring_names_is_on_the_theory_page():
    sections = set(re.findall(r"^## (§[\d.]+) ", THEORY, re.M))
    sources = (REPOSITORY / "src" / "freeness").rglob("*.py")
    named = {
        s for file in sources for s in re.findall(r"theory\.md (§\d+(?:\.\d+)?)", file.read_text(encoding="utf-8"))
    }
    assert named and not {
        s for s in named if not any(section == s or section.startswith(f"{s}.") for section in sections)
    }


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    if not all(importlib.util.find_spec(name) for name in ("sphinx", "myst_parser", "furo", "latex2mathml")):
        pytest.skip("the documentation's packages are not installed; `make docs` installs them and builds it, too")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", str(tmp_path / "trees")]
    done = subprocess.run([*command, str(DOCS), str(tmp_path / "site")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reference = (tmp_path / "site" / "reference" / "laws.html").read_text(encoding="utf-8")
    assert 'id="freeness.laws.MarchenkoPastur"' in reference and "Marchenko, Pastur (1967)" in reference
    assert 'href="reference/laws.html#freeness.laws.MarchenkoPastur"' in (tmp_path / "site" / "theory.html").read_text(
        encoding="utf-8"
    )
    theory = (tmp_path / "site" / "theory.html").read_text(encoding="utf-8")
    assert theory.count("<math ") > 150 and "$" not in theory
    assert not re.search(r"<(?:script|link)\b[^>]*\b(?:src|href)=.https?:", theory)  # nothing is fetched
    assert (tmp_path / "site" / "_downloads").is_dir()  # notebooks
