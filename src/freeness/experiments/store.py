"""The store of results: one SQLite file (WAL), a row a cell, named by the hash of its specification.

Only the driver of a sweep writes, one transaction a finished cell; what is committed survives the death of any process. Several
sweeps share a store, and cells.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from freeness.errors import FreenessError, InputError
from freeness.experiments.cells import Placed
from freeness.experiments.column import CellResult
from freeness.experiments.specification import Cell, SweepSpecification

SCHEMA_VERSION = 1
_PATIENCE = 30.0  # seconds that a locked store is waited for
_TABLES = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY, specification TEXT NOT NULL, result TEXT NOT NULL, provenance TEXT NOT NULL, committed TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sweeps (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, specification TEXT NOT NULL, theory TEXT NOT NULL, registered TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS places (
    sweep TEXT NOT NULL, place TEXT NOT NULL, cell TEXT NOT NULL, rate REAL NOT NULL, PRIMARY KEY (sweep, place));
"""


class StoreError(FreenessError):
    """The store could not be written or read: the disk is full, another process holds it, or the file is damaged."""


@dataclass(frozen=True)
class StoredSweep:
    """A sweep as the store has it: ``theory`` holds what was predicted when it was registered."""

    key: str
    name: str
    specification: SweepSpecification
    theory: dict


@dataclass(frozen=True)
class StoredCell:
    """A finished cell at its place; ``result`` and ``provenance`` as they were written."""

    place: tuple[int, int, int, int]
    result: dict
    provenance: dict


class Store:
    """An open store; made by :func:`open_store`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path

    def register(self, sweep: SweepSpecification, placed: Sequence[Placed], theory: dict) -> None:
        """Write down a sweep, the cells it consists of and what theory says of it; the last one registered opens by default.

        Args:
            sweep: its specification.
            placed: its cells.
            theory: anything that JSON can hold.

        Raises:
            StoreError: it cannot be written.
        """
        rows = [(sweep.key, json.dumps(item.place), item.cell.key, item.cell.rate) for item in placed]
        with self._transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO sweeps VALUES (?, ?, ?, ?, ?)",
                (sweep.key, sweep.name, sweep.model_dump_json(), json.dumps(theory), _now()),
            )
            self._connection.execute("DELETE FROM places WHERE sweep = ?", (sweep.key,))
            self._connection.executemany("INSERT INTO places VALUES (?, ?, ?, ?)", rows)

    def add(self, cell: Cell, result: CellResult, provenance: dict) -> None:
        """Commit a finished cell; one that is there already is kept.

        Args:
            cell: whose key names the row.
            result: of its training.
            provenance: versions and machine.

        Raises:
            StoreError: it cannot be written; nothing of it is, then.
        """
        row = (cell.key, cell.model_dump_json(), json.dumps(asdict(result)), json.dumps(provenance), _now())
        with self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO cells VALUES (?, ?, ?, ?, ?)", row)

    def finished(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys whose cells are committed.

        Args:
            keys: of cells.
        """
        with _told(self._path):
            found = {key for (key,) in self._connection.execute("SELECT key FROM cells")}
        return found.intersection(keys)

    def sweeps(self) -> tuple[StoredSweep, ...]:
        """All sweeps, the one registered last at the end.

        Raises:
            StoreError: the file is damaged.
        """
        with _told(self._path):
            rows = self._connection.execute(
                "SELECT key, name, specification, theory FROM sweeps ORDER BY registered, rowid"
            ).fetchall()
        return tuple(
            StoredSweep(key, name, SweepSpecification.model_validate_json(text), json.loads(theory))
            for key, name, text, theory in rows
        )

    def rates(self, sweep: str) -> dict[tuple[int, int, int, int], float]:
        """The absolute rate at every place of a sweep.

        Args:
            sweep: its key.
        """
        with _told(self._path):
            rows = self._connection.execute("SELECT place, rate FROM places WHERE sweep = ?", (sweep,)).fetchall()
        return {tuple(json.loads(place)): rate for place, rate in rows}

    def cells(self, sweep: str) -> tuple[StoredCell, ...]:
        """The finished cells of a sweep.

        Args:
            sweep: its key.
        """
        query = "SELECT place, result, provenance FROM places JOIN cells ON cells.key = places.cell WHERE sweep = ?"
        with _told(self._path):
            rows = self._connection.execute(query, (sweep,)).fetchall()
        return tuple(
            StoredCell(tuple(json.loads(place)), json.loads(result), json.loads(made)) for place, result, made in rows
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _told(self._path), self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield


@contextmanager
def open_store(path: Path | str, *, create: bool = True, patience: float = _PATIENCE) -> Iterator[Store]:
    """A store, made if it is missing.

    Args:
        path: of the file; on a disk of this machine (SQLite's log does not work over network file systems).
        create: False refuses a file that is missing.
        patience: seconds to wait for another process that writes.

    Raises:
        InputError: it cannot be opened, is no store, or is one of a newer freeness.
        StoreError: another process holds it, the disk is full, or the file is damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "results.sqlite") as store:
        ...     store.sweeps()
        ()
    """
    where = Path(path)
    if not create and not where.is_file():
        raise InputError(
            f"expected a store of results, got {str(where)!r}, which does not exist; run freeness sweep first."
        )
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(where, timeout=patience, isolation_level=None)
    except (OSError, sqlite3.OperationalError) as error:
        raise InputError(
            f"expected a file that can be made, got {str(where)!r} ({error}); choose another one."
        ) from error
    with closing(connection):
        with _told(where):
            _prepare(connection, where)
        yield Store(connection, where)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise InputError(
            f"expected a store of schema {SCHEMA_VERSION} or older, got schema {version} in {str(path)!r}; update freeness."
        )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise InputError(
            f"expected a store of freeness, got another SQLite database in {str(path)!r}; choose another file."
        )
    if version < SCHEMA_VERSION:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    connection.execute("PRAGMA synchronous = FULL")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's errors as sentences."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            advice = "another process holds it: end that one, or wait"
        elif "full" in str(error) or "disk I/O" in str(error):
            advice = "free some space on its disk"
        elif "readonly" in str(error) or "unable to open" in str(error):
            advice = "make file and folder writable"
        else:
            raise StoreError(_damaged(path, error)) from error
        raise StoreError(f"expected to write the store {str(path)!r}, got {error}; {advice}.") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(_damaged(path, error)) from error


def _damaged(path: Path, error: sqlite3.Error) -> str:
    return f"expected a store of results in {str(path)!r}, got a damaged or foreign file ({error}); restore it or choose another."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
