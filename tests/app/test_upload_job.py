"""What is read of an uploaded file; nothing of it is run."""

import numpy as np
import pytest

pytest.importorskip("pydantic")

from freeness.app.upload_job import perform
from freeness.errors import InputError

SOURCE = """
open({marker!r}, "w")


def needs(width):
    return width


def build(width=8):
    return width


class Net:
    pass
"""


def looked_at(kind, path, **how):
    return perform(kind, str(path), **how, stage=lambda words, share: None)


def test_what_makes_a_model_is_found_without_running_the_file(tmp_path):
    file, marker = tmp_path / "mine.py", tmp_path / "ran"
    file.write_text(SOURCE.format(marker=str(marker)), encoding="utf-8")
    assert looked_at("model", file)["names"] == ["build", "Net"]
    assert not marker.exists()


@pytest.mark.parametrize("text", ["def (", "x = 1\n", "\0", "(" * 500])
def test_a_file_that_makes_no_model_is_refused(tmp_path, text):
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="expected a f"):
        looked_at("model", file)


@pytest.mark.parametrize(
    ("targets", "outputs"), [(np.arange(6) % 3, 3), (np.zeros((6, 4)), 4), (np.zeros(6), 1), (None, None)]
)
def test_data_say_how_many_numbers_go_in_and_come_out(tmp_path, targets, outputs):
    arrays = {"inputs": np.ones((6, 2, 5))} | ({} if targets is None else {"targets": targets})
    np.savez(tmp_path / "mine.npz", **arrays)
    found = looked_at("data", tmp_path / "mine.npz", model={})
    assert (found["samples"], found["shape"], found["inputs"], found["outputs"]) == (6, (2, 5), 10, outputs)
