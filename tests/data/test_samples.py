"""The same numbers come out of every kind of source, and what is hostile or does not fit is one sentence."""

import random
import tracemalloc
import zipfile

import numpy as np
import pytest

from freeness import InputError
from freeness.data import GaussianSamples, encode_idx, load, load_fashion_mnist, opened, scaled, source_of
from tests.test_files import lying_npy

RNG = np.random.default_rng(3)
X, Y = RNG.standard_normal((7, 2, 3)), np.arange(7) % 3
TEST_X, TEST_Y = RNG.standard_normal((4, 2, 3)), np.arange(4) % 2

FACTORY = """
import numpy as np
import random
x, y = np.load({x!r}), np.arange(7) % 3
def pair():
    np.random.seed(1)
    random.seed(1)
    return x, y
def table():
    return {{"inputs": x, "targets": y}}
def array():
    return x
def batches():
    for start in (0, 3, 6):
        yield x[start : start + 3], y[start : start + 3]
def named():
    return {x!r}
def triples():
    yield x, y, y
def nothing():
    return iter(())
def number():
    return 3
ready = [(x, y)]
"""


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "plain.npz", inputs=X, targets=Y, test_inputs=TEST_X, test_targets=TEST_Y)
    np.savez_compressed(tmp_path / "packed.npz", inputs=X, targets=Y, other=np.array([{}], dtype=object))
    (tmp_path / "mine.py").write_text(FACTORY.format(x=str(tmp_path / "x.npy")))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "labelled"),
    [
        ("x.npy", False),
        ("plain.npz", True),
        ("packed.npz", True),
        ("mine.py:pair", True),
        ("mine.py:table", True),
        ("mine.py:array", False),
        ("mine.py:batches", True),
        ("mine.py:named", False),
    ],
)
def test_arrays_of_every_kind_are_the_same(folder, name, labelled):
    found = load(str(folder / name))
    np.testing.assert_array_equal(found.inputs, X)
    assert found.inputs.dtype == np.float64
    if labelled:
        np.testing.assert_array_equal(found.targets, Y)
        assert found.targets.dtype == np.int64 and found.classes == 3
    else:
        assert found.targets is None and found.classes is None
    assert load(str(folder / name), limit=2).inputs.shape == (2, 2, 3)


def test_a_factory_leaves_the_random_state_as_it_was(folder):
    np.random.seed(99)
    random.seed(99)
    before = np.random.get_state()[1].tolist(), random.getstate()
    load(str(folder / "mine.py:pair"))
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("triples", "batches \\(inputs, targets\\) from .*triples', got tuple"),
        ("nothing", "expected batches from .*nothing', got none"),
        ("number", "expected inputs of shape \\(samples, …\\), got \\(\\)"),
        ("absent", "which defines pair, table, array, batches, named, triples, nothing, number"),
    ],
)
def test_a_factory_of_something_else_is_one_sentence(folder, name, words):
    with pytest.raises(InputError, match=words):
        load(str(folder / f"mine.py:{name}"))


def test_the_other_split_is_the_test_arrays(folder):
    found = load(str(folder / "plain.npz"), "test")
    np.testing.assert_array_equal(found.inputs, TEST_X)
    np.testing.assert_array_equal(found.targets, TEST_Y)
    with pytest.raises(InputError, match=r"expected test_inputs and test_targets in 'packed.npz', got inputs, targets"):
        load(str(folder / "packed.npz"), "test")


def test_images_are_standardised_unless_told_otherwise_and_arrays_left(folder):
    wanted = load_fashion_mnist("test")
    np.testing.assert_array_equal(load("fashion-mnist", "test").inputs, wanted.flattened())
    np.testing.assert_array_equal(load("fashion-mnist", "test", scaling="unit").inputs, wanted.flattened("unit"))
    np.testing.assert_array_equal(load(str(folder / "x.npy"), scaling="unit_norm").inputs, scaled(X, "unit_norm"))
    assert load("fashion-mnist", limit=1).classes == 10


def test_idx_files_are_read_alone_and_in_a_folder(tmp_path):
    images, labels = RNG.integers(0, 256, (5, 4, 4), dtype=np.uint8), np.arange(5, dtype=np.uint8)
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        (tmp_path / f"train-{kind}-ubyte").write_bytes(encode_idx(array))
    alone = load(str(tmp_path / "train-images-idx3-ubyte"))
    np.testing.assert_array_equal(alone.inputs, images)
    together = load(str(tmp_path))
    np.testing.assert_array_equal(together.inputs, scaled(images, "standardised"))
    assert alone.targets.tolist() == together.targets.tolist() == labels.tolist()
    with pytest.raises(InputError, match="t10k-images and t10k-labels"):
        load(str(tmp_path), "test")


def test_gaussian_samples_are_normal_and_the_seed_s():
    first, again, other = (load(GaussianSamples((3, 40), 500, seed)).inputs for seed in (1, 1, 2))
    assert first.shape == (500, 3, 40) and np.array_equal(first, again) and not np.array_equal(first, other)
    error = 5 * np.sqrt(2 / first.size)
    assert abs(first.mean()) < error and abs(first.var() - 1) < error
    with pytest.raises(InputError, match="gaussian:784"):
        load("gaussian")


def test_samples_of_a_file_are_read_where_they_are_taken(tmp_path):
    path = tmp_path / "large.npy"
    np.lib.format.open_memmap(path, "w+", np.float64, (2**17, 2**10))  # 1 GiB, of which nothing is written
    tracemalloc.start()
    found = opened(source_of(str(path)))
    assert found.count == 2**17 and load(str(path), limit=3).inputs.shape == (3, 2**10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


# --- hostile files ------------------------------------------------------------------------------------------------


def bomb(path):
    """544 MiB of zeros in an archive of some."""
    header = lying_npy(path.with_suffix(".npy"), (68 * 2**20,)).read_bytes()[:-8]
    packed = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed as archive, archive.open("inputs.npy", "w") as member:
        member.write(header)
        for _ in range(34):
            member.write(bytes(2**24))


def lying_member(path):
    header = lying_npy(path.with_suffix(".npy"), (2**40,)).read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs.npy", header)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (bomb, "stored bytes that unpack to 570425344"),
        (lying_member, r"bytes of numbers for shape \(1099511627776,\)"),
        (lambda path: np.savez(path, inputs=np.array([{}], dtype=object)), "got Python objects"),
        (lambda path: np.savez(path, images=X), "named inputs and targets"),
    ],
)
def test_hostile_archives_take_no_memory(tmp_path, make, words):
    make(tmp_path / "x.npz")
    tracemalloc.start()
    with pytest.raises(InputError, match=words):
        load(str(tmp_path / "x.npz"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


@pytest.mark.parametrize("name", ["/dev/zero", "x.csv", "nowhere.npy", "nowhere"])
def test_what_is_no_data_is_one_sentence(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("1,2")
    with pytest.raises(InputError, match=r"^expected .*; check the path") as caught:
        load(name)
    assert "\n" not in str(caught.value)
