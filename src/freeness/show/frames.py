"""Records as pandas DataFrames, with numbers as numbers: one function for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import singledispatch
from typing import TYPE_CHECKING, Any

from freeness.advice import Analysis, Comparison, Design, FreenessOutcome, LayerRow, ModuleRow
from freeness.errors import InputError
from freeness.show.answer import Table

if TYPE_CHECKING:
    import pandas

_WORD = ("name", "word", "value", "expected", "deviation", "tested", "score", "free")


@singledispatch
def frame(record: Any) -> pandas.DataFrame:
    """A record as a DataFrame.

    Of an ``Analysis`` its layers, a row each, with the columns of the chain beside those of the batch; of a ``Comparison`` mean,
    standard deviation and largest eigenvalue, in theory and measured; of a ``FreenessOutcome`` the measured words; of a
    ``Design`` what it is compared with, and itself last; of a ``Table`` its text. A number that does not exist is NaN.
    Sweeps have :func:`freeness.experiments.frame`.

    Raises:
        InputError: another record, or pandas is not installed.

    Example:
        >>> import freeness as fr
        >>> frame(fr.design(20, 100, "tanh", 0.25))[["name", "growth", "spread"]].round(3).values.tolist()[-1]
        ['this design', 1.0, 0.25]
    """
    raise InputError(
        f"expected an Analysis, Comparison, FreenessOutcome, Design or Table, got {type(record).__name__}; for a sweep call "
        "freeness.experiments.frame."
    )


@frame.register(Table)
def _(record: Table) -> pandas.DataFrame:
    return _made(record.rows, record.header)


@frame.register(Analysis)
def _(record: Analysis) -> pandas.DataFrame:
    rows: dict[str, dict[str, Any]] = {row.name: asdict(row) for row in record.layers}
    for row in record.chain:
        rows[row.name] = rows.get(row.name, {}) | asdict(row)
    columns = dict.fromkeys(field.name for kind in (ModuleRow, LayerRow) for field in fields(kind))
    return _made(list(rows.values()), list(columns))


@frame.register(Comparison)
def _(record: Comparison) -> pandas.DataFrame:
    return _made(record.numbers, ("quantity", "theory", "measured")).astype({"theory": float})


@frame.register(FreenessOutcome)
def _(record: FreenessOutcome) -> pandas.DataFrame:
    words = record.test.words if record.test else ()
    rows = [[getattr(word, name) if name != "score" or word.tested else None for name in _WORD] for word in words]
    return _made(rows, _WORD).astype({"score": float})


@frame.register(Design)
def _(record: Design) -> pandas.DataFrame:
    return _made([{"name": row.name, "source": row.source} | row.numbers for row in record.table], ())


def _made(rows: Sequence[Any], columns: Sequence[str]) -> pandas.DataFrame:
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise InputError(
            "expected the package pandas, which is not installed; run pip install 'freeness[sweep]', which brings it."
        ) from error
    return pandas.DataFrame(list(rows), columns=list(columns) or None)
