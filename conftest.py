"""Runs every example in docstrings and README with the tests, and holds the shapes that are written in types."""

from collections.abc import Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE

from pytest import Config
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.rest import DocTestParser
from tests.shapes import install


class _Docstrings(PythonDocStringDocument):
    """Files without an example are not read for docstrings, which takes long."""

    @staticmethod
    def extract_docstrings(python_source_code: str) -> Iterator[tuple[int, int, str]]:
        return (
            iter(())
            if ">>>" not in python_source_code
            else PythonDocStringDocument.extract_docstrings(python_source_code)
        )


_examples = Sybil(
    parsers=[DocTestParser(optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)],
    path="src/freeness",
    patterns=["*.py"],
    document_types={".py": _Docstrings},
)
_pages = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS | NORMALIZE_WHITESPACE)],
    patterns=["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/*.md", "docs/*/*.md"],
)

pytest_collect_file = (_examples + _pages).pytest()


def pytest_configure(config: Config) -> None:
    """Before anything of freeness is imported."""
    if not config.getoption("benchmark_only", False):  # which times what users run
        install()
