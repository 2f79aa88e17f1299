"""Images that stay on the disk: Parquet files by row group, folders of pictures one by one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from dask.config import set as configured
from torch.utils.data.datapipes.utils.decoder import imagehandler

from freeness.errors import InputError, brief

_PICTURES = (".png", ".jpg", ".jpeg", ".ppm")  # those that torch's decoder knows
_GROUPS = 4  # row groups that are kept


class ParquetFile:
    """A Parquet file of images: a column ``label``, and ``image`` with the numbers of one image a row, or a column a pixel.

    One row group is read at a time, and the last few are kept.

    Args:
        path: of the file.

    Raises:
        InputError: it cannot be read, or has no ``label``.
    """

    def __init__(self, path: Path) -> None:
        from dask.dataframe import read_parquet

        self._name = str(path)
        try:
            self._frame = read_parquet(path, split_row_groups=True)  # pyright: ignore[reportArgumentType]
        except Exception as error:  # a damaged file makes its reader raise almost anything
            raise InputError(
                f"expected a Parquet file, got {brief(error)} from {self._name!r}; write it again."
            ) from error
        if "label" not in self._frame.columns:
            raise InputError(
                f"expected a column label in {self._name!r}, got {list(self._frame.columns)[:6]}; rename it."
            )
        groups = [self._rows(group, "label") for group in range(self._frame.npartitions)]
        self.classes = np.concatenate(groups).astype(np.int64)
        ends = np.cumsum([0, *map(len, groups)])
        self.blocks = [range(int(a), int(b)) for a, b in pairwise(ends)]
        self._starts = ends[:-1]
        self._group = lru_cache(maxsize=_GROUPS)(self._read)

    def fetch(self, chosen: Sequence[int]) -> np.ndarray:
        """The images of these rows.

        Args:
            chosen: row numbers.
        """
        groups = np.searchsorted(self._starts, chosen, side="right") - 1
        return np.stack([self._group(int(g))[i - self._starts[g]] for g, i in zip(groups, chosen, strict=True)])

    def _rows(self, group: int, columns: str | list[str]) -> Any:
        """Those columns of a row group; one group at a time, so that Dask joins none."""
        with configured(scheduler="synchronous"):
            return self._frame.partitions[group][columns].compute()

    def _read(self, group: int) -> np.ndarray:
        pixels = self._rows(group, [name for name in self._frame.columns if name != "label"])
        if list(pixels.columns) != ["image"]:
            return pixels.to_numpy()
        cells = [np.frombuffer(v, np.uint8) if isinstance(v, bytes) else np.asarray(v) for v in pixels["image"]]
        return np.stack(cells)


class ImageFolder:
    """Pictures in one folder a class, decoded as they are asked for, cut to a square and resized.

    Args:
        root: the folder of the class folders.
        size: side of the square.
        names: of the classes, in the order of their numbers; the folders' names, sorted, when left out.

    Raises:
        InputError: no pictures, or a class that is not among the names.
    """

    def __init__(self, root: Path, size: int, names: Sequence[str] | None = None) -> None:
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
        self._size, self._decode = size, imagehandler("rgb8")  # torch's own decoder, which is pillow's

    def fetch(self, chosen: Sequence[int]) -> np.ndarray:
        """The pictures of these numbers: (n, size, size, 3), uint8.

        Args:
            chosen: numbers in the order of the files.
        """
        return np.stack([self._picture(self._paths[i]) for i in chosen])

    def _picture(self, path: Path) -> np.ndarray:
        try:
            pixels = self._decode(path.suffix.lower().lstrip("."), path.read_bytes())
        except Exception as error:  # a damaged picture makes its reader raise almost anything
            raise InputError(f"expected a picture, got {brief(error)} from {str(path)!r}; remove it.") from error
        if pixels is None:
            raise InputError(f"expected a picture that pillow reads, got {str(path)!r}; convert it to PNG.")
        pixels = np.asarray(pixels)
        height, width = pixels.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        nearest = ((np.arange(self._size) + 0.5) * side / self._size).astype(int)  # of each target pixel's centre
        return pixels[top : top + side, left : left + side][nearest][:, nearest]
