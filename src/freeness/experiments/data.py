"""Labelled images from several kinds of files as one map-style torch data set, streamed by torch's DataLoader."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from freeness.data import ArrayFile, Fetch, Folder, Samples, Scaling, opened, scaled, source_of
from freeness.errors import InputError
from freeness.experiments.cells import DataFacts
from freeness.experiments.specification import DataSpecification

_FACTS = 256  # images from which norm and correlation are read
_CHUNK = 1 << 20


class Images(Dataset):
    """Inputs (B, N₀) in float32 and classes (B,) of the images asked for.

    Args:
        fetch: raw images (B, …) by their indices, uint8 or floating point.
        classes: of every image, (n,), from 0.
        scaling: how an image becomes an input.
        blocks: ranges of images that are read together; shuffling keeps to them.
    """

    def __init__(
        self,
        fetch: Fetch,
        classes: Shaped[np.ndarray, " images"],
        scaling: Scaling,
        blocks: Sequence[range] | None = None,
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
        inputs = scaled(self._fetch(chosen), self._scaling).astype(np.float32)
        return torch.from_numpy(inputs), self.classes[chosen]


def load_images(data: DataSpecification) -> tuple[Images, Images]:
    """Training and test images of a specification; large files stay on the disk.

    Raises:
        InputError: nothing of a known kind is there, or it cannot be read.

    Example:
        >>> train, test = load_images(DataSpecification(limit=300))
        >>> len(train), len(test), train[0][0].shape
        (300, 1000, torch.Size([784]))
    """
    source = source_of(data.source)
    source = replace(source, image_size=data.image_size) if isinstance(source, Folder) else source
    return _images(opened(source, "train"), data, data.limit), _images(opened(source, "test"), data, data.test_limit)


def _images(found: Samples, data: DataSpecification, limit: int | None) -> Images:
    """The first so many; scaled at once where they are in memory."""
    if found.targets is None or found.targets.ndim != 1 or found.targets.dtype.kind != "i":
        got = "none" if found.targets is None else f"{found.targets.dtype} of shape {found.targets.shape}"
        raise InputError(f"expected a class for every image in {data.source!r}, got {got}; a sweep trains on classes.")
    classes = found.targets[:limit]
    if found.blocks:
        blocks = [range(b.start, min(b.stop, len(classes))) for b in found.blocks if b.start < len(classes)]
        return Images(found.fetch, classes, data.scaling, blocks)
    inputs = scaled(found.fetch(range(len(classes))), data.scaling).astype(np.float32)
    return Images(lambda chosen: inputs[chosen], classes, "unit")


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
    """SHA-256 over names and contents of the files of a data set."""
    found = source_of(source)
    if not isinstance(found, ArrayFile | Folder):
        return _contents_digest(opened(found, split) for split in ("train", "test"))
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


def _contents_digest(parts: Iterable[Samples]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(np.ascontiguousarray(part.fetch(range(part.count))).tobytes())
        if part.targets is not None:
            classes = part.targets.dtype.kind == "i"
            total.update(part.targets.astype(np.min_scalar_type(part.targets.max()) if classes else float).tobytes())
    return total.hexdigest()


class BlockShuffle(Sampler[int]):
    """Indices of one epoch: blocks in random order, and the images of each shuffled, so that a file is read block by block."""

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
        images: at least ``batch`` of them, read as they are asked for.
        batch: B, images of a step.
        seed: of the order; the same seed, the same order.

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
    loader = DataLoader(images, batch, sampler=sampler, drop_last=True, collate_fn=lambda batch: batch)
    while True:
        yield from loader


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
