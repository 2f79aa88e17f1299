"""Pages are read where freeness is installed, or in its source tree."""

import re
from pathlib import Path

import pytest

from freeness.cli.docs import docs_folder
from tests.cli.called import Called

run = Called("docs", 120)


def test_all_pages_are_listed_with_their_titles():
    result = run()
    assert result.exit_code == 0
    for path in docs_folder().glob("*.md"):
        assert path.stem in result.stdout
        assert path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")[:30] in result.stdout


@pytest.mark.parametrize("name", ["limits", "docs/limits.md", "tutorials/analyze"])
def test_a_page_is_read_by_any_of_its_names(name):
    result = run(name)
    page = (docs_folder() / name.removeprefix("docs/")).with_suffix(".md").read_text(encoding="utf-8")
    assert result.exit_code == 0 and page.splitlines()[0].removeprefix("# ") in result.stdout


def test_an_unknown_page_is_one_sentence():
    result = run("no-such-page")
    assert result.exit_code == 2 and "freeness docs lists them" in result.stderr


def test_messages_point_to_pages_that_there_are():
    source = Path(docs_folder().parent, "src", "freeness")
    named = {
        n for path in source.rglob("*.py") for n in re.findall(r"docs/([\w/-]+\.md)", path.read_text(encoding="utf-8"))
    }
    assert named and all((docs_folder() / name).is_file() for name in named)
