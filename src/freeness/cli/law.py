"""``freeness law``: the spectrum of an expression in free variables."""

from __future__ import annotations

import csv as tables
import io
import json as documents
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from freeness.cli.errors import reports_errors
from freeness.cli.files import check_picture, write_atomically
from freeness.cli.output import stderr, stdout
from freeness.cli.sketch import sketch
from freeness.errors import InputError
from freeness.expressions import Element
from freeness.expressions.expression import Method
from freeness.expressions.form_matrix import sample_expression
from freeness.expressions.grammar import ParsedLaw, parse_law, parse_variable
from freeness.laws import Law
from freeness.laws.distance import kolmogorov
from freeness.laws.table import LawTable, tabulate
from freeness.show import law_picture, picture_bytes

SCHEMA_VERSION = 1
_MOMENTS = 6
_ROUNDING = 1e-14  # a printed moment below this multiple of the support's radius to its order is 0
_SHOWN = 12  # bands, and atoms, in the printed tables

_VARIABLE = "The law of a variable: an inline law or an expression."


class _Way(StrEnum):
    auto = "auto"
    scalar = "scalar"
    operator = "operator"


@dataclass(frozen=True, eq=False)
class _Result:
    """Everything the command found out, to be printed and written."""

    expression: str
    variables: dict[str, str]
    parsed: ParsedLaw
    moments: np.ndarray
    table: LawTable
    sampled: np.ndarray | None
    seed: int

    @property
    def law(self) -> Law:
        return self.parsed.law


