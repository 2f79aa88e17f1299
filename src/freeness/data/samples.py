"""What a source holds: samples that are fetched as they are asked for, or all of them as arrays."""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# What a factory gives may be anything.

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from freeness.data.array_file import named_arrays, read_arrays
from freeness.data.factory import made_by
from freeness.data.fashion_mnist import Split, download_fashion_mnist, load_fashion_mnist
from freeness.data.folders import ImageFolder, ParquetFile
from freeness.data.idx import read_idx
from freeness.data.numbers import numbers_of, targets_of
from freeness.data.scaling import Scaling, scaled
from freeness.data.source import (
    FORMS,
    ArrayFile,
    Factory,
    FashionMnist,
    Folder,
    GaussianSamples,
    InMemory,
    Source,
    source_of,
)
from freeness.errors import InputError

Fetch = Callable[[Sequence[int]], np.ndarray]
_BATCHES = 8  # of a loader that are taken at most


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of one split.

    Attributes:
        fetch: the samples of these numbers, (n, …) as they are stored.
        count: how many there are.
        targets: of all samples, int64 or float64; None where there are none.
        described: where they come from, in words.
        pictures: whether they are images, which are scaled before they are inputs.
        blocks: ranges of samples that lie together on the disk; () where all are in memory.
    """

    fetch: Fetch
    count: int
    targets: Shaped[np.ndarray, " samples *target"] | None
    described: str
    pictures: bool = False
    blocks: tuple[range, ...] = ()


@dataclass(frozen=True, eq=False)
class Loaded:
    """Samples as arrays.

    Attributes:
        inputs: (n, …), float64.
        targets: (n, …), int64 (classes) or float64; None where there are none.
        described: where they come from, in words.
        classes: how many there are in the whole split; None where the targets are no classes.
    """

    inputs: Float[np.ndarray, " samples *shape"]
    targets: Shaped[np.ndarray, " samples *target"] | None
    described: str
    classes: int | None = None


def load(source: object, split: Split = "train", *, scaling: Scaling | None = None, limit: int | None = None) -> Loaded:
    """The samples of a source as arrays.

    Args:
        source: a source, or what :func:`~freeness.data.source_of` takes.
        split: "train" or "test".
        scaling: how samples become inputs; when left out, images are standardised and arrays stay as they are.
        limit: the first so many samples.

    Returns:
        Images are flat, those of three colours (n, 3, side, side); arrays have their own shape.

    Raises:
        InputError: nothing of a known kind is there, it cannot be read, or it holds something else than finite real numbers.

    Example:
        >>> found = load("fashion-mnist", limit=5)
        >>> found.inputs.shape, found.targets.tolist(), found.classes
        ((5, 784), [8, 1, 2, 7, 7], 10)
        >>> load((np.ones((3, 2)), np.array([0.5, 1, 2])), limit=2).targets.tolist()
        [0.5, 1.0]
    """
    found = opened(source_of(source), split)
    kept = range(found.count if limit is None else min(limit, found.count))
    raw = found.fetch(kept)
    if scaling is None and not found.pictures:
        inputs = numbers_of(raw, "inputs", found.described).astype(np.float64)
    else:
        inputs = scaled(raw, scaling or "standardised")
        if found.pictures and raw.ndim == 4 and raw.shape[-1] == 3:
            inputs = np.ascontiguousarray(np.moveaxis(inputs.reshape(raw.shape), -1, 1))
    targets = found.targets
    if targets is None:
        return Loaded(inputs, None, found.described)
    classes = int(targets.max()) + 1 if targets.ndim == 1 and targets.dtype.kind == "i" else None
    return Loaded(inputs, targets[: len(kept)], found.described, classes)


@singledispatch
def opened(source: Source, split: Split = "train") -> Samples:
    """The samples of a source; large files stay on the disk until samples are fetched.

    Register another class of sources here.

    Args:
        source: where they come from.
        split: "train" or "test".

    Raises:
        InputError: nothing of a known kind is there, or it cannot be read.

    Example:
        >>> found = opened(source_of("fashion-mnist"), "test")
        >>> found.count, found.fetch([0, 7]).shape
        (1000, (2, 28, 28))
    """
    raise InputError(f"expected data as {FORMS}, got {type(source).__name__}; give one of these.")


@opened.register
def _fashion(source: FashionMnist, split: Split = "train") -> Samples:
    folder = download_fashion_mnist() if source.download else source.directory or None
    images = load_fashion_mnist(split, folder)
    return _resident(images.images, images.labels.astype(np.int64), images.source, pictures=True)


@opened.register
def _gaussian(source: GaussianSamples, split: Split = "train") -> Samples:
    if not source.shape:
        raise InputError(
            "expected the shape of Gaussian samples, got none; write it as in gaussian:784 or gaussian:3x32x32."
        )
    generator = np.random.default_rng([source.seed, split == "test"])
    return _resident(
        generator.standard_normal((source.count, *source.shape)), None, f"{source.count} standard Gaussian samples"
    )


@opened.register
def _array_file(source: ArrayFile, split: Split = "train") -> Samples:
    return _named(read_arrays(source.path), split, Path(source.path).name)


@opened.register
def _in_memory(source: InMemory, split: Split = "train") -> Samples:
    return _named(source.arrays, split, source.name)


@opened.register
def _factory(source: Factory, split: Split = "train") -> Samples:
    numpys, pythons = np.random.get_state(), random.getstate()  # which the user's code may move
    try:
        made = made_by(source.text, "data")
        if isinstance(made, str | Path | Source):
            return opened(source_of(made), split)
        return _named(_arrays_of(made, source.text), split, f"{Path(source.file).name}:{source.name}")
    finally:
        np.random.set_state(numpys)
        random.setstate(pythons)


@opened.register
def _folder(source: Folder, split: Split = "train") -> Samples:
    folder = Path(source.path)
    if not folder.is_dir():
        wanted = "a file ending in .npy, .npz or .pt" if folder.is_file() else f"data as {FORMS}"
        lacks = "" if folder.is_file() else ", which does not exist"
        raise InputError(f"expected {wanted}, got {source.path!r}{lacks}; check the path.")
    if (folder / "train.parquet").exists():
        file = ParquetFile(folder / f"{split}.parquet")
        return Samples(file.fetch, len(file.classes), file.classes, source.path, True, tuple(file.blocks))
    if any(folder.glob("*images*idx*")):
        return _idx_files(folder, "train" if split == "train" else "t10k")
    if (folder / "train").is_dir():
        return _class_folders(source, split)
    raise InputError(
        f"expected idx files, train.parquet and test.parquet, or class folders train/CLASS and test/CLASS in {source.path!r}, "
        "got none of these; check the path."
    )


def _idx_files(folder: Path, prefix: str) -> Samples:
    images, labels = (sorted(folder.glob(f"{prefix}-{kind}*")) for kind in ("images", "labels"))
    if not images or not labels:
        raise InputError(
            f"expected {prefix}-images and {prefix}-labels in {str(folder)!r}, got neither or one; add them."
        )
    inputs = read_idx(images[0])
    return _resident(inputs, targets_of(read_idx(labels[0]), len(inputs), labels[0].name), str(folder), pictures=True)


def _class_folders(source: Folder, split: Split) -> Samples:
    folder = Path(source.path)
    found = ImageFolder(folder / "train", source.image_size)
    if split == "test":
        test = next((folder / name for name in ("test", "val") if (folder / name).is_dir()), folder / "test")
        found = ImageFolder(test, source.image_size, found.names)
    count = len(found.classes)
    return Samples(found.fetch, count, found.classes, source.path, True, (range(count),))


def _named(found: Mapping[str, object], split: Split, name: str) -> Samples:
    """Of the arrays of an archive, checked; inputs are looked at where they are taken."""
    prefix = "" if split == "train" else "test_"
    named_arrays(found, name)  # refuses what has no inputs
    if f"{prefix}inputs" not in found:
        raise InputError(
            f"expected test_inputs and test_targets in {name!r}, got {', '.join(map(str, list(found)[:8]))}; add them."
        )
    inputs = numbers_of(found[f"{prefix}inputs"], f"{prefix}inputs", name, finite=False)
    if inputs.ndim < 2:
        raise InputError(
            f"expected inputs of shape (samples, …), got {inputs.shape} in {name!r}; add a leading dimension."
        )
    targets = found.get(f"{prefix}targets")
    return _resident(inputs, None if targets is None else targets_of(targets, len(inputs), name), name)


def _resident(inputs: np.ndarray, targets: np.ndarray | None, described: str, *, pictures: bool = False) -> Samples:
    def fetch(chosen: Sequence[int]) -> np.ndarray:
        if isinstance(chosen, range) and chosen.step == 1:
            return inputs[chosen.start : chosen.stop]
        return inputs[list(chosen)]

    return Samples(fetch, len(inputs), targets, described, pictures)


def _arrays_of(made: object, spec: str) -> Mapping[str, object]:
    """What a factory gives as arrays: inputs, (inputs, targets), a table with these names, or batches of pairs."""
    if (
        isinstance(made, Mapping)
        or (isinstance(made, tuple | list) and len(made) == 2)
        or not isinstance(made, Iterable)
    ):
        known = source_of(made)
    elif isinstance(made, np.ndarray):
        known = InMemory({"inputs": made})
    else:
        known = InMemory(_first_batches(made, spec))
    assert isinstance(known, InMemory)
    return known.arrays


def _first_batches(loader: Iterable[object], spec: str) -> Mapping[str, object]:
    pairs = []
    for batch, _ in zip(loader, range(_BATCHES), strict=False):
        if not (isinstance(batch, tuple | list) and len(batch) == 2):
            raise InputError(
                f"expected batches (inputs, targets) from {spec!r}, got {type(batch).__name__}; give pairs of arrays here."
            )
        pairs.append([np.asarray(part) for part in batch])
    if not pairs:
        raise InputError(f"expected batches from {spec!r}, got none; let it give some.")
    return {
        name: np.concatenate(parts) for name, parts in zip(("inputs", "targets"), zip(*pairs, strict=True), strict=True)
    }
