"""What a stranger reads is short: sentences of at most thirty words, and a README of one screen or two."""

import ast
import inspect
import re

import pytest

import freeness
from tests.conftest import REPOSITORY

MOST = 30
DOCS = REPOSITORY / "docs"
SOURCE = REPOSITORY / "src" / "freeness"
PAGES = [REPOSITORY / "README.md", *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)]
CODE = re.compile(r"^```.*?^```$", re.M | re.S)
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
ITEM = re.compile(r"^(?:[-*] |\d+\. |#+ )", re.M)
EXAMPLE = re.compile(r"^ *>>>.*?(?=^ *$|\Z)", re.M | re.S)
ARGUMENT = re.compile(r"^ *(?:Args|Raises|Returns|Examples?|Sources?):|^ +(?=\*{0,2}\w+: )", re.M)
END = re.compile(r"(?<=[.!?])[*\"]*\s+|\n\n|\x00")


def sentences(text: str) -> list[str]:
    """Of a page without its code; a cell of a table, a point of a list and a heading end one as well."""
    text = ITEM.sub("\x00", LINK.sub(r"\1", CODE.sub("\n\n", text)))
    text = re.sub(r"^\|.*\|$", lambda row: row[0].replace("|", "\x00"), text, flags=re.M)
    return [sentence for part in END.split(text) if (sentence := " ".join(part.split()))]


def described(name: str, value: object) -> dict[str, str]:
    """The docstrings of a name and of its own public methods, without examples; an argument is a point of a list."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return {}
    own = {name: value} | {
        f"{name}.{key}": item for key, item in vars(value).items() if inspect.isclass(value) and key[0] != "_"
    }
    found = {key: inspect.cleandoc(item.__doc__) for key, item in own.items() if getattr(item, "__doc__", None)}
    return {key: ARGUMENT.sub("\n\n", EXAMPLE.sub("\n\n", text)) for key, text in found.items()}


def test_sentences_of_public_docstrings_are_short():
    public = [described(name, getattr(freeness, name)) for name in freeness.__all__]
    told = [(key, sentence) for found in public for key, text in found.items() for sentence in sentences(text)]
    assert len(told) > 400
    assert not [(key, sentence) for key, sentence in told if len(sentence.split()) > MOST]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_sentences_of_pages_are_short(page):
    long = [sentence for sentence in sentences(page.read_text(encoding="utf-8")) if len(sentence.split()) > MOST]
    assert not long


def written(node: ast.AST) -> str:
    """A text as it stands in the code, what is put into it as one word."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(written, node.values))
    if isinstance(node, ast.FormattedValue):
        return "X"
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def texts(source: str) -> list[str]:
    """All that code may tell: its strings, but for docstrings and what has lines of its own."""
    found, waiting = [], [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.JoinedStr, ast.Constant)):
            found.append(written(node))
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            waiting += ast.iter_child_nodes(node)
    return [text for text in found if "\n" not in text]


@pytest.mark.slow
@pytest.mark.always
@pytest.mark.parametrize("room", sorted(path.name for path in SOURCE.iterdir() if path.suffix != ".pyi"))
def test_sentences_that_the_package_tells_are_short(room):
    files = sorted((SOURCE / room).rglob("*.py")) or [SOURCE / room]
    told = [sentence for file in files if file.suffix == ".py" for sentence in spoken(file.read_text(encoding="utf-8"))]
    assert not [sentence for sentence in told if len(sentence.split()) > MOST]


def spoken(source: str) -> list[str]:
    return [sentence for text in texts(source) for sentence in re.split(r"(?<=[.!?])\s+", text)]


def test_a_long_sentence_of_the_package_is_seen():
    long = "raise InputError(f'expected {x}, got " + "word " * 29 + "end.')"
    assert [len(sentence.split()) for sentence in spoken('"""' + "doc " * 40 + '"""\n' + long)] == [33]


def test_the_readme_is_short():
    words = CODE.sub("", (REPOSITORY / "README.md").read_text(encoding="utf-8")).split()
    assert len(words) <= 700


def test_a_long_sentence_is_seen():
    text = (
        "Short one.\n\n* "
        + "word " * 31
        + "end.\n\n| a | "
        + "cell " * 31
        + "| c |\n\n```\n"
        + "code " * 40
        + "\n```\n"
    )
    assert [len(sentence.split()) for sentence in sentences(text)] == [2, 32, 1, 31, 1]
