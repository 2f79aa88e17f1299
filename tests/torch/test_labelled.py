"""Data of every source fit the model, or one sentence says why not."""

import matplotlib.image
import numpy as np
import pytest
import torch
from torch import nn

from freeness import InputError
from freeness.data import Folder
from freeness.torch import load_data, load_labelled
from tests.refused import refused


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


def test_each_kind_of_data_arrives_as_it_is(tmp_path, model):
    x, y = np.random.default_rng(0).standard_normal((7, 6)), np.arange(7) % 3
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "xy.npz", inputs=x, targets=y)
    torch.save(torch.from_numpy(x), tmp_path / "x.pt")
    torch.save({"inputs": torch.from_numpy(x), "targets": torch.from_numpy(y)}, tmp_path / "xy.pt")
    for name in ("x.npy", "xy.npz", "x.pt", "xy.pt"):
        inputs, targets, described = load_data(str(tmp_path / name), model)
        assert np.array_equal(load_labelled(str(tmp_path / name), model).inputs.numpy(), x)
        assert np.array_equal(inputs.numpy(), x.astype(np.float32))
        drawn = "" if name.startswith("xy") else "; targets: random classes (uniform over the 3 outputs)"
        assert described == name + drawn
        assert targets.dtype == torch.long
        if "y" in name.split(".")[0]:
            assert targets.tolist() == y.tolist()
    vectors = load_data(str(tmp_path / "xy.npz"), model, loss="mse")[1]
    assert vectors.argmax(1).tolist() == y.tolist() and torch.equal(vectors.sum(1), torch.ones(7))


def test_named_data_fit_the_model():
    wide = nn.Linear(784, 10)
    inputs, labels, described = load_data("fashion-mnist", wide)
    assert inputs.shape == (2000, 784) and labels.max() == 9 and "Fashion-MNIST" in described
    first, _, _ = load_data("gaussian", wide, seed=3)
    assert torch.equal(first, load_data("gaussian", wide, seed=3)[0])
    assert abs(float(first.square().mean()) - 1) < 0.02


def test_data_fit_a_model_that_differentiates_by_its_inputs():
    class Slope(nn.Linear):
        def forward(self, input):
            input.requires_grad_()
            return torch.autograd.grad(super().forward(input).tanh().sum(), input, create_graph=True)[0]

    assert load_labelled("gaussian", Slope(2, 1), loss="mse").inputs.shape[1:] == (2,)


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


@pytest.mark.parametrize(
    ("model", "shape", "gaussian"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(1352, 10)), (1, 28, 28), (1, 28, 28)),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), (1, 28, 28), (1, 28, 28)),
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (784,), (784,)),
        (nn.Sequential(nn.LSTM(28, 3, batch_first=True)), (28, 28), (16, 28)),
        (nn.Sequential(nn.Unflatten(1, (1, 784)), nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(1564, 4)), (784,), None),
    ],
)
def test_data_are_shaped_as_the_model_takes_them(model, shape, gaussian):
    if isinstance(model[0], nn.LSTM):
        model = LastOutput(model[0])
    assert load_data("fashion-mnist", model)[0].shape == (2000, *shape)
    if gaussian is not None:
        inputs, targets, _ = load_data("gaussian", model, loss="mse")
        assert inputs.shape == (256, *gaussian) and targets.ndim == 2


class LastOutput(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0][:, -1]


def test_models_that_take_no_such_inputs_are_refused():
    behind = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(2704, 10))
    refused("2704 features .*got fashion-mnist, of which no shape fits", load_data, "fashion-mnist", behind)
    refused(
        "one input for gaussian, got Bilinear, which takes input1, input2; give FILE.py:FACTORY",
        load_data,
        "gaussian",
        nn.Bilinear(2, 2, 2),
    )
    refused("initialised parameters, got the lazy '0.weight'", load_data, "gaussian", nn.Sequential(nn.LazyLinear(3)))
    refused("got Tanh without any", load_data, "gaussian", nn.Tanh())


