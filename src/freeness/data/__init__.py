"""Images for the demo, the tests and `--data fashion-mnist`. Imports numpy only, and pooch when it downloads."""

from freeness.data.fashion_mnist import CLASSES, ImageSet, download_fashion_mnist, load_fashion_mnist
from freeness.data.idx import decode_idx, encode_idx, read_idx

__all__ = [
    "CLASSES",
    "ImageSet",
    "decode_idx",
    "download_fashion_mnist",
    "encode_idx",
    "load_fashion_mnist",
    "read_idx",
]