@reports_errors
def law_command(
    expression: Annotated[str, typer.Argument(metavar="EXPR", help='For instance "mp:0.5 + semicircle:0.1".')],
    x: Annotated[str | None, typer.Option(metavar="LAW", help=_VARIABLE)] = None,
    y: Annotated[str | None, typer.Option(metavar="LAW", help=_VARIABLE)] = None,
    z: Annotated[str | None, typer.Option(metavar="LAW", help=_VARIABLE)] = None,
    let: Annotated[
        list[str] | None, typer.Option(metavar="NAME=LAW", help="Any other variable; may come several times.")
    ] = None,
    method: Annotated[_Way, typer.Option(help="Scalar moves, a matrix linearisation, or whichever fits.")] = _Way.auto,
    points: Annotated[int, typer.Option(min=1, max=1_000_000, help="Points of the grid in the files.")] = 400,
    sample: Annotated[int | None, typer.Option(min=1, max=5000, help="Also sample a matrix of this size.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the sampled matrix.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Picture to write: FILE.png or FILE.svg.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Grid, density and distribution function as CSV.")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE|-", help="All numbers as JSON; - prints only that.")] = None,
) -> None:
    """Spectrum of an expression in free random variables.

    Every inline law is a fresh free variable: semicircle:VARIANCE, mp:RATIO, projection:TRACE, bernoulli, arcsine,
    uniform:LOW,HIGH, point:X, atoms:X@WEIGHT,X@WEIGHT, empirical:FILE, fuss_catalan:ORDER, kesten_mckay:DEGREE,
    wachter:FIRST,SECOND, and haar (a unitary) or circular:VARIANCE. A name bound by --x, --y, --z or --let is one variable
    wherever it comes. Combine by +, -, *, /, ** and brackets, adjoint(p), inverse(p), commutator(p, q),
    anticommutator(p, q), and i for the imaginary unit; an expression that begins with a minus sign goes into brackets.

    Examples: freeness law "x*y + y*x" --x semicircle --y mp:1 --sample 1000 --out law.png;
    freeness law "i*commutator(p, q)" --let p=projection:0.5 --let q=projection:0.3
    """
    check_picture(out)
    texts = {name: text for name, text in (("x", x), ("y", y), ("z", z)) if text is not None}
    for pair in let or []:
        name, equals, text = pair.partition("=")
        if not equals or name.strip() in texts:
            raise InputError(
                f"expected --let NAME=LAW with a new name, got {pair!r}; write for instance --let p=projection:0.5."
            )
        texts[name.strip()] = text
    parsed = _parse(expression, texts, method.value)
    sampled = None if sample is None else sample_expression(parsed.meaning, sample, np.random.default_rng(seed))
    table = tabulate(parsed.law, points)
    result = _Result(expression, texts, parsed, parsed.law.moments(_MOMENTS), table, sampled, seed)
    written = _write(result, out, csv, None if json == "-" else json)
    if json == "-":
        typer.echo(_json(result), nl=False)
    else:
        _print(stdout(), result)
    console = stderr() if json == "-" else stdout()
    for name, path in written:
        console.print(f"{name}: {path}", soft_wrap=True)


def _parse(expression: str, texts: dict[str, str], method: Method) -> ParsedLaw:
    """The expression, with each variable's own text read first."""
    laws: dict[str, Law | Element] = {}
    notes: list[str] = []
    for name, text in texts.items():
        try:
            bound = parse_variable(text)
        except InputError as error:
            option = f"--{name}" if name in ("x", "y", "z") else f"--let {name}="
            hint = " The law of a variable cannot use other names." if "bound name" in str(error) else ""
            raise InputError(f"{option}: {error}{hint}") from error
        laws[name] = bound if isinstance(bound, Element) else bound.law
        notes += [] if isinstance(bound, Element) else [f"In {name}: {note}" for note in bound.notes]
    parsed = parse_law(expression, laws, method)
    return replace(parsed, notes=(*notes, *parsed.notes))


# --- printing -----------------------------------------------------------------------------------------------------


def _print(console: Console, result: _Result) -> None:
    law = result.law
    console.print(result.expression, style="bold", soft_wrap=True)
    console.print(result.parsed.reason)
    for note in result.parsed.notes:
        console.print(f"Note: {note}")
    _print_table(console, "Support", ("from", "to", "left end", "right end"), _bands(law))
    heaviest = sorted(sorted(law.atoms, key=lambda atom: -atom.mass)[:_SHOWN])
    _print_table(console, "Atoms", ("at", "mass"), [(_number(x), _number(mass)) for x, mass in heaviest])
    if len(law.atoms) > _SHOWN:
        console.print(f"and {len(law.atoms) - _SHOWN} lighter atoms")
    noise = _ROUNDING * np.abs(law.hull).max() ** np.arange(1, _MOMENTS + 1)
    moments = np.where(np.abs(result.moments) <= noise, 0.0, result.moments)
    rows = [("mean", _number(moments[0])), ("variance", _number(law.variance))]
    rows += [(f"moment {order}", _number(value)) for order, value in enumerate(moments, start=1)]
    if result.sampled is not None:
        distance = f"{kolmogorov(law, result.sampled):.2g}"
        rows.append((f"Kolmogorov distance to a sampled matrix of size {result.sampled.size}", distance))
    if not result.table.converged.all():
        rows.append(("grid points that did not converge", str(int((~result.table.converged).sum()))))
    _print_table(console, "Numbers", ("", "value"), rows)
    console.print("\nDensity" + (" (marks below: atoms)" if law.atoms else ""), style="bold")
    lines = sketch(law, console.width, console.encoding)
    for line in lines:
        console.print(line, soft_wrap=True)
    if any("?" in line for line in lines):
        console.print(
            "?: columns where the law did not converge, on an edge or beside an atom; the others are not touched by it."
        )


def _bands(law: Law) -> list[tuple[str, ...]]:
    if len(law.bands) > _SHOWN:
        low, high = law.hull
        return [(_number(low), _number(high), f"{len(law.bands)} bands in between", "")]
    ends = iter(law.edges)
    rows = []
    for left, right in zip(ends, ends, strict=True):
        kinds = (f"{edge.kind} (exponent {edge.exponent:.2g})" for edge in (left, right))
        rows.append((_number(left.position), _number(right.position), *kinds))
    return rows


def _print_table(console: Console, title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        return
    console.print(f"\n{title}", style="bold")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in header:
        table.add_column(
            name, overflow="fold", justify="right" if name in ("from", "to", "at", "mass", "value") else "left"
        )
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _number(value: float) -> str:
    return f"{value:.8g}"


# --- files --------------------------------------------------------------------------------------------------------


def _write(result: _Result, out: Path | None, csv: Path | None, json: str | None) -> list[tuple[str, Path]]:
    files: list[tuple[str, Path, bytes]] = []
    if csv is not None:
        files.append(("Table", csv, _csv(result.table).encode()))
    if json is not None:
        files.append(("All numbers", Path(json), _json(result).encode()))
    if out is not None:
        picture = law_picture(result.law, sampled=result.sampled, title=result.expression)
        files.append(("Picture", out, picture_bytes(picture, out.suffix.lower()[1:])))
    for _, path, content in files:
        write_atomically(path, content)
    return [(name, path) for name, path, _ in files]


def _csv(table: LawTable) -> str:
    stream = io.StringIO()
    writer = tables.writer(stream, lineterminator="\n")
    writer.writerow(["x", "density", "cdf", "error", "status"])
    for *values, converged in zip(table.x, table.density, table.cdf, table.error, table.converged, strict=True):
        numbers = [repr(float(value)) if math.isfinite(value) else "" for value in values]
        writer.writerow([*numbers, _status(converged)])
    return stream.getvalue()


def _json(result: _Result) -> str:
    """Everything as strict JSON; what is not finite is null."""
    law, table = result.law, result.table
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "freeness_version": _version(),
        "expression": result.expression,
        "variables": result.variables,
        "method": result.parsed.method,
        "notes": list(result.parsed.notes),
        "mean": _plain(law.mean),
        "variance": _plain(law.variance),
        "moments": _plains(result.moments),
        "support": [_plains(interval) for interval in law.support],
        "edges": [
            {"position": edge.position, "side": edge.side, "kind": edge.kind, "exponent": _plain(edge.exponent)}
            for edge in law.edges
        ],
        "atoms": [{"position": _plain(position), "mass": _plain(mass)} for position, mass in law.atoms],
        "grid": {
            "x": _plains(table.x),
            "density": _plains(table.density),
            "cdf": _plains(table.cdf),
            "error": _plains(table.error),
            "status": [_status(converged) for converged in table.converged],
        },
        "sampled": None
        if result.sampled is None
        else {
            "size": result.sampled.size,
            "seed": result.seed,
            "eigenvalues": _plains(result.sampled),
            "kolmogorov": kolmogorov(law, result.sampled),
        },
    }
    return documents.dumps(document, allow_nan=False, indent=1) + "\n"


def _version() -> str:
    try:
        return metadata.version("freeness")
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plains(values: Sequence[float] | np.ndarray) -> list[float | None]:
    return [_plain(value) for value in values]


def _status(converged: bool) -> str:
    return "converged" if converged else "unconverged"
