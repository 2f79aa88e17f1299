"""One parser for command line, TOML and Python: what each gives is the same source, and its text gives it again."""

import pytest

from freeness import InputError
from freeness.data import ArrayFile, Factory, FashionMnist, Folder, GaussianSamples, InMemory, source_of

SAME = [
    ("fashion-mnist", {"kind": "fashion-mnist"}, FashionMnist()),
    ("fashion-mnist:download", {"kind": "fashion-mnist", "download": True}, FashionMnist(download=True)),
    ("fashion-mnist:some/folder", {"kind": "fashion-mnist", "directory": "some/folder"}, FashionMnist("some/folder")),
    ("gaussian", {"kind": "gaussian"}, GaussianSamples()),
    ("gaussian:3x32x32", {"kind": "gaussian", "shape": [3, 32, 32]}, GaussianSamples((3, 32, 32))),
    ("a/x.npy", {"kind": "file", "path": "a/x.npy"}, ArrayFile("a/x.npy")),
    ("x.NPZ", {"kind": "file", "path": "x.NPZ"}, ArrayFile("x.NPZ")),
    ("x.pt", {"kind": "file", "path": "x.pt"}, ArrayFile("x.pt")),
    ("t10k-images-idx3-ubyte.gz", None, ArrayFile("t10k-images-idx3-ubyte.gz")),
    ("images/v1.2", {"kind": "folder", "path": "images/v1.2"}, Folder("images/v1.2")),
    ("C:/a/mine.py:loader", {"kind": "factory", "file": "C:/a/mine.py", "name": "loader"}, Factory("C:/a/mine.py", "loader")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "table", "source"), SAME)
def test_text_table_and_record_are_one_source(text, table, source):
    assert source_of(text) == source
    assert table is None or source_of(table) == source
    assert source_of(source) is source
    assert source.text == text and source_of(source.text) == source


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("gaussian:3xx2", "gaussian:3x32x32"),
        ("gaussian:0x2", "whole numbers ≥ 1"),
        ("mine.py", "name the function behind a colon"),
        ("", "got ''"),
        ({"kind": "fashon"}, "a kind among fashion-mnist, gaussian, file, folder, factory, got 'fashon'"),
        ({"kind": "file"}, "got none of the name 'path'"),
        ({"kind": "file", "path": "x.npy", "scale": 1}, "the unknown 'scale'"),
        ({"kind": "file", "path": 3}, "path of data as str, got 3"),
        ({"kind": "gaussian", "shape": ["a"]}, "whole numbers"),
        ({"kind": "gaussian", "count": True}, "count of data as int"),
        ({"kind": "fashion-mnist", "directory": "x", "download": True}, "got both"),
        ((1, 2, 3), "or \\(inputs, targets\\), got tuple"),
        (None, "got NoneType"),
    ],
)
def test_anything_else_is_one_sentence(given, words):
    with pytest.raises(InputError, match=words) as caught:
        source_of(given)
    text = str(caught.value)
    assert text.startswith("expected ") and text.endswith(".") and "\n" not in text


def test_arrays_have_no_text():
    source = source_of(([[1.0]], [0]))
    assert isinstance(source, InMemory)
    with pytest.raises(InputError, match="arrays in memory"):
        _ = source.text
