"""Fashion-MNIST: a bundled class-balanced subset, the official files from a directory, and their download.

Xiao, Rasul, Vollgraf 2017 (arXiv 1708.07747), MIT licence, Zalando SE: bundled/LICENSE. The subset is made by
scripts/bundle_fashion_mnist.py from the files of the npm package fashion-mnist 1.1.0, whose pixel values differ
slightly from the official ones (mean 0.28611 there, 0.28604 in the official files).
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pooch says no types.

from __future__ import annotations

import hashlib
import importlib.resources
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped

from freeness.data.idx import decode_idx, read_idx
from freeness.data.scaling import Scaling, scaled
from freeness.errors import FreenessError, InputError

Split = Literal["train", "test"]

CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_STEM_OF_SPLIT = {"train": "train", "test": "t10k"}
_BUNDLE = importlib.resources.files("freeness.data") / "bundled"
_MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# Of the official files, as tensorflow/datasets lists them (torchvision lists the MD5 of the same files).
_OFFICIAL_SHA256 = {
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled grey images.

    Attributes:
        images: uint8, shape (n, 28, 28).
        labels: uint8, shape (n,), indices into ``CLASSES``.
        source: where they come from, in words.
    """

    images: Shaped[np.ndarray, "images 28 28"]
    labels: Shaped[np.ndarray, " images"]
    source: str

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def flattened(self, scaling: Scaling = "standardised") -> Float[np.ndarray, "images 784"]:
        """The images as network inputs: float64, shape (n, 784), see :func:`~freeness.data.scaled`.

        Raises:
            InputError: unknown scaling, or an image of one grey level, which cannot be standardised.
        """
        if scaling == "standardised":
            rows = self.images.reshape(len(self.images), -1)
            constant = np.flatnonzero((rows == rows[:, :1]).all(axis=1))
            if constant.size:
                raise InputError(
                    f"expected images with more than one grey level, got a constant image at index {constant[0]}: "
                    f'leave it out or pass scaling="unit"'
                )
        return scaled(self.images, scaling)


def load_fashion_mnist(split: Split = "train", directory: Path | str | None = None) -> ImageSet:
    """Load Fashion-MNIST images.

    Args:
        split: "train" or "test".
        directory: a folder with the official file names, .gz or plain (for instance from
            :func:`download_fashion_mnist`); None is the bundled subset of 2,000 train and 1,000 test images, as many
            of each class, whose SHA-256 is verified.

    Raises:
        InputError: unknown split, or files that are missing, damaged or not Fashion-MNIST's shape.
        FreenessError: the bundled files are not those that were shipped.

    Example:
        >>> load_fashion_mnist("test").flattened().shape
        (1000, 784)
    """
    if split not in _STEM_OF_SPLIT:
        raise InputError(f'expected split "train" or "test", got {split!r}: pass one of the two')
    names = [f"{_STEM_OF_SPLIT[split]}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
    if directory is None:
        images, labels = (decode_idx(_bundled_bytes(f"{name}.gz"), f"bundled {name}.gz") for name in names)
        return _checked(images, labels, f"bundled Fashion-MNIST subset ({split})")
    images, labels = (read_idx(_existing(Path(directory), name)) for name in names)
    return _checked(images, labels, f"Fashion-MNIST ({split}) from {directory}")


def download_fashion_mnist(cache: Path | str | None = None) -> Path:
    """Download the four official files (31 MB) into ``cache`` and verify their SHA-256; files already there are kept.

    Args:
        cache: a folder; the user's cache for freeness when left out.

    Returns:
        The folder, to be given to :func:`load_fashion_mnist` as ``directory``.

    Raises:
        FreenessError: pooch is not installed, the mirror is out of reach, or a file has the wrong hash.
    """
    try:
        import pooch  # an extra: only this function needs it
    except ImportError as error:
        raise FreenessError(
            "expected the package pooch for downloading, got none: run pip install 'freeness[data]'"
        ) from error
    folder = Path(pooch.os_cache("freeness")) / "fashion-mnist" if cache is None else Path(cache)
    registry = {name: f"sha256:{digest}" for name, digest in _OFFICIAL_SHA256.items()}
    fetcher = pooch.create(path=folder, base_url=_MIRROR, registry=registry)
    for name in registry:
        try:
            fetcher.fetch(name)
        except OSError as error:  # requests' errors are OSErrors too
            raise FreenessError(
                f"expected to fetch {_MIRROR}{name} into {folder}, got {type(error).__name__}: go online and check "
                f"that the folder is writable, or leave the directory out to use the bundled subset"
            ) from error
        except ValueError as error:  # pooch's word for a hash that differs; it has deleted the file
            raise FreenessError(
                f"expected {name} with the official SHA-256, got other bytes: try again on another connection"
            ) from error
    return folder


def _bundled_bytes(name: str) -> bytes:
    """A bundled file, its SHA-256 verified against bundled/SHA256SUMS."""
    sums = (_BUNDLE / "SHA256SUMS").read_text(encoding="ascii")
    expected = {file: digest for digest, file in (line.split("  ") for line in sums.splitlines())}[name]
    content = (_BUNDLE / name).read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise FreenessError(f"expected the bundled {name} as shipped, got other bytes: reinstall freeness")
    return content


def _existing(directory: Path, name: str) -> Path:
    """The file of that official name, compressed or plain."""
    for path in (directory / f"{name}.gz", directory / name):
        if path.is_file():
            return path
    raise InputError(
        f"expected {name}.gz or {name} in {directory}, got neither: give the folder that holds the four official files"
    )


def _checked(images: np.ndarray, labels: np.ndarray, source: str) -> ImageSet:
    """The two arrays as an ImageSet, if they have Fashion-MNIST's dtype, shape and labels."""
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise InputError(
            f"expected uint8 images of shape (n, 28, 28) in {source}, got {images.dtype} of shape {images.shape}: "
            f"give Fashion-MNIST's files"
        )
    if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
        raise InputError(
            f"expected {len(images)} uint8 labels in {source}, got {labels.dtype} of shape {labels.shape}: "
            f"give the label file that belongs to the images"
        )
    if labels.size and labels.max() >= len(CLASSES):
        raise InputError(
            f"expected labels 0 to {len(CLASSES) - 1} in {source}, got {labels.max()}: give Fashion-MNIST's files"
        )
    return ImageSet(images, labels, source)
