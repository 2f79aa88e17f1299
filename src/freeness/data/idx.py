"""The idx format of the MNIST family: a magic number, the dimensions, then the numbers, all big-endian.

Byte layout: 0, 0, type code, number of dimensions, one unsigned 32-bit integer a dimension, the entries in C order.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from freeness.errors import InputError
from freeness.files import check_unpacked, ordinary_file

_DTYPE_OF_CODE = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODE_OF_DTYPE = {np.dtype(name): code for code, name in _DTYPE_OF_CODE.items()}
_GZIP_MAGIC = b"\x1f\x8b"
_MOST = 1100  # bytes that gzip can make of one
_CHUNK = 1 << 20


def read_idx(path: Path | str) -> Shaped[np.ndarray, "*shape"]:
    """Read an idx file, gzip-compressed or plain (the first bytes tell, not the name).

    Returns:
        The array, in the machine's byte order.

    Raises:
        InputError: the file cannot be read, or is not a complete idx file.
    """
    file = ordinary_file(path, "an idx file")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"expected an idx file at {path}, got {error.strerror}: give the path of a readable file"
        ) from error
    return decode_idx(content, str(path))


def decode_idx(content: bytes, name: str = "idx data") -> Shaped[np.ndarray, "*shape"]:
    """Decode the bytes of an idx file, gzip-compressed or plain; ``name`` is what error messages call it.

    Raises:
        InputError: the bytes are not a complete idx file.

    Example:
        >>> decode_idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9])).tolist()
        [7, 8, 9]
    """
    plain = io.BytesIO(content)
    try:
        return _decoded(gzip.GzipFile(fileobj=plain) if content.startswith(_GZIP_MAGIC) else plain, len(content), name)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"expected {name} to be complete gzip data, got damaged data: fetch the file again") from error


def encode_idx(array: Shaped[np.ndarray, "*shape"]) -> bytes:
    """The bytes of the idx file that holds ``array``; the inverse of :func:`decode_idx`.

    Raises:
        InputError: idx has no code for the dtype, or no way to write the shape.
    """
    code = _CODE_OF_DTYPE.get(array.dtype.newbyteorder(">"))
    if code is None or not 1 <= array.ndim <= 255:
        raise InputError(
            f"expected an array of 1 to 255 dimensions of uint8, int8, int16, int32, float32 or float64, got "
            f"{array.ndim} dimensions of {array.dtype}: convert it first"
        )
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def _decoded(stream: gzip.GzipFile | io.BytesIO, stored: int, name: str) -> np.ndarray:
    """The array of a stream of so many stored bytes; it is unpacked no further than its header says."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPE_OF_CODE:
        raise InputError(
            f"expected {name} to start with the idx magic number (00 00, a type code, the number of dimensions), "
            f"got {magic.hex(' ') or 'an empty file'}: give an idx file, plain or .gz"
        )
    dtype, dimensions = np.dtype(_DTYPE_OF_CODE[magic[2]]), magic[3]
    sizes = stream.read(4 * dimensions)
    if dimensions == 0 or len(sizes) < 4 * dimensions:
        raise InputError(
            f"expected {name} to state at least one dimension in its header, got {dimensions} declared dimensions in "
            f"{4 + len(sizes)} bytes: fetch the file again"
        )
    shape = struct.unpack(f">{dimensions}I", sizes)
    expected = math.prod(shape) * dtype.itemsize
    if isinstance(stream, gzip.GzipFile):
        check_unpacked(math.prod(shape), dtype.itemsize, stored, name)
    data = stream.read(min(expected, _MOST * stored) + 1)
    if len(data) != expected:
        got = len(data) + len(stream.read(_CHUNK))
        raise InputError(
            f"expected {name} to hold {expected} bytes of data for shape {shape}, got {got}: fetch the file again"
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))
