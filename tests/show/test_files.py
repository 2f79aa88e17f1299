import os

import pytest

from freeness.errors import InputError
from freeness.show import files


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "report.html"
    target.write_text("old", encoding="utf-8")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        files.write_atomically(target, "new")
    assert target.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_file_in_the_way_is_one_sentence(tmp_path, where):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="expected a directory to write into"):
        files.require_writable(tmp_path / where)
    with pytest.raises(InputError, match="expected a directory to write into"):
        files.write_atomically(tmp_path / where / "report.html", "text")


def test_requiring_leaves_nothing_behind(tmp_path):
    files.require_writable(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []


def test_relative_folders_are_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.require_writable(files.Path("new"))
    assert files.write_atomically(files.Path("new/x.txt"), "é").read_bytes() == "é".encode()


def test_a_directory_in_the_place_of_a_file_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "report.html").mkdir()
    files.require_writable(tmp_path)
    with pytest.raises(InputError, match="got the directory"):
        files.require_writable(tmp_path, "report.html")
    with pytest.raises(InputError, match="got the directory"):
        files.write_together({tmp_path / "analysis.json": "{}", tmp_path / "report.html": "text"})
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_files_written_together_are_all_old_where_one_fails(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("old", encoding="utf-8")
    calls = iter((None, OSError(28, "No space left on device")))

    def full(_):
        error = next(calls)
        if error is not None:
            raise error

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        files.write_together({first: "new", second: "new"})
    assert first.read_text(encoding="utf-8") == "old" and list(tmp_path.iterdir()) == [first]
    monkeypatch.undo()
    files.write_together({first: "new", second: "newer"})
    assert (first.read_text(encoding="utf-8"), second.read_text(encoding="utf-8")) == ("new", "newer")


def test_what_is_written_into_a_pipe_goes_through_it_and_the_pipe_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        files.write_bytes(pipe, b"all of it")
        assert os.read(reader, 100) == b"all of it" and pipe.is_fifo()
    finally:
        os.close(reader)
    with pytest.raises(InputError, match="a pipe that nothing reads"):
        files.write_bytes(pipe, b"text")
    with pytest.raises(InputError, match="got the device or pipe"):
        files.write_atomically(pipe, "text")
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]
