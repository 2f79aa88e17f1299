"""``freeness kernel``: NNGP and tangent kernels of wide networks on a data set."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from freeness.cli.architecture import Sizes, of_equal_norm, wide_network
from freeness.cli.command import Command
from freeness.cli.completion import activations
from freeness.cli.data_option import DATA_OPTION, rows_of
from freeness.cli.errors import reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, named_numbers
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs
from freeness.errors import InputError
from freeness.gaussian import activation as activation_of
from freeness.meanfield import Kernels, kernels
from freeness.show import Answer, Section, Sentence, answer_of, document_of


@reports_errors
def kernel_command(
    activation: Annotated[
        str, typer.Option(metavar="NAME", help="For instance tanh, gelu, relu.", autocompletion=activations)
    ],
    depth: Annotated[int, typer.Option(min=1, max=100_000, help="Weight matrices.")],
    sigma_w: Annotated[float, typer.Option(help="Weights have variance sigma_w^2/fan_in.")],
    sigma_b: Annotated[float, typer.Option(help="Biases have variance sigma_b^2.")] = 0.0,
    parameter: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the activation, as negative_slope=0.2.")
    ] = None,
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
    json: Annotated[str | None, JSON_OPTION] = None,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """The kernels (NNGP and tangent kernel) of wide networks on a data set.

    NNGP: covariance of the outputs over random weights. Tangent kernel (NTK): inner products of their gradients by the
    weights. Both are exact in the limit of wide layers. The spectrum of the tangent kernel says how fast gradient
    descent fits the data. Full-batch steps on the mean over n inputs of squared errors are stable below n/lambda_max,
    in NTK parametrisation.

    Example:
      freeness kernel --activation erf --depth 10 --sigma-w 1.2
    """
    if out is not None and out.suffix != ".npz":
        raise InputError(f"expected a file FILE.npz for the kernels, got {out.name!r}; change the ending.")
    check_files(out, json, force=force)
    function = activation_of(activation, **named_numbers(parameter))
    rows = rows_of(data, count)
    inputs, source = rows.inputs, rows.described
    if not raw:
        inputs = of_equal_norm(inputs)
    sizes = Sizes(inputs.shape[1], inputs.shape[1])  # widths do not enter the limit of wide layers
    network = wide_network(sizes, function, depth, (sigma_w, sigma_b), residual)
    found = kernels(network, inputs)
    outputs = Outputs(json)
    outputs.add("Kernels", out, lambda: _arrays(found))
    kind = activation if residual is None else f"residual {activation}"
    said = Section("", (Sentence(f"Inputs: {len(found.ntk)} from {source}"),))
    shown = answer_of(found)
    title = f"Tangent kernel of {kind} networks with {found.depth} weight matrices"
    names = {"activation": activation, "data": source, "residual": residual}
    document = names | document_of(found)
    outputs.give(document, Answer(title, (said, *shown.sections)))


def _arrays(found: Kernels) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, nngp=found.nngp, ntk=found.ntk)
    return stream.getvalue()


COMMAND = Command("kernel", kernel_command, "Theory and experiments", "NNGP and tangent kernels of wide networks.", 20)
