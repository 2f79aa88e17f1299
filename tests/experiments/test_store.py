"""The store keeps what is committed, and says in one sentence what is wrong with a file."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from freeness.errors import InputError
from freeness.experiments import (
    CellResult,
    ClaimedError,
    IncompleteError,
    StoreError,
    expand,
    open_store,
    open_sweep,
    preset,
    run_sweep,
)
from freeness.experiments.cells import DataFacts
from freeness.experiments.looks import Look

SWEEP = preset("tiny")
FACTS = DataFacts(784, 10, 1 / 784, 0.5, "data")
PLACED = expand(SWEEP, FACTS)
RESULT = CellResult((Look(20, 0.5, None), Look(60, 0.75, 0.25)), 7, (None, 0.5), 1.5)


def one_sentence(error):
    text = str(error.value)
    return text.startswith("expected ") and ", got " in text and "\n" not in text


def test_what_is_added_is_read_back(tmp_path):
    with open_store(tmp_path / "store.sqlite") as store:
        store.register(SWEEP, PLACED, {"facts": {"digest": "x"}})
        store.add(PLACED[3].cell, RESULT, {"torch": "2"})
        store.add(PLACED[3].cell, RESULT, {"torch": "later"})  # kept as it is
    with open_store(tmp_path / "store.sqlite", create=False) as store:
        assert store.finished([item.cell.key for item in PLACED]) == {PLACED[3].cell.key}
        (cell,) = store.cells(SWEEP.key)
        assert cell.place == PLACED[3].place and cell.provenance == {"torch": "2"}
        assert cell.result["looks"][1]["accuracy"] == 0.75 and cell.result["looks"][0]["loss"] is None
        assert store.rates(SWEEP.key) == {item.place: item.cell.rate for item in PLACED}
        (sweep,) = store.sweeps()
        assert sweep.specification == SWEEP


def test_a_reader_sees_what_is_committed_while_the_store_is_open(tmp_path):
    with open_store(tmp_path / "store.sqlite") as writer, open_store(tmp_path / "store.sqlite") as reader:
        writer.add(PLACED[0].cell, RESULT, {})
        assert reader.finished([PLACED[0].cell.key])


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_corrupt_file_is_refused(tmp_path, content):
    path = tmp_path / "store.sqlite"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged or foreign file") as error, open_store(path):
        pass
    assert one_sentence(error) and path.read_bytes() == content


def test_a_store_that_is_torn_in_the_middle_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    with open_store(path) as store:
        store.register(SWEEP, PLACED, {"facts": {"digest": "x"}})
        for item in PLACED:
            store.add(item.cell, RESULT, {"torch": "2" * 500})
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(StoreError, match="damaged") as error:
        open_sweep(path)
    assert one_sentence(error)


def test_a_foreign_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "mine.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(InputError, match="another SQLite database") as error, open_store(path):
        pass
    assert one_sentence(error)


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    with open_store(path):
        pass
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(InputError, match=r"got schema 99 in .*; update freeness") as error, open_store(path):
        pass
    assert one_sentence(error)


def test_a_locked_store_is_said(tmp_path):
    path = tmp_path / "store.sqlite"
    with open_store(path, patience=0.05) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        try:
            with pytest.raises(StoreError, match="another process holds it") as error:
                store.add(PLACED[0].cell, RESULT, {})
        finally:
            other.close()
        assert one_sentence(error)
        store.add(PLACED[0].cell, RESULT, {})


def test_a_full_disk_ends_the_sweep_incomplete_and_keeps_what_was_committed(tmp_path, monkeypatch):
    path = tmp_path / "store.sqlite"
    run_sweep(SWEEP, tmp_path / "whole.sqlite")
    real = sqlite3.connect
    whole = real(tmp_path / "whole.sqlite")
    (pages,) = whole.execute("PRAGMA page_count").fetchone()
    whole.close()

    def small(*args, **kwargs):
        connection = real(*args, **kwargs)
        connection.execute(f"PRAGMA max_page_count = {pages - 1}")  # SQLite's own way to a full disk
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(IncompleteError, match=r"full.*free some space.*will not be computed again"):
        run_sweep(SWEEP, path)
    monkeypatch.undo()
    run = run_sweep(SWEEP, path)
    assert run.reused > 0 and run.computed > 0 and run.reused + run.computed == 12


@pytest.mark.parametrize("place", ["folder", "file/store.sqlite"])
def test_a_place_where_no_file_can_be_is_refused(tmp_path, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises((InputError, StoreError)) as error, open_store(tmp_path / place):
        pass
    assert str(error.value).startswith("expected")


def test_a_missing_store_or_sweep_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist; run freeness sweep first"):
        open_sweep(tmp_path / "none.sqlite")
    with open_store(tmp_path / "empty.sqlite"):
        pass
    with pytest.raises(InputError, match="expected a sweep of the store"):
        open_sweep(tmp_path / "empty.sqlite", "mine")


def flipped(path, table, column, bit):
    """Change one bit of one stored column of one row, behind the back of the store."""
    with closing(sqlite3.connect(path)) as connection, connection:
        number, value = connection.execute(f"SELECT rowid, {column} FROM {table} LIMIT 1 OFFSET 1").fetchone()
        raw = bytearray(value.encode())
        raw[bit // 8 % len(raw)] ^= 1 << bit % 3  # the lowest bits keep it a text
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (raw.decode(), number))


@pytest.mark.parametrize("bit", [0, 9, 1003])
@pytest.mark.parametrize(
    ("table", "column"), [("cells", "key"), ("cells", "result"), ("cells", "provenance"), ("places", "cell")]
)
def test_a_flipped_bit_is_noticed_and_its_cell_trained_anew(tmp_path, whole_store, table, column, bit):
    path = tmp_path / "store.sqlite"
    path.write_bytes(whole_store)
    flipped(path, table, column, bit)
    with open_store(path) as store:
        (row,) = store.damaged()
        assert row.startswith(f"{table}: ")
        if column != "key":  # else the row is nobody's
            with pytest.raises(StoreError, match="damaged; run the same sweep again") as error:
                store.cells(SWEEP.key), store.rates(SWEEP.key)
            assert one_sentence(error)
    run = run_sweep(SWEEP, path)
    assert run.computed == (table == "cells")
    with open_store(path) as store:
        assert not store.damaged() and len(store.cells(SWEEP.key)) == 12


@pytest.fixture(scope="module")
def whole_store(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "store.sqlite"
    run_sweep(SWEEP, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def test_a_store_of_the_first_schema_opens_and_is_signed(tmp_path, whole_store):
    path = tmp_path / "store.sqlite"
    path.write_bytes(whole_store)
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("cells", "sweeps", "places"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        connection.execute("DROP TABLE claims")
        connection.execute("PRAGMA user_version = 1")
    run = run_sweep(SWEEP, path)
    assert (run.reused, run.computed) == (12, 0)
    with open_store(path) as store:
        assert not store.damaged()


@pytest.mark.slow
@pytest.mark.always
def test_a_second_driver_is_refused_while_the_first_lives_and_not_after(tmp_path):
    path = tmp_path / "store.sqlite"
    holds = (
        "import sys, time; from freeness.experiments import open_store\n"
        "with open_store(sys.argv[1]) as store, store.claimed(sys.argv[2]):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holds, path, SWEEP.key], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(ClaimedError, match=f"got process {other.pid}, which trains it") as error:
            run_sweep(SWEEP, path)
        assert one_sentence(error)
        other.kill()
    assert run_sweep(SWEEP, path).computed == 12
    with closing(sqlite3.connect(path)) as connection, connection:  # a number that another process was given since
        connection.execute("INSERT INTO claims VALUES (?, ?, ?)", (SWEEP.key, os.getppid(), 1.0))
    assert run_sweep(SWEEP, path).reused == 12
