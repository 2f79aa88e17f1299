import pickle

import pytest
import torch

from freeness.errors import InputError
from freeness.interpret import IdentityMLP, load_checkpoint, save_checkpoint
from freeness.network import activation

from .small_images import small_data, trained_network


def test_network_comes_back_as_it_was(tmp_path):
    save_checkpoint(trained_network(), tmp_path / "net.pt", start="haar")
    model, start = load_checkpoint(tmp_path / "net.pt")
    x = small_data()[1][0][:20]
    assert torch.equal(model(x), trained_network()(x)) and start == "haar"
    assert [path.name for path in tmp_path.iterdir()] == ["net.pt"]


def changed(tmp_path, **changes):
    path = tmp_path / "changed.pt"
    save_checkpoint(IdentityMLP(3, classes=2, depth=2), path)
    document = torch.load(path, weights_only=True)
    for key, value in changes.items():
        if value is None:
            del document[key]
        else:
            document[key] = value
    torch.save(document, path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 3}, "expected weights of 3 layers of width 5 .* got nothing instead of .5, 5. for 'stack.4.weight'"),
        ({"depth": 1}, "expected weights of 1 layers"),
        ({"classes": 4}, "5, 5. instead of .7, 7."),
        ({"shape": [4]}, "instead of"),
        ({"shape": 3}, "damaged"),
        ({"state": 1}, "damaged"),
        ({"activation": None}, "without activation"),
        ({"activation": "nonsense"}, "nonsense"),
        ({"freeness_checkpoint": None}, "without version"),
        ({"freeness_checkpoint": 9}, "update freeness"),
    ],
)
def test_checkpoint_of_another_architecture_is_one_sentence(tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        load_checkpoint(changed(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_files_of_something_else_are_refused(tmp_path):
    (tmp_path / "text.pt").write_text("no tensors")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "state.pt")
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    (tmp_path / "code.pt").write_bytes(pickle.dumps(print))
    torch.save(torch.nn.Linear(2, 2), tmp_path / "object.pt")
    for name, message in (
        ("missing.pt", "no file"),
        ("text.pt", "damaged"),
        ("state.pt", "without shape"),
        ("tensor.pt", "Tensor"),
        ("code.pt", "pickled"),
        ("object.pt", "pickled"),
    ):
        with pytest.raises(InputError, match=message):
            load_checkpoint(tmp_path / name)


def test_activation_of_ones_own_is_not_written(tmp_path):
    model = IdentityMLP(3, classes=2, depth=2, activation=activation("leaky_relu", negative_slope=0.5))
    with pytest.raises(InputError, match="another 'leaky_relu'"):
        save_checkpoint(model, tmp_path / "net.pt")
    assert not list(tmp_path.iterdir())


def test_folder_must_exist(tmp_path):
    with pytest.raises(InputError, match="folder that exists"):
        save_checkpoint(IdentityMLP(3, classes=2, depth=2), tmp_path / "none" / "net.pt")
