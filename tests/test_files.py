"""Files that lie about their size, devices, folders: one sentence, and no memory taken."""

import tracemalloc

import numpy as np
import pytest

from freeness import InputError
from freeness.expressions.grammar import parse_law
from freeness.files import check_unpacked, mapped_array, ordinary_file, read_text, read_toml


def lying_npy(path, shape, dtype="<f8"):
    """A header that promises numbers of that shape, and eight bytes."""
    header = str({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8)
    return path


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/nowhere/x", ".", "x" * 5000, "a\0b"])
def test_what_is_no_ordinary_file_is_refused_at_once(path):
    for reader in (ordinary_file, read_text):
        with pytest.raises(InputError, match="expected a poem, got") as caught:
            reader(path, "a poem")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(2**40,), (2**62, 2**62), (3, -1), (-2, -2), (2,)])
def test_a_header_that_promises_more_than_the_file_has_takes_no_memory(tmp_path, shape):
    path = lying_npy(tmp_path / "x.npy", shape)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"bytes of numbers for shape .* in 'x.npy', got 8; write the file again"):
        mapped_array(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    with pytest.raises(InputError, match="got 8; write the file again"):
        parse_law(f"empirical:{path}")


def test_an_expression_reads_no_device():
    with pytest.raises(InputError, match="'/dev/zero', which is no ordinary file"):
        parse_law("empirical:/dev/zero")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "u1", "<c16"])
def test_an_honest_file_is_what_numpy_reads(tmp_path, order, dtype):
    array = np.asarray(np.random.default_rng(0).integers(0, 9, (3, 4, 2)), dtype=dtype, order=order)
    np.save(tmp_path / "x.npy", array)
    found = mapped_array(tmp_path / "x.npy")
    np.testing.assert_array_equal(found, np.load(tmp_path / "x.npy"))
    assert found.dtype == array.dtype


def test_objects_and_named_fields_are_refused(tmp_path):
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="got Python objects"):
        mapped_array(tmp_path / "o.npy")


def test_small_files_may_unpack_to_much_and_large_ones_to_fifty_times_their_size():
    check_unpacked(2**26, 1, 1, "x")  # 512 MiB of float64
    check_unpacked(50 * 2**27, 1, 2**27, "x")
    with pytest.raises(InputError, match="unpack to"):
        check_unpacked(2**26 + 1, 1, 1, "x")
    with pytest.raises(InputError, match="unpack to"):
        check_unpacked(51 * 2**27, 1, 2**27, "x")


def test_text_has_a_limit_and_an_encoding(tmp_path):
    (tmp_path / "t").write_bytes("σ".encode())
    assert read_text(tmp_path / "t", "text") == "σ"
    with pytest.raises(InputError, match="of at most 1 bytes, got 2"):
        read_text(tmp_path / "t", "text", 1)
    (tmp_path / "b").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match="it is not text"):
        read_text(tmp_path / "b", "text")


@pytest.mark.parametrize(
    "text", [r'a = ["\u0000"]', r'[a]\n"\u0000" = 1', "a = " + "9" * 5000, "a = ", "a.b.c." * 400 + "d = 1"]
)
def test_toml_with_null_characters_endless_numbers_or_endless_depth_is_refused(tmp_path, text):
    path = tmp_path / "x.toml"
    path.write_text(text.replace(r"\n", "\n"), encoding="utf-8")
    with pytest.raises(InputError, match=r"expected a poem, got (a|lists or tables too deep)"):
        read_toml(path, "a poem")


def test_a_file_that_is_not_there_is_told_once(tmp_path):
    with pytest.raises(InputError, match="does not exist") as told:
        read_toml(tmp_path / "none.toml", "a poem")
    assert str(told.value).count("expected") == 1
