"""``freeness kernel``: NNGP and tangent kernels of wide networks on a data set."""

from __future__ import annotations

import io
import json as documents
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from freeness.cli.architecture import Sizes, scaled, wide_network
from freeness.cli.data_option import DATA_OPTION, rows_of
from freeness.cli.errors import reports_errors
from freeness.cli.files import check_files, named_numbers, write_atomically
from freeness.cli.output import stderr, stdout
from freeness.errors import InputError
from freeness.meanfield import Kernels, kernels
from freeness.network import activation as activation_of

SCHEMA_VERSION = 1


@reports_errors
def kernel_command(
    activation: Annotated[str, typer.Option(metavar="NAME", help="For instance tanh, gelu, relu.")],
    depth: Annotated[int, typer.Option(min=1, max=100_000, help="Weight matrices.")],
    sigma_w: Annotated[float, typer.Option(help="Weights have variance sigma_w^2/fan_in.")],
    sigma_b: Annotated[float, typer.Option(help="Biases have variance sigma_b^2.")] = 0.0,
    parameter: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the activation.")] = None,
    residual: Annotated[
        float | None,
        typer.Option(
            metavar="BETA", help="Hidden layers are x + BETA*W*phi(x), then phi before the last; else a plain chain."
        ),
    ] = None,
    data: Annotated[str, DATA_OPTION] = "fashion-mnist",
    count: Annotated[int, typer.Option(min=1, max=20_000, help="The first so many inputs.")] = 256,
    raw: Annotated[
        bool, typer.Option("--raw", help="Keep the norms; otherwise all inputs are scaled to sqrt(N_0).")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Both kernels as FILE.npz, arrays nngp and ntk.")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE|-", help="The numbers as JSON; - prints only that.")] = None,
) -> None:
    """NNGP and tangent (NTK) kernels of wide networks on a data set.

    Exact in the limit of wide layers. The spectrum of the tangent kernel says how fast gradient descent fits the data:
    full-batch steps on the mean over n inputs of
    squared errors are stable below n/lambda_max, in NTK parametrisation.

    Example: freeness kernel --activation erf --depth 10 --sigma-w 1.2 --sigma-b 0.1 --out kernels.npz
    """
    if out is not None and out.suffix != ".npz":
        raise InputError(f"expected a file FILE.npz for the kernels, got {out.name!r}; change the ending.")
    check_files(out, None if json in (None, "-") else Path(json))
    function = activation_of(activation, **named_numbers(parameter or [], "--parameter"))
    rows = rows_of(data, count)
    inputs, source = rows.inputs, rows.described
    if not raw:
        inputs = scaled(inputs)
    sizes = Sizes(inputs.shape[1], inputs.shape[1])  # widths do not enter the limit of wide layers
    network = wide_network(sizes, function, depth, (sigma_w, sigma_b), residual)
    found = kernels(network, inputs)
    values = np.linalg.eigvalsh(found.ntk)
    document = documents.dumps(_document(activation, residual, source, found, values), allow_nan=False, indent=1) + "\n"
    written: list[tuple[str, Path]] = []
    if json not in (None, "-"):
        write_atomically(Path(json), document.encode())
        written.append(("Numbers", Path(json)))
    if out is not None:
        stream = io.BytesIO()
        np.savez(stream, nngp=found.nngp, ntk=found.ntk)
        write_atomically(out, stream.getvalue())
        written.append(("Kernels", out))
    if json == "-":
        typer.echo(document, nl=False)
    else:
        _print(activation if residual is None else f"residual {activation}", source, found, values)
    console = stderr() if json == "-" else stdout()
    for name, path in written:
        console.print(f"{name}: {path}", soft_wrap=True)


def _document(
    activation: str, residual: float | None, source: str, found: Kernels, values: np.ndarray
) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "activation": activation,
        "data": source,
        "inputs": len(values),
        "depth": found.depth,
        "residual": residual,
        "nngp_lowest_eigenvalue": found.lowest,
        "ntk_mean_diagonal": float(np.trace(found.ntk)) / len(values),
        "ntk_eigenvalues": values.tolist(),
        "largest_stable_learning_rate": len(values) / float(values[-1]),
    }


def _print(kind: str, source: str, found: Kernels, values: np.ndarray) -> None:
    console = stdout()
    console.print(f"Tangent kernel of {kind} networks with {found.depth} weight matrices", style="bold")
    console.print(f"Inputs: {len(values)} from {source}")
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("", overflow="fold")
    table.add_column("value", justify="right")
    condition = f"{values[-1] / values[0]:.4g}" if values[0] > 1e-13 * values[-1] else "beyond 1e13"
    for name, value in (
        ("largest eigenvalue", f"{values[-1]:.6g}"),
        ("smallest eigenvalue", f"{values[0]:.6g}"),
        ("condition number", condition),
        ("mean of the diagonal", f"{np.trace(found.ntk) / len(values):.6g}"),
        (
            "largest stable learning rate, full batch, mean squared error, NTK parametrisation",
            f"{len(values) / values[-1]:.4g}",
        ),
        ("smallest eigenvalue of the NNGP kernel", f"{found.lowest:.6g}"),
    ):
        table.add_row(name, value)
    console.print(table)
