import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from freeness.data import decode_idx, encode_idx, read_idx
from freeness.errors import FreenessError, InputError

# Written by hand from the format's description: 0, 0, type, dimensions, big-endian sizes, big-endian entries.
BYTES_2X3 = bytes.fromhex("00 00 08 02  00000002 00000003  01 02 03 04 05 ff")
SHORTS_2 = bytes.fromhex("00 00 0b 01  00000002  0102 fffe")
FLOATS_1 = bytes.fromhex("00 00 0d 01  00000001  3fc00000")
DOUBLES_1 = bytes.fromhex("00 00 0e 01  00000001  c004000000000000")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BYTES_2X3, np.array([[1, 2, 3], [4, 5, 255]], np.uint8)),
        (bytes.fromhex("00 00 09 01 00000002 7f ff"), np.array([127, -1], np.int8)),
        (SHORTS_2, np.array([258, -2], np.int16)),
        (bytes.fromhex("00 00 0c 01 00000001 00010002"), np.array([65538], np.int32)),
        (FLOATS_1, np.array([1.5], np.float32)),
        (DOUBLES_1, np.array([-2.5], np.float64)),
        (bytes.fromhex("00 00 08 01 00000000"), np.array([], np.uint8)),
    ],
)
def test_hand_written_bytes_and_arrays_are_the_same(content, expected):
    array = decode_idx(content)
    assert array.dtype == expected.dtype
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, expected)
    assert encode_idx(expected) == content


@given(
    hnp.arrays(
        st.sampled_from([np.dtype(name) for name in ("u1", "i1", "<i2", ">i4", "<f4", ">f8")]),
        hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5),
    )
)
def test_decoding_undoes_encoding(array):
    decoded = decode_idx(encode_idx(array))
    assert decoded.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(decoded, array)


def test_gzip_and_plain_files_read_the_same_whatever_their_name(tmp_path):
    (tmp_path / "plain.gz").write_bytes(BYTES_2X3)
    (tmp_path / "compressed").write_bytes(gzip.compress(BYTES_2X3))
    np.testing.assert_array_equal(read_idx(tmp_path / "plain.gz"), read_idx(tmp_path / "compressed"))


def test_decoded_array_is_writable():
    decoded = decode_idx(BYTES_2X3)
    decoded[0, 0] = 9
    assert decoded[0, 0] == 9


@pytest.mark.parametrize(
    ("content", "got"),
    [
        pytest.param(b"", "the empty file", id="empty"),
        pytest.param(b"\0\0\x08", "00 00 08", id="half a magic number"),
        pytest.param(b"PNG!" + BYTES_2X3, "50 4e 47 21", id="another format"),
        pytest.param(b"\0\0\x0a" + BYTES_2X3[3:], "00 00 0a 02", id="unknown type code"),
        pytest.param(BYTES_2X3[:9], "2 declared dimensions in 9 bytes", id="truncated header"),
        pytest.param(b"\0\0\x08\0", "0 declared dimensions", id="no dimension"),
        pytest.param(BYTES_2X3[:-1], r"6 bytes of data for shape \(2, 3\), got 5", id="truncated data"),
        pytest.param(BYTES_2X3 + b"\0", r"6 bytes of data for shape \(2, 3\), got 7", id="surplus data"),
        pytest.param(b"\0\0\x08\x03" + b"\xff" * 12, "got 0", id="absurd count allocates nothing"),
        pytest.param(gzip.compress(BYTES_2X3)[:-4], "damaged data", id="truncated gzip"),
        pytest.param(b"\x1f\x8b" + b"x" * 20, "damaged data", id="not gzip after all"),
    ],
)
def test_damaged_content_is_refused_in_one_sentence(tmp_path, content, got):
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=got) as caught:
        read_idx(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.startswith("expected ")


def test_flipped_bit_in_gzip_is_noticed():
    compressed = bytearray(gzip.compress(BYTES_2X3, mtime=0))
    compressed[-8] ^= 1  # the checksum
    with pytest.raises(InputError, match="damaged"):
        decode_idx(bytes(compressed))


@pytest.mark.parametrize("name", ["missing.gz", "."])
def test_unreadable_path_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="expected an idx file, got"):
        read_idx(tmp_path / name)


@pytest.mark.parametrize("array", [np.zeros(3, np.uint32), np.zeros(3, complex), np.array(1, np.uint8)])
def test_arrays_without_idx_form_are_refused(array):
    with pytest.raises(InputError, match="convert it first"):
        encode_idx(array)


def test_input_errors_are_value_errors_of_freeness():
    assert issubclass(InputError, FreenessError)
    assert issubclass(InputError, ValueError)
