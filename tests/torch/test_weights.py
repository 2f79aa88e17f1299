import json

import numpy as np
import pytest
import torch
from torch import nn

from freeness.errors import InputError
from freeness.torch.model.weights import load_weights_, read_weights


def written(path, header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def test_tensors_of_every_type_are_read_as_they_were_written(tmp_path):
    header, body, expected = {"__metadata__": {"format": "pt"}}, b"", {}
    for name, dtype in (("F64", "<f8"), ("F32", "<f4"), ("F16", "<f2"), ("I64", "<i8"), ("U8", "u1"), ("BOOL", "?")):
        array = np.arange(6).reshape(2, 3).astype(dtype)
        header[name] = {"dtype": name, "shape": [2, 3], "data_offsets": [len(body), len(body) + array.nbytes]}
        body, expected[name] = body + array.tobytes(), array
    header["scalar"] = {"dtype": "F32", "shape": [], "data_offsets": [len(body), len(body) + 4]}
    header["empty"] = {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]}
    body += np.float32(2.5).tobytes()
    found = read_weights(written(tmp_path / "a.safetensors", header, body))
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name].numpy(), array)
    assert float(found["scalar"]) == 2.5 and found["empty"].shape == (0, 3)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [True], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]},
        {"dtype": "X", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0]},
        {"dtype": "F32", "shape": None, "data_offsets": [0, 4]},
        [],
        "F32",
    ],
)
def test_entry_that_does_not_fit_the_file_is_refused(entry, tmp_path):
    with pytest.raises(InputError, match="expected"):
        read_weights(written(tmp_path / "a.safetensors", {"a": entry}, bytes(8)))


def test_weights_are_copied_whole_or_not_at_all():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    good = {name: torch.full_like(value, 0.5) for name, value in before.items()}
    for change, message in (
        ({"0.weight": torch.zeros(3, 3)}, r"0.weight of shape \(3, 2\), got \(3, 3\)"),
        ({"1.bias": torch.tensor([float("nan")])}, "finite"),
        ({"2.weight": torch.zeros(1)}, "unknown '2.weight'"),
    ):
        with pytest.raises(InputError, match=message):
            load_weights_(model, good | change)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(InputError, match=r"without '1\.bias'"):
        load_weights_(model, {name: value for name, value in good.items() if name != "1.bias"})
    load_weights_(model, good)
    assert all(bool((value == 0.5).all()) for value in model.state_dict().values())


def test_state_dict_of_torch_is_read_and_other_objects_are_not(tmp_path):
    model = nn.Linear(2, 2)
    torch.save(model.state_dict(), tmp_path / "a.pt")
    assert torch.equal(read_weights(tmp_path / "a.pt")["weight"], model.weight)
    torch.save([1, 2], tmp_path / "b.pt")
    torch.save(model, tmp_path / "c.pt")
    (tmp_path / "d.bin").write_bytes(b"")
    for name in ("b.pt", "c.pt", "d.bin"):
        with pytest.raises(InputError, match="expected"):
            read_weights(tmp_path / name)
