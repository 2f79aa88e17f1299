"""Images that stay on the disk: Parquet files by row group, folders of pictures one by one."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyarrow says no types.

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from freeness.errors import InputError, brief
from freeness.files import ordinary_file

_PICTURES = (".png", ".jpg", ".jpeg", ".ppm")
_GROUPS = 4  # row groups that are kept


class ParquetFile:
    """A Parquet file of images: a column ``label``, and ``image`` with the numbers of one image a row, or a column a pixel.

    One row group is read at a time, and the last few are kept.
    """

    def __init__(self, path: Path) -> None:
        ordinary_file(path, "a Parquet file")
        parquet = _package("pyarrow.parquet", "sweep")
        self._name = str(path)
        try:
            self._file = parquet.ParquetFile(path, memory_map=True)
            self._columns = _columns(self._file.schema_arrow)
        except Exception as error:  # a damaged file makes its reader raise almost anything
            raise InputError(
                f"expected a Parquet file, got {brief(error)} from {self._name!r}; write it again."
            ) from error
        if "label" not in self._columns:
            raise InputError(f"expected a column label in {self._name!r}, got {self._columns[:6]}; rename it.")
        groups = [self._rows(group, ["label"])["label"] for group in range(self._file.num_row_groups)]
        self.classes = np.concatenate(groups).astype(np.int64)
        ends = np.cumsum([0, *map(len, groups)])
        self.blocks = [range(int(a), int(b)) for a, b in pairwise(ends)]
        self._starts = ends[:-1]
        self._group = lru_cache(maxsize=_GROUPS)(self._read)

    def fetch(self, chosen: Sequence[int]) -> np.ndarray:
        """The images of these rows."""
        groups = np.searchsorted(self._starts, chosen, side="right") - 1
        return np.stack([self._group(int(g))[i - self._starts[g]] for g, i in zip(groups, chosen, strict=True)])

    def _rows(self, group: int, columns: list[str]) -> dict[str, np.ndarray]:
        """Those columns of a row group."""
        table = self._file.read_row_group(group, columns=columns)
        return {name: table.column(name).to_numpy() for name in columns}

    def _read(self, group: int) -> np.ndarray:
        names = [name for name in self._columns if name != "label"]
        pixels = self._rows(group, names)
        if names != ["image"]:
            return np.stack([pixels[name] for name in names], axis=1)
        cells = [np.frombuffer(v, np.uint8) if isinstance(v, bytes) else np.asarray(v) for v in pixels["image"]]
        return np.stack(cells)


class ImageFolder:
    """Pictures in one folder a class, decoded as they are asked for, cut to a square and resized.

    ``names``: of the classes, in the order of their numbers; the folders' names, sorted, when left out.
    """

    def __init__(self, root: Path, size: int, names: Sequence[str] | None = None) -> None:
        self._open = _package("PIL.Image", "plot").open
        folders = sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
        self.names = list(names) if names is not None else [folder.name for folder in folders]
        strange = [folder.name for folder in folders if folder.name not in self.names]
        if strange:
            raise InputError(
                f"expected classes of the training images in {str(root)!r}, got {strange[0]!r}; remove it."
            )
        found = [
            (path, self.names.index(folder.name))
            for folder in folders
            for path in sorted(folder.iterdir())
            if path.suffix.lower() in _PICTURES
        ]
        if not found:
            raise InputError(f"expected pictures {', '.join(_PICTURES)} in {str(root)!r}/CLASS, got none; add some.")
        self._paths = [path for path, _ in found]
        self.classes = np.array([number for _, number in found])
        self._size = size

    def fetch(self, chosen: Sequence[int]) -> np.ndarray:
        """The pictures of these numbers: (n, size, size, 3), uint8."""
        return np.stack([self._picture(self._paths[i]) for i in chosen])

    def _picture(self, path: Path) -> np.ndarray:
        try:
            with self._open(ordinary_file(path, "a picture")) as image:
                pixels = np.asarray(image.convert("RGB"))
        except Exception as error:  # a damaged picture makes its reader raise almost anything
            raise InputError(f"expected a picture, got {brief(error)} from {str(path)!r}; remove it.") from error
        height, width = pixels.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        nearest = ((np.arange(self._size) + 0.5) * side / self._size).astype(int)  # of each target pixel's centre
        return pixels[top : top + side, left : left + side][nearest][:, nearest]


def _columns(schema: Any) -> list[str]:
    """Names of the columns but for those of a pandas index."""
    index = (schema.pandas_metadata or {}).get("index_columns", ())
    return [name for name in schema.names if name not in index]


def _package(name: str, extra: str) -> Any:
    """A package that only this kind of data needs."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise InputError(
            f"expected the package {package} for these data, which is not installed; run pip install 'freeness[{extra}]'."
        ) from error
