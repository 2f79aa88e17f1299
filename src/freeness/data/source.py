"""Where data comes from: one record for command line, TOML, page and Python, and one parser for all of them."""

# pyright: reportUnknownArgumentType=false
# What is given may be anything.

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from freeness.data.array_file import ending_of
from freeness.errors import InputError

FORMS = (
    "fashion-mnist, gaussian, a file .npy, .npz, .pt or idx, a folder (of idx files, of train.parquet, or of train/CLASS), "
    "or FILE.py:FACTORY"
)


class Source(ABC):
    """Where data comes from; nothing is read yet. :func:`source_of` makes it, :func:`load` and :func:`opened` read it."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The text that stands for it on a command line and in TOML."""


@dataclass(frozen=True)
class FashionMnist(Source):
    """Fashion-MNIST: the bundled 2,000 + 1,000 images, or all 70,000.

    Args:
        directory: a folder with the official files; the bundled images when left out.
        download: the official files, fetched once into the user's cache.
    """

    directory: str = ""
    download: bool = False

    def __post_init__(self) -> None:
        if self.directory and self.download:
            raise InputError("expected a directory or download, got both; a directory has the files already.")

    @property
    def text(self) -> str:
        return ":".join(["fashion-mnist", *["download"] * self.download, *[self.directory] * bool(self.directory)])


@dataclass(frozen=True)
class GaussianSamples(Source):
    """Standard Gaussian samples without targets.

    Args:
        shape: of a sample; (), where a model is there to tell what it takes.
        count: of samples.
        seed: of numpy's generator.
    """

    shape: tuple[int, ...] = ()
    count: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        whole = all(type(size) is int for size in (*self.shape, self.count, self.seed))
        if not whole or min((*self.shape, self.count), default=1) < 1 or self.seed < 0:
            raise InputError(
                f"expected a shape of whole numbers ≥ 1, got {self.shape} for {self.count} samples; write gaussian:3x32x32."
            )

    @property
    def text(self) -> str:
        return ":".join(["gaussian", *["x".join(map(str, self.shape))] * bool(self.shape)])


@dataclass(frozen=True)
class ArrayFile(Source):
    """A file of arrays: .npy, .npz, .pt or idx, see :func:`~freeness.data.read_arrays`."""

    path: str

    @property
    def text(self) -> str:
        return self.path


@dataclass(frozen=True)
class Folder(Source):
    """A folder of idx files, of train.parquet and test.parquet, or of pictures train/CLASS/*.png and test/CLASS/*.png.

    Args:
        path: of the folder.
        image_size: side of the square that pictures are cut and resized to.
    """

    path: str
    image_size: int = 224

    @property
    def text(self) -> str:
        return self.path


@dataclass(frozen=True)
class Factory(Source):
    """``FILE.py:FACTORY``: a function without arguments, or an object, that gives any data; this executes the user's code."""

    file: str
    name: str

    @property
    def text(self) -> str:
        return f"{self.file}:{self.name}"


@dataclass(frozen=True, eq=False)
class InMemory(Source):
    """Arrays that are there already, by the names that an archive has; ``name`` is what errors call them."""

    arrays: Mapping[str, object] = field(repr=False)
    name: str = "arrays in memory"

    @property
    def text(self) -> str:
        raise InputError("expected data with a name, got arrays in memory; save them by numpy.savez and name the file.")


_KINDS: dict[str, type[Source]] = {
    "fashion-mnist": FashionMnist,
    "gaussian": GaussianSamples,
    "file": ArrayFile,
    "folder": Folder,
    "factory": Factory,
}


def source_of(given: object) -> Source:
    """A source from what a command line, a TOML or JSON file, or Python gives; nothing is opened.

    Args:
        given: a text (``fashion-mnist``, ``fashion-mnist:download``, ``fashion-mnist:FOLDER``, ``gaussian``,
            ``gaussian:3x32x32``, the path of a file or folder, ``FILE.py:FACTORY``); a table with ``kind`` ("fashion-mnist",
            "gaussian", "file", "folder", "factory") and the fields of its class; arrays: inputs, (inputs, targets), or a table
            with ``inputs``; or a source.

    Raises:
        InputError: something else.

    Example:
        >>> source_of("gaussian:3x32x32").shape
        (3, 32, 32)
        >>> source_of({"kind": "file", "path": "data.npz"})
        ArrayFile(path='data.npz')
        >>> source_of("mine.py:loader")
        Factory(file='mine.py', name='loader')
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, str | Path):
        return _of_text(str(given))
    if isinstance(given, Mapping):
        return InMemory(dict(given)) if "inputs" in given else _of_table(given)
    if isinstance(given, tuple | list) and len(given) == 2:
        return InMemory({"inputs": given[0], "targets": given[1]})
    if isinstance(given, tuple | list | bytes) or given is None:
        raise InputError(
            f"expected data as {FORMS}, or (inputs, targets), got {type(given).__name__}; give one of these."
        )
    return InMemory({"inputs": given})


def _of_text(text: str) -> Source:
    kind, _, rest = text.partition(":")
    if kind == "fashion-mnist":
        return FashionMnist(download=True) if rest == "download" else FashionMnist(rest)
    if kind == "gaussian":
        sizes = rest.lower().replace("×", "x").split("x") if rest else []
        if not all(size.isascii() and size.isdigit() for size in sizes):
            raise InputError(f"expected a shape as gaussian:3x32x32, got {text!r}; write whole numbers.")
        return GaussianSamples(tuple(map(int, sizes)))
    file, _, name = text.rpartition(":")
    if file.endswith(".py") and name.isidentifier():
        return Factory(file, name)
    if not text or text.endswith(".py"):
        raise InputError(f"expected data as {FORMS}, got {text!r}; name the function behind a colon.")
    return ArrayFile(text) if ending_of(Path(text)) else Folder(text)


def _of_table(given: Mapping[object, object]) -> Source:
    kind, entries = given.get("kind"), {str(name): value for name, value in given.items() if name != "kind"}
    if kind not in _KINDS:
        raise InputError(f"expected data with a kind among {', '.join(_KINDS)}, got {kind!r}; choose one.")
    made = _KINDS[str(kind)]
    known = {each.name: each for each in dataclasses.fields(made)}  # pyright: ignore[reportArgumentType]
    strange = [name for name in entries if name not in known]
    needed = [name for name, each in known.items() if each.default is dataclasses.MISSING and name not in entries]
    if strange or needed:
        got = f"the unknown {strange[0]!r}" if strange else f"none of the name {needed[0]!r}"
        raise InputError(f"expected entries {', '.join(known)} of data of the kind {kind!r}, got {got}; correct them.")
    for name, value in entries.items():
        _check_entry(name, value, known[name].type)
    shape = entries.get("shape")
    return made(**entries | ({"shape": tuple(shape)} if isinstance(shape, list | tuple) else {}))


def _check_entry(name: str, value: object, wanted: object) -> None:
    kinds = {"str": (str,), "int": (int,), "bool": (bool,), "tuple[int, ...]": (list, tuple)}[str(wanted)]
    if type(value) not in kinds:
        raise InputError(f"expected {name} of data as {wanted}, got {value!r}; correct it.")
