"""Models from files, data from names and files."""

import numpy as np
import pytest
import torch
from torch import nn

from freeness import InputError
from freeness.torch import load_data, load_model

GOOD = "import torch\nfrom torch import nn\ndef make():\n    return nn.Linear(4, 3)\nready = nn.Linear(4, 2)\n"


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def test_a_factory_is_called_under_the_seed_and_the_global_state_is_kept(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    state = torch.get_rng_state()
    first, second, third = (load_model(f"{file}:make", seed) for seed in (1, 1, 2))
    assert torch.equal(first.weight, second.weight) and not torch.equal(first.weight, third.weight)
    assert torch.equal(torch.get_rng_state(), state)
    assert load_model(f"{file}:ready").out_features == 2


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        (GOOD, "absent", "which defines make"),
        ("def make():\n    raise RuntimeError('no luck')\n", "make", "no luck"),
        ("def make(width):\n    return 1\n", "make", "without arguments"),
        ("def make():\n    return 3\n", "make", "got int"),
        ("make = 3\n", "make", "function or an nn.Module"),
        ("def make(:\n", "make", "SyntaxError"),
        ("import no_such_module\n", "make", "ModuleNotFoundError"),
    ],
)
def test_broken_factories_are_one_sentence(tmp_path, source, name, words):
    file = tmp_path / "mine.py"
    file.write_text(source)
    with pytest.raises(InputError, match=words) as caught:
        load_model(f"{file}:{name}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("spec", ["nofile.py:make", "mine.py", ":make"])
def test_a_missing_file_or_name_is_refused(spec):
    with pytest.raises(InputError, match="expected a"):
        load_model(spec)


def test_each_kind_of_data_arrives_as_it_is(tmp_path, model):
    x, y = np.random.default_rng(0).standard_normal((7, 6)), np.arange(7) % 3
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "xy.npz", inputs=x, targets=y)
    torch.save(torch.from_numpy(x), tmp_path / "x.pt")
    torch.save({"inputs": torch.from_numpy(x), "targets": torch.from_numpy(y)}, tmp_path / "xy.pt")
    for name in ("x.npy", "xy.npz", "x.pt", "xy.pt"):
        inputs, targets, described = load_data(str(tmp_path / name), model)
        assert np.array_equal(inputs.numpy(), x) and described == name
        assert targets.dtype == torch.long
        if "y" in name.split(".")[0]:
            assert targets.tolist() == y.tolist()
    vectors = load_data(str(tmp_path / "xy.npz"), model, loss="mse")[1]
    assert vectors.argmax(1).tolist() == y.tolist() and torch.equal(vectors.sum(1), torch.ones(7).double())


def test_named_data_fit_the_model():
    wide = nn.Linear(784, 10)
    inputs, labels, described = load_data("fashion-mnist", wide)
    assert inputs.shape == (2000, 784) and labels.max() == 9 and "Fashion-MNIST" in described
    first, _, _ = load_data("gaussian", wide, seed=3)
    assert torch.equal(first, load_data("gaussian", wide, seed=3)[0])
    assert abs(float(first.square().mean()) - 1) < 0.02


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.npy", None, "does not exist"),
        ("x.npy", b"rubbish", "readable .npy"),
        ("x.npz", b"rubbish", "readable .npz"),
        ("x.pt", b"rubbish", "readable .pt"),
        ("x.csv", b"1,2", "ending in .npy"),
    ],
)
def test_broken_files_are_one_sentence(tmp_path, model, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        load_data(str(tmp_path / name), model)
    assert "\n" not in str(caught.value)


def test_data_that_do_not_fit_are_refused(tmp_path, model):
    np.save(tmp_path / "narrow.npy", np.ones((3, 5)))
    np.save(tmp_path / "nan.npy", np.full((3, 6), np.nan))
    np.savez(tmp_path / "named.npz", images=np.ones((3, 6)))
    for name, words in (
        ("narrow.npy", "6 features"),
        ("nan.npy", "finite inputs"),
        ("named.npz", "inputs and targets"),
    ):
        with pytest.raises(InputError, match=words):
            load_data(str(tmp_path / name), model)
    with pytest.raises(InputError, match="6 features"):
        load_data("fashion-mnist", model)
