import functools
import gzip
import hashlib
import http.server
import shutil
import sys
import threading

import numpy as np
import pytest

from freeness.data import CLASSES, ImageSet, download_fashion_mnist, encode_idx, fashion_mnist, load, load_fashion_mnist
from freeness.errors import FreenessError, InputError

SIZES = {"train": 2000, "test": 1000}


@pytest.mark.parametrize("split", SIZES)
def test_bundled_subset_is_balanced_and_without_repetition(split):
    data = load_fashion_mnist(split)
    assert data.images.shape == (SIZES[split], 28, 28)
    assert data.images.dtype == data.labels.dtype == np.uint8
    assert np.bincount(data.labels).tolist() == [SIZES[split] // len(CLASSES)] * len(CLASSES)
    assert len(np.unique(data.flattened("unit"), axis=0)) == len(data) == SIZES[split]
    assert "bundled" in data.source


def test_bundled_splits_share_no_image():
    train, test = ({image.tobytes() for image in load_fashion_mnist(split).images} for split in SIZES)
    assert not train & test


@pytest.mark.parametrize("split", SIZES)
def test_bundled_images_are_found_in_the_source_with_their_labels(split, shared_fashion_mnist):
    full, bundled = load_fashion_mnist(split, directory=shared_fashion_mnist), load_fashion_mnist(split)
    source = {(image.tobytes(), label) for image, label in zip(full.images, full.labels, strict=True)}
    assert all((image.tobytes(), label) in source for image, label in zip(bundled.images, bundled.labels, strict=True))


def test_bundle_is_small_and_carries_licence_and_checksums():
    files = {path.name: path.read_bytes() for path in fashion_mnist._BUNDLE.iterdir()}
    assert sum(map(len, files.values())) < 3e6
    assert "2017 Zalando SE" in files["LICENSE"].decode()
    sums = {line.split()[1]: line.split()[0] for line in files["SHA256SUMS"].decode().splitlines()}
    assert set(files) == {"LICENSE", "SHA256SUMS", *sums}
    assert set(sums) == set(fashion_mnist._OFFICIAL_SHA256)
    assert all(hashlib.sha256(files[name]).hexdigest() == digest for name, digest in sums.items())


def test_changed_bundle_is_refused(tmp_path, monkeypatch):
    shutil.copytree(str(fashion_mnist._BUNDLE), tmp_path / "bundle")
    monkeypatch.setattr(fashion_mnist, "_BUNDLE", tmp_path / "bundle")
    load_fashion_mnist("test")
    labels = gzip.compress(encode_idx(np.zeros(1000, np.uint8)))
    (tmp_path / "bundle" / "t10k-labels-idx1-ubyte.gz").write_bytes(labels)
    with pytest.raises(FreenessError, match="reinstall"):
        load_fashion_mnist("test")


def test_standardised_images_have_unit_qhat_and_mean_zero():
    data = load_fashion_mnist("test")
    inputs = data.flattened()
    assert inputs.dtype == np.float64
    assert inputs.shape == (1000, 784)
    np.testing.assert_allclose(inputs.mean(axis=1), 0, atol=1e-13)
    np.testing.assert_allclose(np.mean(inputs**2, axis=1), 1, rtol=1e-13)
    # Still the same picture: each row is an increasing affine function of the pixels.
    assert np.corrcoef(inputs[3], data.images[3].ravel())[0, 1] == pytest.approx(1)


def test_unit_images_are_the_pixels_over_255():
    data = load_fashion_mnist("test")
    np.testing.assert_array_equal(np.rint(data.flattened("unit") * 255).reshape(data.images.shape), data.images)
    assert data.flattened("unit").max() == 1


def test_constant_image_and_unknown_scaling_are_refused():
    images = np.full((2, 28, 28), 7, np.uint8)
    images[0, 3, 3] = 8  # the least image that can be standardised
    data = ImageSet(images, np.zeros(2, np.uint8), "by hand")
    with pytest.raises(InputError, match="constant image at index 1"):
        data.flattened()
    assert np.mean(ImageSet(images[:1], data.labels[:1], "by hand").flattened() ** 2) == pytest.approx(1)
    with pytest.raises(InputError, match="'whitened'"):
        data.flattened("whitened")  # pyright: ignore[reportArgumentType]


def test_unknown_split_is_refused():
    with pytest.raises(InputError, match="'validation'"):
        load_fashion_mnist("validation")  # pyright: ignore[reportArgumentType]


IMAGES = np.arange(3 * 28 * 28).astype(np.uint8).reshape(3, 28, 28)
LABELS = np.array([9, 0, 4], np.uint8)


def write_split(directory, images=IMAGES, labels=LABELS, suffix=".gz"):
    pack = gzip.compress if suffix else bytes
    (directory / f"train-images-idx3-ubyte{suffix}").write_bytes(pack(encode_idx(images)))
    (directory / f"train-labels-idx1-ubyte{suffix}").write_bytes(pack(encode_idx(labels)))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_directory_of_official_names_is_honoured(tmp_path, suffix):
    write_split(tmp_path, suffix=suffix)
    data = load_fashion_mnist("train", directory=tmp_path)
    np.testing.assert_array_equal(data.images, IMAGES)
    np.testing.assert_array_equal(data.labels, LABELS)
    assert str(tmp_path) in data.source


def test_missing_files_are_named(tmp_path):
    write_split(tmp_path)
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz or .* got neither"):
        load_fashion_mnist("test", directory=tmp_path)
    with pytest.raises(InputError, match="got neither"):
        load_fashion_mnist("train", directory=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("images", "labels", "got"),
    [
        pytest.param(IMAGES, LABELS[:2], r"expected 3 uint8 labels .* shape \(2,\)", id="wrong count"),
        pytest.param(IMAGES[:, :27], LABELS, r"shape \(3, 27, 28\)", id="wrong size"),
        pytest.param(IMAGES.astype(np.int32), LABELS, "got int32", id="wrong dtype"),
        pytest.param(LABELS, LABELS, r"got uint8 of shape \(3,\)", id="labels for images"),
        pytest.param(IMAGES, LABELS + 1, "labels 0 to 9 .* got 10", id="no such class"),
    ],
)
def test_files_of_another_data_set_are_refused(tmp_path, images, labels, got):
    write_split(tmp_path, images, labels)
    with pytest.raises(InputError, match=got):
        load_fashion_mnist("train", directory=tmp_path)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A local mirror with a small split under the official names, whose hashes are taken for the official ones."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    write_split(folder)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    handler = functools.partial(QuietHandler, directory=folder)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fashion_mnist, "_OFFICIAL_SHA256", hashes)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(fashion_mnist, "_MIRROR", f"http://127.0.0.1:{server.server_port}/")
        yield folder
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


def test_download_verifies_and_keeps_what_is_there(tmp_path, mirror):
    cache = tmp_path / "cache"
    assert download_fashion_mnist(cache) == cache
    np.testing.assert_array_equal(load_fashion_mnist("train", directory=cache).images, IMAGES)
    for path in mirror.iterdir():
        path.unlink()
    download_fashion_mnist(cache)


def test_the_source_that_downloads_keeps_the_files_in_the_user_s_cache(tmp_path, mirror, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for _ in range(2):
        found = load("fashion-mnist:download", scaling="unit")
        np.testing.assert_array_equal(found.inputs, IMAGES.reshape(3, -1) / 255)
        assert found.targets.tolist() == LABELS.tolist()
        for path in mirror.iterdir():
            path.unlink()  # the second time nothing is fetched
    assert list((tmp_path / "cache").rglob("train-images-idx3-ubyte.gz"))


def test_download_of_other_bytes_is_refused_and_leaves_no_file(tmp_path, mirror):
    write_split(mirror, images=IMAGES[::-1])
    with pytest.raises(FreenessError, match="official SHA-256"):
        download_fashion_mnist(tmp_path / "cache")
    assert not (tmp_path / "cache" / "train-images-idx3-ubyte.gz").exists()


def test_download_without_file_on_the_mirror_is_one_sentence(tmp_path, mirror):
    (mirror / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(FreenessError, match="got HTTPError: go online"):
        download_fashion_mnist(tmp_path / "cache")


def test_download_offline_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fashion_mnist, "_MIRROR", "http://127.0.0.1:9/")  # the discard port: nobody listens
    with pytest.raises(FreenessError, match="got ConnectionError: go online") as caught:
        download_fashion_mnist(tmp_path)
    assert "\n" not in str(caught.value)


def test_download_without_pooch_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(FreenessError, match=r"freeness\[data\]"):
        download_fashion_mnist(tmp_path)