def test_an_own_parameter_beside_the_layers_is_left_to_trace():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused, self.head = nn.Parameter(torch.ones(1)), nn.Linear(6, 3)

        def forward(self, x):
            return self.head(x)

    model = Own()
    assert load_data("gaussian", model)[0].shape == (256, 6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_models_are_named():
    scripted = torch.jit.trace(nn.Linear(6, 3), torch.ones(1, 6))
    refused("got Linear of TorchScript", load_data, "gaussian", scripted)
    refused("Linear of TorchScript in '0'", load_data, "gaussian", nn.Sequential(scripted))


X = np.ones((7, 6))
STRANGE_ARRAYS = [
    (np.array(1.0), "inputs of shape"),
    (np.ones(6), "inputs of shape"),
    (np.ones((0, 6)), "with elements"),
    (X * 1j, "real inputs"),
    (X.astype(str), "numbers as inputs"),
]


@pytest.mark.parametrize(("array", "words"), STRANGE_ARRAYS)
def test_strange_arrays_are_refused(tmp_path, model, array, words):
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "x.npz", inputs=array)
    for name in ("x.npy", "x.npz"):
        refused(words, load_data, str(tmp_path / name), model)
    if array.dtype.kind != "U":
        torch.save(torch.from_numpy(array), tmp_path / "x.pt")
        refused(words, load_data, str(tmp_path / "x.pt"), model)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.zeros((0,), int), "targets with elements"),
        (np.zeros(6, int), "for the 7 inputs"),
        (np.array(2), "for the 7 inputs"),
        (np.zeros(7, complex), "real targets"),
        (np.full((7, 3), np.nan), "finite targets"),
        (np.full(7, -1), "class numbers ≥ 0"),
        (np.full(7, "a"), "numbers as targets"),
    ],
)
def test_strange_targets_are_refused(tmp_path, model, targets, words):
    np.savez(tmp_path / "xy.npz", inputs=X, targets=targets)
    for loss in ("cross_entropy", "mse"):
        refused(words, load_data, str(tmp_path / "xy.npz"), model, 0, loss)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_model_runs_on_the_data_that_it_is_given(dtype):
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 3)).to(dtype)
    inputs, targets, _ = load_data("fashion-mnist", model, loss="mse")
    assert inputs.dtype == targets.dtype == dtype and model(inputs[:2]).shape == (2, 3)


@pytest.mark.parametrize("dtype", ["int32", "uint16", "bool", "float16", ">f8", "longdouble"])
def test_every_real_type_of_numbers_is_taken(tmp_path, model, dtype):
    np.savez(tmp_path / "xy.npz", inputs=X.astype(dtype), targets=np.ones((7, 3), dtype))
    inputs, targets, *_ = load_labelled(str(tmp_path / "xy.npz"), model, loss="mse")
    assert inputs.dtype == targets.dtype == torch.float64 and targets.shape == (7, 3) and bool((inputs == 1).all())


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (torch.eye(6).to_sparse(), "dense inputs"),
        (torch.ones(7, 6, device="meta"), "dense inputs"),
        ({"inputs": torch.ones(7, 6), "targets": torch.eye(7).to_sparse()}, "dense targets"),
        ({"inputs": [1.0]}, "an array as inputs"),
        ({1: torch.ones(7, 6)}, "named inputs and targets"),
        ("text", "a tensor, a pair or a dict"),
        (nn.Linear(2, 2), "an object of torch.nn.modules.linear.Linear"),
    ],
)
def test_strange_pt_files_are_refused(tmp_path, model, found, words):
    torch.save(found, tmp_path / "x.pt")
    refused(words, load_data, str(tmp_path / "x.pt"), model)


def test_a_tensor_that_repeats_one_number_takes_no_memory(tmp_path, model):
    torch.save(torch.ones(1, 1).expand(2**30, 6), tmp_path / "x.pt")
    refused("unpack to 25769803776", load_data, str(tmp_path / "x.pt"), model)


@pytest.mark.parametrize("suffix", ["npy", "npz", "pt"])
def test_empty_and_misnamed_and_cut_files_are_refused(tmp_path, model, suffix):
    file = tmp_path / f"x.{suffix}"
    file.write_bytes(b"")
    refused("the empty file '.*x", load_data, str(file), model)
    torch.save(torch.ones(7, 6), tmp_path / "whole")
    file.write_bytes((tmp_path / "whole").read_bytes()[:300])
    refused("expected a readable", load_data, str(file), model)
    np.savez(tmp_path / "other.npz", inputs=X)
    np.save(tmp_path / "other.npy", X)
    other = "npy" if suffix == "npz" else "npz"
    file.write_bytes((tmp_path / f"other.{other}").read_bytes())
    refused("expected ", load_data, str(file), model)


