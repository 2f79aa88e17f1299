"""Data of the command line, of TOML files, of the page and of Python: one :class:`Source`, one :func:`load`. Needs numpy only.

pooch is used to download, pyarrow to read Parquet, Pillow to read pictures.
"""

from freeness.data.array_file import named_arrays, read_arrays, register_reader
from freeness.data.factory import made_by, split_factory
from freeness.data.fashion_mnist import CLASSES, ImageSet, download_fashion_mnist, load_fashion_mnist
from freeness.data.idx import decode_idx, encode_idx, read_idx
from freeness.data.numbers import aims_of as aims_of
from freeness.data.numbers import numbers_of, targets_of
from freeness.data.samples import Fetch as Fetch
from freeness.data.samples import Loaded, Samples, load, opened
from freeness.data.scaling import Scaling, scaled
from freeness.data.source import ArrayFile, Factory, FashionMnist, Folder, GaussianSamples, InMemory, Source, source_of

__all__ = [
    "CLASSES",
    "ArrayFile",
    "Factory",
    "FashionMnist",
    "Folder",
    "GaussianSamples",
    "ImageSet",
    "InMemory",
    "Loaded",
    "Samples",
    "Scaling",
    "Source",
    "decode_idx",
    "download_fashion_mnist",
    "encode_idx",
    "load",
    "load_fashion_mnist",
    "made_by",
    "named_arrays",
    "numbers_of",
    "opened",
    "read_arrays",
    "read_idx",
    "register_reader",
    "scaled",
    "source_of",
    "split_factory",
    "targets_of",
]
