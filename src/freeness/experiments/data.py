"""Labelled images from several kinds of files as one map-style torch data set, streamed by torch's DataLoader."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from freeness.data import load_fashion_mnist, read_idx
from freeness.errors import InputError, brief
from freeness.experiments.cells import DataFacts
from freeness.experiments.folders import ImageFolder, ParquetFile
from freeness.experiments.specification import DataSpecification, Scaling

_FACTS = 256  # images from which norm and correlation are read
_CHUNK = 1 << 20
Fetch = Callable[[Sequence[int]], np.ndarray]


class Images(Dataset):
    """Inputs (B, N₀) in float32 and classes (B,) of the images asked for.

    Args:
        fetch: raw images (B, …) by their indices, uint8 or floating point.
        classes: of every image.
        scaling: how an image becomes an input.
        blocks: ranges of images that are read together; shuffling keeps to them.
    """

    def __init__(
        self, fetch: Fetch, classes: np.ndarray, scaling: Scaling, blocks: Sequence[range] | None = None
    ) -> None:
        self._fetch = fetch
        self._scaling: Scaling = scaling
        self.classes = torch.tensor(classes, dtype=torch.int64)
        self.blocks = blocks or [range(len(classes))]

    def __len__(self) -> int:
        """The number of images."""
        return len(self.classes)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One image."""
        x, y = self.__getitems__([index])
        return x[0], y[0]

    def __getitems__(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """A batch of images at once."""
        chosen = list(indices)
        return torch.from_numpy(scaled(self._fetch(chosen), self._scaling)), self.classes[chosen]


def scaled(images: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Images as inputs, each by itself: float32, shape (n, N₀).

    "unit_norm": x/‖x‖; "standardised": mean 0 and mean square 1 over its pixels; "unit": uint8 divided by 255. An image of one
    grey level is left at 0 by the second, a black one by the first.

    Args:
        images: (n, …), uint8 or floating point.
        scaling: its name.

    Example:
        >>> scaled(np.array([[3, 4]], dtype=np.uint8), "unit_norm").tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    flat = images.reshape(len(images), -1)
    values = flat.astype(np.float64) / 255.0 if flat.dtype == np.uint8 else flat.astype(np.float64)
    if scaling == "unit":
        return values.astype(np.float32)
    if scaling == "standardised":
        values = values - values.mean(axis=1, keepdims=True)
        norm = np.sqrt(np.mean(values**2, axis=1, keepdims=True))
    else:
        norm = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, norm, out=np.zeros_like(values), where=norm > 1e-9).astype(np.float32)


def load_images(data: DataSpecification) -> tuple[Images, Images]:
    """Training and test images of a specification; large files stay on the disk.

    Args:
        data: where from, and how to scale.

    Raises:
        InputError: nothing of a known kind is there, or it cannot be read.

    Example:
        >>> train, test = load_images(DataSpecification(limit=300))
        >>> len(train), len(test), train[0][0].shape
        (300, 1000, torch.Size([784]))
    """
    path = Path(data.source)
    if data.source == "fashion-mnist":
        sets = [load_fashion_mnist("train"), load_fashion_mnist("test")]
        return _limited(data, *(_in_memory(found.images, found.labels, data) for found in sets))
    if path.suffix == ".npz":
        return _limited(data, *_npz(path, data))
    if (path / "train.parquet").exists():
        return _limited(data, *(_parquet(path / f"{split}.parquet", data) for split in ("train", "test")))
    if any(path.glob("*images*idx*")):
        return _limited(data, *(_idx(path, prefix, data) for prefix in ("train", "t10k")))
    if (path / "train").is_dir():
        test = next((path / name for name in ("test", "val") if (path / name).is_dir()), path / "test")
        return _limited(data, *_folders(path / "train", test, data))
    raise InputError(
        f"expected fashion-mnist, a file .npz, or a folder with idx files, with train.parquet and test.parquet, or with class "
        f"folders train/CLASS and test/CLASS, got {data.source!r}; give one of these."
    )


def data_facts(data: DataSpecification, train: Images) -> DataFacts:
    """Sizes, norm, correlation and hash of the data of a sweep.

    Args:
        data: whose files are hashed, unless it states the hash.
        train: its training images; the first 256 give norm and correlation.

    Raises:
        InputError: a file cannot be read.
    """
    x, _ = train.__getitems__(range(min(_FACTS, len(train))))
    norms = x.norm(dim=1)
    mean = (x / norms.clamp(min=1e-12)[:, None]).double().mean(dim=0)
    n = len(x)
    cosine = (float(mean @ mean) * n - 1) / (n - 1) if n > 1 else 1.0
    digest = _digest(data.model_dump_json(exclude={"source", "sha256"}), data.sha256 or files_digest(data.source))
    outputs = int(train.classes.max()) + 1
    return DataFacts(x.shape[1], outputs, float((norms**2).mean()) / x.shape[1], cosine, digest)


@lru_cache(maxsize=4)
def files_digest(source: str) -> str:
    """SHA-256 over names and contents of the files of a data set.

    Args:
        source: as in a specification.

    Raises:
        InputError: a file cannot be read.
    """
    if source == "fashion-mnist":
        parts = (load_fashion_mnist("train"), load_fashion_mnist("test"))
        return hashlib.sha256(b"".join(part.images.tobytes() + part.labels.tobytes() for part in parts)).hexdigest()
    root = Path(source)
    total = hashlib.sha256()
    try:
        for path in [root] if root.is_file() else sorted(p for p in root.rglob("*") if p.is_file()):
            total.update(path.name.encode() if path == root else path.relative_to(root).as_posix().encode())
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    total.update(chunk)
    except OSError as error:
        raise InputError(f"expected readable data, got {error.strerror} at {source!r}; correct the path.") from error
    return total.hexdigest()


class BlockShuffle(Sampler[int]):
    """Indices of one epoch: blocks in random order, and the images of each shuffled, so that a file is read block by block.

    Args:
        blocks: of the data set.
        generator: source of randomness; every epoch draws on.
    """

    def __init__(self, blocks: Sequence[range], generator: torch.Generator) -> None:
        self._blocks, self._generator = blocks, generator

    def __len__(self) -> int:
        """The number of images."""
        return sum(map(len, self._blocks))

    def __iter__(self) -> Iterator[int]:
        """The indices, once each."""
        for place in torch.randperm(len(self._blocks), generator=self._generator).tolist():
            block = self._blocks[place]
            for offset in torch.randperm(len(block), generator=self._generator).tolist():
                yield block[offset]


def batches(images: Images, batch: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end: epoch after epoch in an order that depends on the seed only; an incomplete batch is left out.

    Args:
        images: at least ``batch`` of them.
        batch: B.
        seed: of the order.

    Raises:
        InputError: fewer images than a batch.

    Example:
        >>> inputs, classes = next(batches(load_images(DataSpecification())[0], 4, seed=0))
        >>> inputs.shape, classes.shape
        (torch.Size([4, 784]), torch.Size([4]))
    """
    if batch > len(images):
        raise InputError(
            f"expected at least {batch} training images for a batch, got {len(images)}; take a smaller batch."
        )
    generator = torch.Generator().manual_seed(2**32 + seed)
    sampler = BlockShuffle(images.blocks, generator)
    loader = DataLoader(images, batch, sampler=sampler, drop_last=True, collate_fn=_as_fetched)
    while True:
        yield from loader


def _as_fetched(batch: Any) -> tuple[Tensor, Tensor]:
    return batch


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _in_memory(images: np.ndarray, labels: np.ndarray, data: DataSpecification) -> Images:
    if len(images) != len(labels) or labels.ndim != 1 or len(images) == 0:
        raise InputError(
            f"expected as many labels as images, got {labels.shape} and {images.shape} in {data.source!r}; correct the file."
        )
    inputs = scaled(images, data.scaling)
    return Images(lambda chosen: inputs[chosen], labels, "unit")


def _npz(path: Path, data: DataSpecification) -> tuple[Images, Images]:
    names = ("inputs", "targets", "test_inputs", "test_targets")
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            train_x, train_y, test_x, test_y = (archive[name] for name in names)
    except OSError as error:
        raise InputError(f"expected data in {str(path)!r}, got {error.strerror or error}; correct the path.") from error
    except Exception as error:  # a damaged archive makes its reader raise almost anything
        raise InputError(
            f"expected an archive with {', '.join(names)}, got {brief(error)} from {str(path)!r}; write it by numpy.savez."
        ) from error
    return _in_memory(train_x, train_y, data), _in_memory(test_x, test_y, data)


def _idx(folder: Path, prefix: str, data: DataSpecification) -> Images:
    images, labels = (sorted(folder.glob(f"{prefix}-{kind}*")) for kind in ("images", "labels"))
    if not images or not labels:
        raise InputError(
            f"expected {prefix}-images and {prefix}-labels in {str(folder)!r}, got neither or one; add them."
        )
    return _in_memory(read_idx(images[0]), read_idx(labels[0]), data)


def _parquet(path: Path, data: DataSpecification) -> Images:
    file = ParquetFile(path)
    return Images(file.fetch, file.classes, data.scaling, file.blocks)


def _folders(train: Path, test: Path, data: DataSpecification) -> tuple[Images, Images]:
    first = ImageFolder(train, data.image_size)
    second = ImageFolder(test, data.image_size, first.names)
    return Images(first.fetch, first.classes, data.scaling), Images(second.fetch, second.classes, data.scaling)


def _limited(data: DataSpecification, train: Images, test: Images) -> tuple[Images, Images]:
    for images, limit in ((train, data.limit), (test, data.test_limit)):
        if limit is not None and limit < len(images):
            images.classes = images.classes[:limit]
            images.blocks = [range(b.start, min(b.stop, limit)) for b in images.blocks if b.start < limit]
    return train, test