def test_tokens_are_random_or_stay_whole_numbers(tmp_path):
    model = nn.Sequential(nn.Embedding(10, 3), nn.Flatten(), nn.Linear(24, 4))  # of eight tokens
    inputs, targets, described = load_data("gaussian", model, seed=1)
    assert (
        described.startswith("256 sequences of 8 random tokens; targets: random classes")
        and inputs.shape == (256, 8)
        and inputs.dtype == torch.int64
    )
    assert inputs.min() == 0 and inputs.max() == 9 and targets.max() == 3
    np.save(tmp_path / "tokens.npy", np.arange(16).reshape(2, 8) % 10)
    assert load_data(str(tmp_path / "tokens.npy"), model)[0].dtype == torch.int64
    np.save(tmp_path / "halves.npy", np.full((2, 8), 0.5))
    refused("inputs of tokens", load_data, str(tmp_path / "halves.npy"), model)
    refused("inputs of tokens", load_data, "fashion-mnist", model)


def test_random_tokens_of_a_length_that_nobody_tries_can_be_asked_for():
    model = nn.Sequential(nn.Embedding(10, 3), nn.Flatten(), nn.Linear(99, 4))
    refused(
        r"one sequence of tokens, got RuntimeError .*; give their length as gaussian:LENGTH",
        load_data,
        "gaussian",
        model,
    )
    inputs = load_data("gaussian:33", model)[0]
    assert inputs.shape == (256, 33) and inputs.dtype == torch.int64 and inputs.max() == 9


class Returns(nn.Module):
    def __init__(self, returned):
        super().__init__()
        self.layer, self.returned = nn.Linear(784, 2), returned

    def forward(self, x):
        return self.returned(self.layer(x.flatten(1)))


def boom(_):
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (boom, r"runs on fashion-mnist, got RuntimeError \(boom\) on every shape tried \(.*mend its forward"),
        (lambda y: None, "a real floating tensor among the outputs, got no tensor"),
        (lambda y: y.sum(), r"one row of outputs a sample, got shape \(\)"),
        (lambda y: y.argmax(1), r"got the output \(torch.int64\)"),
    ],
)
def test_what_is_wrong_with_a_model_is_not_put_down_to_the_data(returned, words):
    refused(words, load_data, "fashion-mnist", Returns(returned))


def test_the_output_that_is_named_decides_the_targets():
    model = Returns(lambda y: {"value": y[:, :1], "logits": y})
    assert load_data("gaussian", model, loss="mse", output="value")[1].shape == (256, 1)
    assert load_data("gaussian", model, loss="mse")[1].shape == (
        256,
        2,
    )  # what is called logits, where nothing is named
    refused("a floating output 'mask'", load_data, "gaussian", model, 0, "mse", "mask")


def test_parameters_without_values_are_refused():
    refused("got a meta tensor in 'weight'", load_data, "gaussian", nn.Linear(2, 2, device="meta"))


def test_labels_that_are_not_there_are_named_with_what_stands_in(tmp_path, model):
    np.save(tmp_path / "x.npy", np.ones((7, 6)))
    np.savez(tmp_path / "xy.npz", inputs=np.ones((7, 6)), targets=np.arange(7) % 3)
    given, without = (load_labelled(str(tmp_path / name), model) for name in ("xy.npz", "x.npy"))
    assert given.stand_in == "" and given.targets.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert without.stand_in == "random classes (uniform over the 3 outputs)" and without.described == "x.npy"
    assert load_labelled(str(tmp_path / "x.npy"), model, loss="mse").stand_in.startswith("random vectors")
    bits = load_labelled(str(tmp_path / "x.npy"), model, loss="binary_cross_entropy")
    assert bits.stand_in.startswith("random zeros and ones") and set(bits.targets.unique().tolist()) == {0.0, 1.0}
    assert load_labelled(str(tmp_path / "xy.npz"), model, loss="mse").stand_in == ""


def test_colour_pictures_of_class_folders_come_with_channels_first(tmp_path):
    for split in ("train", "test"):
        for shade, name in enumerate(("cat", "dog")):
            (tmp_path / split / name).mkdir(parents=True)
            pixels = np.random.default_rng(shade).integers(0, 256, (8, 8, 3)).astype(np.uint8)
            matplotlib.image.imsave(tmp_path / split / name / "a.png", pixels)
    source = Folder(str(tmp_path), image_size=8)
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(72, 2))
    inputs, labels, _ = load_data(source, model)
    assert inputs.shape == (2, 3, 8, 8) and labels.tolist() == [0, 1]
    first = np.random.default_rng(0).integers(0, 256, (8, 8, 3)) / 255
    wanted = np.moveaxis((first - first.mean()) / first.std(), -1, 0)
    np.testing.assert_allclose(inputs[0].numpy(), wanted, atol=1e-12)
