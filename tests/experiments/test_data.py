"""Images of every kind of file become the same batches; data shaped like CIFAR-10 and an ImageNet folder is trained on."""

from itertools import pairwise

import matplotlib.image
import numpy as np
import pandas
import pytest
import torch

from freeness.data import encode_idx, load_fashion_mnist, scaled
from freeness.errors import InputError
from freeness.experiments import batches, data_facts, load_images, open_sweep, run_sweep, specification_of
from freeness.experiments.data import BlockShuffle
from freeness.experiments.specification import DataSpecification

RNG = np.random.default_rng(5)
TRAIN, TEST = (RNG.integers(0, 256, (n, 6, 5), dtype=np.uint8) for n in (30, 12))
TRAIN_Y, TEST_Y = np.arange(30) % 4, np.arange(12) % 4


def write_npz(folder):
    np.savez(folder / "d.npz", inputs=TRAIN, targets=TRAIN_Y, test_inputs=TEST, test_targets=TEST_Y)
    return folder / "d.npz"


def write_idx(folder):
    for prefix, x, y in (("train", TRAIN, TRAIN_Y), ("t10k", TEST, TEST_Y)):
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(encode_idx(x))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(encode_idx(y.astype(np.uint8)))
    return folder


def write_parquet(folder):
    for split, x, y in (("train", TRAIN, TRAIN_Y), ("test", TEST, TEST_Y)):
        frame = pandas.DataFrame({"image": list(x.reshape(len(x), -1)), "label": y})
        frame.to_parquet(folder / f"{split}.parquet", row_group_size=7)
    return folder


def write_wide_parquet(folder):
    for split, x, y in (("train", TRAIN, TRAIN_Y), ("test", TEST, TEST_Y)):
        frame = pandas.DataFrame(x.reshape(len(x), -1), columns=[f"pixel{i}" for i in range(30)])
        frame.assign(label=y).to_parquet(folder / f"{split}.parquet", row_group_size=7)
    return folder


def write_pictures(folder, size=32, classes=("cat", "dog", "owl"), count=6, ending="png"):
    rng = np.random.default_rng(1)
    for split in ("train", "val"):
        for shade, name in enumerate(classes):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 60, (size + number, size, 3)) + 60 * shade
                matplotlib.image.imsave(place / f"{number}.{ending}", pixels.astype(np.uint8))
    return folder


@pytest.mark.parametrize("write", [write_npz, write_idx, write_parquet, write_wide_parquet])
def test_every_kind_of_file_gives_the_same_images(tmp_path, write):
    data = DataSpecification(source=str(write(tmp_path)))
    train, test = load_images(data)
    for images, x, y in ((train, TRAIN, TRAIN_Y), (test, TEST, TEST_Y)):
        inputs, classes = images.__getitems__(range(len(images)))
        np.testing.assert_array_equal(inputs.numpy(), scaled(x, "unit_norm").astype(np.float32))
        np.testing.assert_array_equal(classes.numpy(), y)
        assert inputs.dtype == torch.float32 and classes.dtype == torch.int64
    facts = data_facts(data, train)
    assert (facts.inputs, facts.outputs) == (30, 4)
    assert facts.qhat0 == pytest.approx(1 / 30)


def test_the_bundled_images_are_the_default():
    train, test = load_images(DataSpecification(limit=100, test_limit=10))
    assert (len(train), len(test)) == (100, 10)
    x, y = train[3]
    wanted = load_fashion_mnist("train")
    np.testing.assert_allclose(x, scaled(wanted.images[3:4], "unit_norm")[0])
    assert int(y) == wanted.labels[3]


