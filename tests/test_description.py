"""What the package index shows of the README."""

import importlib.util
import re

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def resolved():
    pytest.importorskip("hatchling")
    spec = importlib.util.spec_from_file_location("hatch_build", REPOSITORY / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.resolved


def test_links_become_the_command_that_shows_their_page_while_there_is_no_address(resolved):
    text = "see [limits](docs/limits.md#a), [house](ARCHITECTURE.md), [there](https://host.example) and ![a law](docs/law.png)"
    told = "see limits (`freeness docs limits`), house, [there](https://host.example) and *Picture: a law.*"
    assert resolved(text, "") == told


def test_badges_are_left_to_the_index_while_there_is_no_address(resolved):
    text = "# name\n\n![version](docs/badges/version.svg) ![licence](docs/badges/licence.svg)\n\nwords ![a law](docs/law.png)\n"
    assert resolved(text, "") == "# name\n\nwords *Picture: a law.*\n"


def test_links_and_pictures_of_the_readme_are_absolute_once_there_is_one(resolved):
    told = resolved((REPOSITORY / "README.md").read_text(encoding="utf-8"), "https://host.example/freeness")
    links = re.findall(r"\]\(([^)]+)\)", told)
    assert len(links) > 20 and all(link.startswith("https://host.example/freeness/") for link in links)
    assert "](https://host.example/freeness/docs/training.png)" in told
