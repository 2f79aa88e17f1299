"""One driver a sweep: a second one would train every cell a second time.

A claim is a row of the store that names a process. It holds while that process lives, so that a killed driver is in nobody's way.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from freeness.errors import FreenessError

CLAIMS = "CREATE TABLE IF NOT EXISTS claims (sweep TEXT PRIMARY KEY, process INTEGER NOT NULL, started REAL NOT NULL);"


class ClaimedError(FreenessError):
    """Another process trains the same sweep into the same store."""


@contextmanager
def claimed(connection: sqlite3.Connection, sweep: str) -> Iterator[None]:
    """Hold a sweep for this process."""
    own = (os.getpid(), psutil.Process().create_time())
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT process, started FROM claims WHERE sweep = ?", (sweep,)).fetchone()
        if row is not None and _lives(*row):
            raise ClaimedError(
                f"expected one process at a time to train this sweep, got process {row[0]}, which trains it into the same store; "
                "wait for it, or give another --store."
            )
        connection.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", (sweep, *own))
    try:
        yield
    finally:
        with connection:
            connection.execute("DELETE FROM claims WHERE sweep = ? AND process = ? AND started = ?", (sweep, *own))


def _lives(process: int, started: float) -> bool:
    """Whether this process runs, and is not another one that was given its number."""
    try:
        return abs(psutil.Process(process).create_time() - started) < 1
    except psutil.Error:
        return False
