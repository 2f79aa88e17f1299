"""``freeness law``: the spectrum of an expression in free variables."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from freeness.cli.command import Command
from freeness.cli.errors import reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, check_picture
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs, stdout
from freeness.errors import InputError
from freeness.expressions import LawAnswer, Method, answer_law
from freeness.numerics import time_limit
from freeness.show import document_of, law_csv, law_picture, with_sketch
from freeness.version import __version__

_VARIABLE = "The law of a variable: an inline law or an expression."


class _Way(StrEnum):
    auto = "auto"
    scalar = "scalar"
    operator = "operator"


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
    seconds: Annotated[
        float | None,
        typer.Option(min=0, metavar="N", help="CPU time for all of it; without it each question has 20 seconds."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Picture to write: FILE.png or FILE.svg.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Grid, density and distribution function as CSV.")] = None,
    json: Annotated[str | None, JSON_OPTION] = None,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """The eigenvalue density of sums, products and more of free random matrices.

    Each law is a random matrix of its own; a NAME bound by --x, --y, --z or --let is the same one wherever it comes.

    Examples:
      freeness law "mp:0.5 + semicircle:0.1" --out law.png
      freeness law "x*y + y*x" --x semicircle --y mp:1 --sample 1000
      freeness law "i*commutator(p, q)" --let p=projection:0.5 --let q=bernoulli
      freeness law "x[0] + y[1]" --x semicircle --y mp:1

    Laws:
      semicircle:VARIANCE   mp:RATIO             projection:TRACE
      uniform:LOW,HIGH      point:X              atoms:X@WEIGHT,X@WEIGHT
      bernoulli             arcsine              wachter:FIRST,SECOND
      fuss_catalan:ORDER    kesten_mckay:DEGREE  empirical:FILE
      circular:VARIANCE     haar (a unitary)

    Operations:
      + - * / ** ( )   adjoint(p)   inverse(p)   i, the imaginary unit
      commutator(p, q)   anticommutator(p, q)
      x[0], x[0,1]: x on these legs of a tensor; x[0] and y[1] commute

    An expression that begins with a minus sign goes into brackets.
    """
    check_picture(out)
    check_files(out, csv, json, force=force)
    texts = {name: text for name, text in (("x", x), ("y", y), ("z", z)) if text is not None}
    for pair in let or []:
        name, equals, text = pair.partition("=")
        if not equals or name.strip() in texts:
            raise InputError(
                f"expected --let NAME=LAW with a new name, got {pair!r}; write for instance --let p=projection:0.5."
            )
        texts[name.strip()] = text
    with nullcontext() if seconds is None else time_limit(seconds):
        record = _answered(expression, texts, method.value, points=points, sample=sample, seed=seed)
        outputs = Outputs(json)
        outputs.add("Table", csv, lambda: law_csv(record.table))
        outputs.picture(out, lambda: law_picture(record.law, sampled=record.sampled, title=expression))
        stamp = {"freeness_version": __version__}
        outputs.give(stamp | document_of(record), with_sketch(record, stdout()))


def _answered(expression: str, texts: dict[str, str], method: Method, **how: Any) -> LawAnswer:
    """What is wrong with a variable is said with its option."""
    try:
        return answer_law(expression, texts, method, **how)
    except InputError as error:
        name, _, said = str(error).partition(": ")
        if name not in texts:
            raise
        raise InputError(f"{f'--{name}' if name in ('x', 'y', 'z') else f'--let {name}='}: {said}") from error


COMMAND = Command("law", law_command, "Theory and experiments", "Eigenvalue densities of random matrices.", 10)