def test_scalings_are_what_they_say():
    unit, standard, plain = (scaled(TRAIN, name) for name in ("unit_norm", "standardised", "unit"))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(standard.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose((standard**2).mean(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(plain, TRAIN.reshape(30, -1) / 255, rtol=1e-6)
    assert not scaled(np.zeros((1, 4), np.uint8), "unit_norm").any()


def test_facts_are_those_of_the_images():
    data = DataSpecification()
    train, _ = load_images(data)
    facts = data_facts(data, train)
    x = train.__getitems__(range(256))[0].double()
    cosines = x @ x.T
    assert facts.correlation == pytest.approx(float(cosines[~torch.eye(256, dtype=bool)].mean()), rel=1e-5)


def test_an_epoch_has_every_image_once_and_the_order_is_the_seed_s(tmp_path):
    train, _ = load_images(DataSpecification(source=str(write_npz(tmp_path))))
    first, again, other = ([next(s)[1].tolist() for _ in range(6)] for s in (batches(train, 5, k) for k in (1, 1, 2)))
    assert first == again != other
    assert sorted(label for batch in first for label in batch) == sorted(TRAIN_Y.tolist())


def test_blocks_are_read_one_after_the_other():
    blocks = [range(0, 4), range(4, 6), range(6, 11)]
    order = list(BlockShuffle(blocks, torch.Generator().manual_seed(0)))
    assert sorted(order) == list(range(11))
    block_of = [next(k for k, block in enumerate(blocks) if i in block) for i in order]
    assert sum(a != b for a, b in pairwise(block_of)) == 2


def test_parquet_is_read_by_row_group(tmp_path):
    train, _ = load_images(DataSpecification(source=str(write_parquet(tmp_path))))
    assert [len(block) for block in train.blocks] == [7, 7, 7, 7, 2]


def swept(folder, source, **data):
    sweep = specification_of(
        {
            "name": "made",
            "depths": [3],
            "designs": [{"name": "a", "width": 16}],
            "rates": {"values": [0.25]},
            "seeds": [0],
            "steps": 30,
            "batch": 4,
            "data": {"source": str(source), **data},
        }
    )
    assert run_sweep(sweep, folder / "store.sqlite").computed == 1
    return float(open_sweep(folder / "store.sqlite")["accuracy"].isel(step=-1).squeeze())


def test_data_shaped_like_cifar_is_trained_on_from_parquet(tmp_path):
    rng = np.random.default_rng(2)
    for split, count in (("train", 60), ("test", 20)):
        y = np.arange(count) % 10
        x = rng.integers(0, 40, (count, 32 * 32 * 3)) + 20 * y[:, None]
        pandas.DataFrame({"image": list(x.astype(np.uint8)), "label": y}).to_parquet(tmp_path / f"{split}.parquet")
    assert 0 <= swept(tmp_path, tmp_path) <= 1


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_folder_shaped_like_imagenet_is_trained_on(tmp_path, ending):
    folder = write_pictures(tmp_path / "images", size=40, ending=ending)
    assert 0 <= swept(tmp_path, folder, image_size=24) <= 1
    train, test = load_images(DataSpecification(source=str(folder), image_size=24))
    assert len(train) == len(test) == 18 and train[0][0].shape == (24 * 24 * 3,)
    assert train.classes.tolist() == [0] * 6 + [1] * 6 + [2] * 6


def test_pictures_are_cut_to_the_middle_square(tmp_path):
    folder = tmp_path / "train" / "a"
    folder.mkdir(parents=True)
    (tmp_path / "test" / "a").mkdir(parents=True)
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 2:6, 0] = np.arange(4) * 10 + 5
    for place in (folder, tmp_path / "test" / "a"):
        matplotlib.image.imsave(place / "x.png", pixels)
    train, _ = load_images(DataSpecification(source=str(tmp_path), image_size=4, scaling="unit"))
    found = (train[0][0].reshape(4, 4, 3) * 255).round().numpy()
    np.testing.assert_array_equal(found, pixels[:, 2:6])


def damage(path, content=b"damaged"):
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: p / "none", "expected data as fashion-mnist, gaussian, a file .* which does not exist"),
        (lambda p: p / "none.npz", "which does not exist"),
        (lambda p: damage(p / "d.npz") or p / "d.npz", "expected a readable .npz file"),
        (lambda p: np.savez(p / "d.npz", inputs=TRAIN) or p / "d.npz", "a class for every image in .* got none"),
        (lambda p: damage(p / "train.parquet") or p, "expected a Parquet file"),
        (lambda p: (write_parquet(p) and (p / "test.parquet").unlink()) or p, "expected a Parquet file"),
        (lambda p: (write_idx(p) and (p / "train-labels-idx1-ubyte").unlink()) or p, "expected train-images and"),
        (lambda p: (p / "train").mkdir() or p, "expected pictures"),
        (lambda p: (write_pictures(p) and damage(p / "train" / "cat" / "0.png")) or p, "expected a picture"),
        (lambda p: (write_pictures(p) and (p / "val" / "bee").mkdir()) or p, "expected classes of the training images"),
    ],
)
def test_a_fault_is_one_sentence(tmp_path, make, message):
    with pytest.raises(InputError, match=message) as error:
        train, _ = load_images(DataSpecification(source=str(make(tmp_path))))
        train.__getitems__(range(len(train)))
    assert "\n" not in str(error.value)


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    train, _ = load_images(DataSpecification(source=str(write_npz(tmp_path))))
    with pytest.raises(InputError, match="at least 31 training images"):
        next(batches(train, 31, 0))


def test_other_data_at_the_same_place_is_refused_by_the_worker(tmp_path):
    from freeness.experiments import Cell, perform
    from freeness.experiments.tasks import Task

    cell = Cell(
        depth=2, width=3, inputs=30, outputs=4, activation="tanh", rate=0.1, seed=0, steps=1, evaluate=(1,), data="x"
    )
    with pytest.raises(InputError, match="expected the data that this sweep was made for"):
        perform(Task((cell,), DataSpecification(source=str(write_npz(tmp_path)))))
