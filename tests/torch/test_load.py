"""Models from files, data from names and files."""

import pytest
import torch
from torch import nn

from freeness import InputError
from freeness.torch import load_data, load_loss, load_model, load_weights
from tests.refused import refused

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


WRONG = """
import torch
def make():
    model = torch.nn.Linear(3, 2)
    model.load_state_dict({"other": torch.ones(1)})
    return model
"""


@pytest.mark.parametrize(
    ("source", "name", "words"),
    [
        (GOOD, "absent", "which defines make"),
        ("def make():\n    raise RuntimeError('no luck')\n", "make", "no luck"),
        ("def make(width):\n    return 1\n", "make", "without arguments"),
        ("def make():\n    raise RuntimeError('my bug')\n", "make", r"\(my bug\); run it by itself and mend it"),
        ("def make():\n    return len()\n", "make", "run it by itself and mend it"),
        (WRONG, "make", r"Missing key\(s\) in state_dict: .weight., .bias.\. Unexpected key"),
        ("def make():\n    return 3\n", "make", "got int"),
        ("make = 3\n", "make", "function or a model"),
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


# --- what a stranger tried ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import sys\nsys.exit(3)\n", r"SystemExit \(3\); put what ends the program under if __name__"),
        ("import sys\ndef make():\n    sys.exit()\n", r"make\(\) to return a model, got SystemExit;"),
        ("class Odd(BaseException): pass\ndef make():\n    raise Odd('no')\n", r"Odd \(no\)"),
        ("def make():\n    raise ValueError('\\x1b[31mred\\x1b[0m.\\nmore')\n", r"ValueError \(red\);"),
        ("class Mute(Exception):\n    def __str__(self): raise KeyError\ndef make():\n    raise Mute\n", "got Mute;"),
    ],
)
def test_code_that_ends_the_program_or_raises_anything_is_one_sentence(tmp_path, source, words):
    file = tmp_path / "mine.py"
    file.write_text(source)
    refused(words, load_model, f"{file}:make")


def test_ctrl_c_in_the_user_s_code_is_not_swallowed(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def make():\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_model(f"{file}:make")


def test_only_names_of_the_file_itself_are_offered(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("from math import *\nfrom torch.nn import Linear\n" + GOOD + "class Net(nn.Module): pass\n")
    refused("which defines make, ready, Net; ", load_model, f"{file}:absent")
    file.write_text("from torch.nn import Linear\n")
    refused("which defines no function; ", load_model, f"{file}:absent")


def test_seeds_beyond_64_bits_are_refused(tmp_path, model):
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    for seed in (2**63, 2**70, -1):
        refused("a seed from 0", load_model, f"{file}:make", seed)
        refused("a seed from 0", load_data, "gaussian", model, seed)
    load_model(f"{file}:make", 2**63 - 1)
    load_data("gaussian", model, 2**63 - 1)


# --- weights and labels -------------------------------------------------------------------------------------------


def test_weights_of_a_file_are_the_model_s_afterwards(tmp_path):
    trained, model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), nn.Sequential(nn.Linear(4, 3))
    torch.save(trained.state_dict(), tmp_path / "start.pt")
    fresh = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    load_weights(fresh, tmp_path / "start.pt")
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), trained.parameters(), strict=True))
    before = model[0].weight.clone()
    refused(r"got 4, with the unknown '2.weight', '2.bias'; choose", load_weights, model, tmp_path / "start.pt")
    torch.save(model.state_dict(), tmp_path / "less.pt")
    refused(r"got 2, without '2.weight', '2.bias'; choose", load_weights, fresh, tmp_path / "less.pt")
    assert torch.equal(model[0].weight, before)
    refused("found none", load_weights, model, tmp_path / "absent.pt")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    refused("readable .pt file", load_weights, model, tmp_path / "junk.pt")


LOSSES = """
import torch
from torch import nn

def focal(outputs, targets, power=2):
    return (outputs - targets).abs().pow(power).mean()

def weighted():
    return nn.CrossEntropyLoss(torch.ones(3))

instance = nn.HuberLoss(delta=0.5)
number = 3
"""


@pytest.mark.parametrize(
    ("named", "name"),
    [("focal", "focal"), ("weighted", "cross_entropy (class weights)"), ("instance", "huber (delta 0.5)")],
)
def test_a_loss_is_taken_from_a_file(tmp_path, named, name):
    file = tmp_path / "losses.py"
    file.write_text(LOSSES, encoding="utf-8")
    assert str(load_loss(f"{file}:{named}")) == name


@pytest.mark.parametrize(
    ("named", "message"),
    [(":number", "one of torch, or a function"), (":absent", "absent"), ("hinge", "own, or FILE.py:NAME")],
)
def test_what_is_no_loss_is_refused_in_one_sentence(tmp_path, named, message):
    file = tmp_path / "losses.py"
    file.write_text(LOSSES, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_loss(f"{file}{named}" if named[0] == ":" else named)


@pytest.mark.filterwarnings("ignore:.*jit.*:DeprecationWarning")
def test_torchscript_of_a_factory_is_given_back_and_torch_compile_is_undone(tmp_path):
    (tmp_path / "made.py").write_text(
        "import torch\nfrom torch import nn\n"
        "def scripted():\n    return torch.jit.trace(nn.Linear(2, 1), torch.ones(1, 2))\n"
        "def compiled():\n    return torch.compile(nn.Linear(2, 1), backend='eager')\n"
    )
    assert isinstance(load_model(f"{tmp_path / 'made.py'}:scripted"), torch.jit.ScriptModule)
    assert type(load_model(f"{tmp_path / 'made.py'}:compiled")) is nn.Linear
