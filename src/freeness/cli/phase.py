"""``freeness phase``: order and chaos of deep networks with one activation."""

from __future__ import annotations

import csv as tables
import io
import json as documents
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from freeness.cli.errors import reports_errors
from freeness.cli.files import check_picture, named_numbers, write_atomically
from freeness.cli.output import stderr, stdout
from freeness.errors import InputError
from freeness.meanfield import (
    EdgeOfChaos,
    FixedPoint,
    LengthMap,
    PhaseDiagram,
    edge_of_chaos,
    fixed_point,
    phase_diagram,
)
from freeness.network import ActivationFunction
from freeness.network import activation as activation_of
from freeness.show import phase_picture, picture_bytes

SCHEMA_VERSION = 1
_SHOWN = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_Q = np.unique([*np.geomspace(0.01, 100.0, 81), *_SHOWN])  # of the critical curve
_TRAINABLE = 6.0  # depth up to which networks train, in units of ξ_c (Schoenholz et al. 2017, fig. 5)


@dataclass(frozen=True)
class _Settled:
    """The fixed point at (sigma_w, sigma_b), or the reason why there is none."""

    sigma_w: float
    sigma_b: float
    found: FixedPoint | None
    reason: str


@reports_errors
def phase_command(
    activation: Annotated[str, typer.Option(metavar="NAME", help="For instance tanh, gelu, relu.")],
    parameter: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the activation.")] = None,
    at: Annotated[
        str | None, typer.Option(metavar="SIGMA_W,SIGMA_B", help="Say where a network of these settles.")
    ] = None,
    sigma_w: Annotated[str, typer.Option(metavar="LOW,HIGH", help="Range of the diagram.")] = "0.5,3",
    sigma_b: Annotated[str, typer.Option(metavar="LOW,HIGH", help="Range of the diagram.")] = "0,1",
    points: Annotated[int, typer.Option(min=2, max=1000, help="Points of the grid, each way.")] = 101,
    out: Annotated[Path | None, typer.Option(help="Picture to write: FILE.png or FILE.svg.")] = None,
    csv: Annotated[Path | None, typer.Option(help="The grid as CSV: sigma_w, sigma_b, q, chi1.")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE|-", help="All numbers as JSON; - prints only that.")] = None,
) -> None:
    """Phase diagram of deep networks with one activation, and its critical curve, the edge of chaos.

    At the edge squared gradients neither grow nor vanish with depth (chi1 = 1). Assumes wide layers with Gaussian or
    Haar weights of variance sigma_w^2/fan_in and biases of variance sigma_b^2.

    Example: freeness phase --activation tanh --at 1.5,0.2 --out phase.png
    """
    check_picture(out)
    function = activation_of(activation, **named_numbers(parameter or [], "--parameter"))
    settled = None if at is None else _settled(function, *_pair(at, "--at"))
    diagram = phase_diagram(
        function, np.linspace(*_range(sigma_w, "--sigma-w"), points), np.linspace(*_range(sigma_b, "--sigma-b"), points)
    )
    edge, reason = _edge(function)
    document = documents.dumps(_document(activation, diagram, edge, reason, settled), allow_nan=False, indent=1) + "\n"
    written = _write(
        activation, diagram, edge, {"csv": csv, "out": out}, None if json in (None, "-") else Path(json), document
    )
    if json == "-":
        typer.echo(document, nl=False)
    else:
        _print(stdout(), function.name, edge, reason, settled)
    console = stderr() if json == "-" else stdout()
    for name, path in written:
        console.print(f"{name}: {path}", soft_wrap=True)


def _settled(function: ActivationFunction, sigma_w: float, sigma_b: float) -> _Settled:
    """Where the signal settles, or why it does not."""
    LengthMap(function, sigma_w, sigma_b)  # refuses numbers that are none of a network
    try:
        return _Settled(sigma_w, sigma_b, fixed_point(function, sigma_w, sigma_b), "")
    except InputError as error:
        return _Settled(sigma_w, sigma_b, None, str(error))


def _edge(function: ActivationFunction) -> tuple[EdgeOfChaos | None, str]:
    """The critical curve, or why there is none."""
    try:
        return edge_of_chaos(function, _Q), ""
    except InputError as error:
        return None, str(error)


def _pair(text: str, option: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"expected two numbers for {option}, separated by a comma, got {text!r}; write {option} 1.5,0.2."
        ) from None
    return first, second


def _range(text: str, option: str) -> tuple[float, float]:
    low, high = _pair(text, option)
    if not (math.isfinite(low) and math.isfinite(high) and 0 <= low < high and (low > 0 or option == "--sigma-b")):
        raise InputError(f"expected LOW < HIGH, both positive, for {option}, got {text!r}; write {option} 0.5,3.")
    return low, high


# --- printing and files -------------------------------------------------------------------------------------------


def _print(console: Console, name: str, edge: EdgeOfChaos | None, reason: str, settled: _Settled | None) -> None:
    console.print(f"Activation {name}: order and chaos over (sigma_w, sigma_b), wide layers", style="bold")
    if edge is None:
        console.print(f"No edge of chaos for q* from {_Q[0]:g} to {_Q[-1]:g}: {reason}")
    else:
        table = _table("q*", "sigma_w", "sigma_b", "fixed point")
        for i in np.flatnonzero(np.isin(edge.q, _SHOWN)):
            stability = "stable" if edge.stable[i] else "unstable"
            table.add_row(f"{edge.q[i]:.4g}", f"{edge.sigma_w[i]:.6g}", f"{edge.sigma_b[i]:.6g}", stability)
        console.print("\nEdge of chaos", style="bold")
        console.print(table)
    if settled is not None:
        _print_fixed_point(console, settled)


def _print_fixed_point(console: Console, settled: _Settled) -> None:
    found = settled.found
    kind = "no fixed point" if found is None else found.phase
    console.print(f"\nAt sigma_w = {settled.sigma_w:g}, sigma_b = {settled.sigma_b:g}: {kind}", style="bold")
    if found is None:
        console.print(settled.reason)
        return
    table = _table("", "value")
    scale = "any" if math.isinf(found.xi_c) else f"about {_TRAINABLE * found.xi_c:.0f} layers"
    for name, value in (
        ("variance of pre-activations q*", f"{found.q:.6g}"),
        ("growth of squared gradients a layer, chi1", f"{found.chi1:.6g}"),
        ("correlation of two inputs, c*", f"{found.c:.6g}"),
        ("layers over which q settles by e, xi_q", f"{found.xi_q:.4g}"),
        ("layers over which c settles by e, xi_c", f"{found.xi_c:.4g}"),
        ("trainable depth, 6 xi_c (an observed rule)", scale),
    ):
        table.add_row(name, value)
    console.print(table)


def _table(*header: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in header:
        table.add_column(name, overflow="fold", justify="left" if name in ("", "fixed point") else "right")
    return table


def _write(
    name: str,
    diagram: PhaseDiagram,
    edge: EdgeOfChaos | None,
    paths: dict[str, Path | None],
    json: Path | None,
    document: str,
) -> list[tuple[str, Path]]:
    files: list[tuple[str, Path, bytes]] = []
    if paths["csv"] is not None:
        files.append(("Table", paths["csv"], _csv(diagram).encode()))
    if json is not None:
        files.append(("All numbers", json, document.encode()))
    if paths["out"] is not None:
        files.append(("Picture", paths["out"], _picture(name, diagram, edge, paths["out"].suffix.lower()[1:])))
    for _, path, content in files:
        write_atomically(path, content)
    return [(label, path) for label, path, _ in files]


def _picture(name: str, diagram: PhaseDiagram, edge: EdgeOfChaos | None, kind: str) -> bytes:
    return picture_bytes(phase_picture(diagram, edge, title=f"{name}: blue ordered, red chaotic"), kind)


def _csv(diagram: PhaseDiagram) -> str:
    stream = io.StringIO()
    writer = tables.writer(stream, lineterminator="\n")
    writer.writerow(["sigma_w", "sigma_b", "q", "chi1"])
    for i, bias in enumerate(diagram.sigma_b):
        for j, weight in enumerate(diagram.sigma_w):
            values = (weight, bias, diagram.q[i, j], diagram.chi1[i, j])
            writer.writerow([repr(float(value)) if math.isfinite(value) else "" for value in values])
    return stream.getvalue()


def _document(
    name: str,
    diagram: PhaseDiagram,
    edge: EdgeOfChaos | None,
    reason: str,
    settled: _Settled | None,
) -> dict[str, Any]:
    """Everything as strict JSON; what is not finite is null."""
    found = None
    if settled is not None:
        point = settled.found
        keys = ("q", "chi_q", "chi1", "c", "chi_c", "xi_q", "xi_c")
        numbers = {} if point is None else {"phase": point.phase} | {key: _plain(getattr(point, key)) for key in keys}
        found = {
            "sigma_w": settled.sigma_w,
            "sigma_b": settled.sigma_b,
            **numbers,
            "none_because": settled.reason or None,
        }
    return {
        "schema_version": SCHEMA_VERSION,
        "activation": name,
        "fixed_point": found,
        "no_edge_because": reason or None,
        "edge": None
        if edge is None
        else {
            "q": _plains(edge.q),
            "sigma_w": _plains(edge.sigma_w),
            "sigma_b": _plains(edge.sigma_b),
            "stable": edge.stable.tolist(),
        },
        "diagram": {
            "sigma_w": _plains(diagram.sigma_w),
            "sigma_b": _plains(diagram.sigma_b),
            "q": [_plains(row) for row in diagram.q],
            "chi1": [_plains(row) for row in diagram.chi1],
        },
    }


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _plains(values: np.ndarray) -> list[float | None]:
    return [_plain(value) for value in values]
