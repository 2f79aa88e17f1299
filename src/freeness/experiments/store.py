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
from freeness.experiments.checksums import checksum, intact
from freeness.experiments.claims import CLAIMS, claimed
from freeness.experiments.column import CellResult
from freeness.experiments.specification import Cell, SweepSpecification

SCHEMA_VERSION = 2
_PATIENCE = 30.0  # seconds that a locked store is waited for
_TABLES = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY, specification TEXT NOT NULL, result TEXT NOT NULL, provenance TEXT NOT NULL, committed TEXT NOT NULL,
    checksum TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS sweeps (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, specification TEXT NOT NULL, theory TEXT NOT NULL, registered TEXT NOT NULL,
    checksum TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS places (
    sweep TEXT NOT NULL, place TEXT NOT NULL, cell TEXT NOT NULL, rate REAL NOT NULL, checksum TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (sweep, place));
"""
_CHECKED = ("cells", "sweeps", "places")


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

        Raises:
            StoreError: it cannot be written.
        """
        rows = [(sweep.key, json.dumps(item.place), item.cell.key, item.cell.rate) for item in placed]
        own = (sweep.key, sweep.name, sweep.model_dump_json(), json.dumps(theory), _now())
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO sweeps VALUES (?, ?, ?, ?, ?, ?)", (*own, checksum(own)))
            self._connection.execute("DELETE FROM places WHERE sweep = ?", (sweep.key,))
            self._connection.executemany(
                "INSERT INTO places VALUES (?, ?, ?, ?, ?)", [(*row, checksum(row)) for row in rows]
            )

    def add(self, cell: Cell, result: CellResult, provenance: dict) -> None:
        """Commit a finished cell; one that is there already, and undamaged, is kept.

        Raises:
            StoreError: it cannot be written; nothing of it is, then.
        """
        row = (cell.key, cell.model_dump_json(), json.dumps(asdict(result)), json.dumps(provenance), _now())
        with self._transaction():
            there = self._connection.execute("SELECT * FROM cells WHERE key = ?", (cell.key,)).fetchone()
            if there is None or not intact(there):
                self._connection.execute(
                    "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?)", (*row, checksum(row))
                )

    def finished(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys whose cells are committed and undamaged."""
        with _told(self._path):
            found = {row[0] for row in self._connection.execute("SELECT * FROM cells") if intact(row)}
        return found.intersection(keys)

    def damaged(self) -> tuple[str, ...]:
        """Each row that is not as it was written, by its table and key.

        Raises:
            StoreError: the file itself is damaged.
        """
        with _told(self._path):
            return tuple(
                f"{table}: {row[0]}"
                for table in _CHECKED
                for row in self._connection.execute(f"SELECT * FROM {table}")
                if not intact(row)
            )

    def drop_damaged(self) -> None:
        """Forget damaged rows, whose keys may be damaged, too: what is missing then is written anew by the sweep it is of."""
        with self._transaction():
            for table in _CHECKED:
                rows = self._connection.execute(f"SELECT rowid, * FROM {table}").fetchall()
                bad = [(number,) for number, *row in rows if not intact(row)]
                self._connection.executemany(f"DELETE FROM {table} WHERE rowid = ?", bad)

    @contextmanager
    def claimed(self, sweep: str) -> Iterator[None]:
        """Hold a sweep for this process, see :func:`freeness.experiments.claims.claimed`."""
        with _told(self._path), claimed(self._connection, sweep):
            yield

    def sweeps(self) -> tuple[StoredSweep, ...]:
        """All sweeps, the one registered last at the end.

        Raises:
            StoreError: the file is damaged.
        """
        with _told(self._path):
            rows = self._connection.execute("SELECT * FROM sweeps ORDER BY registered, rowid").fetchall()
        self._require_intact(rows)
        return tuple(
            StoredSweep(key, name, SweepSpecification.model_validate_json(text), json.loads(theory))
            for key, name, text, theory, *_ in rows
        )

    def rates(self, sweep: str) -> dict[tuple[int, int, int, int], float]:
        """The absolute rate at every place of a sweep."""
        with _told(self._path):
            rows = self._connection.execute("SELECT * FROM places WHERE sweep = ?", (sweep,)).fetchall()
        self._require_intact(rows)
        return {tuple(json.loads(place)): rate for _, place, _, rate, _ in rows}

    def cells(self, sweep: str) -> tuple[StoredCell, ...]:
        """The finished cells of a sweep."""
        query = "SELECT place, cells.* FROM places JOIN cells ON cells.key = places.cell WHERE sweep = ?"
        with _told(self._path):
            rows = self._connection.execute(query, (sweep,)).fetchall()
        self._require_intact([row[1:] for row in rows])
        return tuple(
            StoredCell(tuple(json.loads(place)), json.loads(result), json.loads(made))
            for place, _, _, result, made, *_ in rows
        )

    def _require_intact(self, rows: Sequence[Sequence[str | float]]) -> None:
        bad = sum(not intact(row) for row in rows)
        if bad:
            raise StoreError(
                f"expected rows as they were written in {str(self._path)!r}, got {bad} damaged; run the same sweep again, which "
                "trains what is damaged anew."
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
        older = "".join(f"ALTER TABLE {table} ADD COLUMN checksum TEXT NOT NULL DEFAULT '';" for table in _CHECKED)
        connection.executescript(f"BEGIN IMMEDIATE; {older if version else ''} {_TABLES} {CLAIMS} COMMIT;")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for table in _CHECKED:
                _sign(connection, table)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("PRAGMA synchronous = FULL")


def _sign(connection: sqlite3.Connection, table: str) -> None:
    """Checksums of the rows of an older store, as they are found."""
    rows = connection.execute(f"SELECT rowid, * FROM {table}").fetchall()
    signed = [(checksum(columns), number) for number, *columns, _ in rows]
    connection.executemany(f"UPDATE {table} SET checksum = ? WHERE rowid = ?", signed)


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
