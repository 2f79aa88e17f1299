"""``freeness design``: how to start a deep network, from theory alone."""

from __future__ import annotations

import json as documents
import math
import sys
import textwrap
from contextlib import redirect_stdout
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from freeness.advice import Candidate, Descent, Design, DesignOptions, Training, design
from freeness.advice.design import Form
from freeness.advice.learning_rate import KnownOptimizer, Loss
from freeness.advice.theory_rate import Parametrisation
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import check_picture, named_numbers, rendered, write_atomically
from freeness.cli.output import stderr, stdout
from freeness.errors import InputError
from freeness.network import activation as activation_of

if TYPE_CHECKING:
    from freeness.torch import InitializedLayer

SCHEMA_VERSION = 1
_WIDTH = 512
_NAMES = 4  # of layers in one note
_ZERO = 1e-6  # a spread below it is printed as 0
_LOSSES = ", ".join(get_args(Loss))
_FORMS = ", ".join(get_args(Form))
_PARAMETRISATIONS = ", ".join(get_args(Parametrisation))


@reports_errors
def design_command(
    depth: Annotated[
        int | None,
        typer.Option(help="Weight matrices L; there are L - 1 activations. Read from the model with --apply."),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(metavar="N|N_0,...,N_L", help=f"One width or all; {_WIDTH}, or the model's with --apply."),
    ] = None,
    activation: Annotated[str, typer.Option(metavar="NAME", help="For instance tanh, hardtanh, gelu.")] = "tanh",
    parameter: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the activation.")] = None,
    isometry: Annotated[
        float | None,
        typer.Option(help="Relative variance of the squared singular values of the Jacobian; 0.25, or the nearest."),
    ] = None,
    weights: Annotated[str, typer.Option(metavar="haar|gaussian", help="Ensemble.")] = "haar",
    form: Annotated[str, typer.Option(help=f"Of the activation: {_FORMS}.")] = "plain",
    qhat0: Annotated[float, typer.Option(help="Mean square of the inputs' entries; 1 for standardised data.")] = 1.0,
    scale_inputs: Annotated[
        bool, typer.Option("--scale-inputs", help="Inputs will be multiplied by the scale that is printed.")
    ] = False,
    loss: Annotated[str, typer.Option(help=f"Averaged over the batch: {_LOSSES}.")] = "cross_entropy",
    optimizer: Annotated[str, typer.Option(help="sgd, momentum or nesterov.")] = "sgd",
    momentum: Annotated[float, typer.Option(help="Of momentum and nesterov.")] = 0.9,
    weight_decay: Annotated[float, typer.Option(help="Added to the gradient.")] = 0.0,
    batch: Annotated[int, typer.Option(help="Samples a step.")] = 1,
    correlation: Annotated[float | None, typer.Option(help="Of two inputs; gives a batch its own bound.")] = None,
    parametrisation: Annotated[str, typer.Option(help=f"{_PARAMETRISATIONS}.")] = "standard",
    out: Annotated[Path | None, typer.Option(help="Picture of the trade-off to write: FILE.png or FILE.svg.")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE|-", help="All numbers as JSON; - prints only that.")] = None,
    apply: Annotated[
        str | None, typer.Option(metavar="FILE.py:FACTORY", help="Initialise this model by the design; runs its code.")
    ] = None,
    save: Annotated[Path | None, typer.Option(metavar="FILE.pt", help="The initialised model's state_dict.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the weights, with --apply.")] = 0,
) -> None:
    """Initialisation, activation and learning rate of a deep network, from theory alone, beside the usual ones.

    The network is put on the edge of chaos at the variance where its Jacobian has the isometry asked for.

    Example: freeness design --depth 50 --activation tanh --isometry 0.25

    Your own model: freeness design --activation tanh --apply model.py:build --save start.pt
    """
    check_picture(out)
    if (save is None) != (apply is None):
        raise InputError(
            "expected --apply and --save together, got one of them; the model's start is written to FILE.pt."
        )
    options = DesignOptions(_typed(weights), _typed(form), qhat0, scale_inputs)
    descent = Descent(cast(KnownOptimizer, optimizer), momentum, weight_decay)
    training = Training(cast(Loss, loss), descent, batch, correlation, cast(Parametrisation, parametrisation))
    function = activation_of(activation, **named_numbers(parameter or [], "--parameter"))
    model, widths = (None, None) if apply is None else _model(apply, seed, sizes=depth is None or width is None)
    sizes = widths if width is None and widths is not None else _widths(width)
    if depth is None:
        depth = len(widths) - 1 if widths is not None else 0
        if widths is None:
            raise InputError(
                "expected --depth, the number of weight matrices, got none; write for instance --depth 50."
            )
    found = design(depth, sizes, function, isometry, options, training)
    applied = () if model is None else _applied(model, found, seed)
    document = documents.dumps(_document(found, applied), allow_nan=False, indent=1) + "\n"
    written = _write(found, out, None if json in (None, "-") else Path(json), document, (model, save))
    if json == "-":
        typer.echo(document, nl=False)
    else:
        _print(stdout(), found, applied)
    console = stderr() if json == "-" else stdout()
    for name, path in written:
        console.print(f"{name}: {path}", soft_wrap=True)


def _typed(value: str) -> Any:
    """Handed on as it is: the library says which values it takes."""
    return value


def _widths(text: str | None) -> int | list[int]:
    if text is None:
        return _WIDTH
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"expected whole numbers for --width, separated by commas, got {text!r}; write --width 784,512,10."
        ) from None
    return found[0] if len(found) == 1 else found


# --- the user's model ---------------------------------------------------------------------------------------------


def _model(spec: str, seed: int, *, sizes: bool) -> tuple[Any, list[int] | None]:
    """The model, and its widths where they are asked for."""
    with needs_extra("torch"):
        from freeness.torch import load_model, split_model
        from freeness.torch.apply import chain_widths
    stderr().print(f"Note: this runs the code in {split_model(spec)[0]}.", soft_wrap=True)
    with redirect_stdout(sys.stderr):  # what the user's code prints is not a result
        model = load_model(spec, seed)
    return model, list(chain_widths(model)) if sizes else None


def _applied(model: Any, found: Design, seed: int) -> tuple[InitializedLayer, ...]:
    from freeness.torch import InitializeOptions, initialize_
    from freeness.torch.sampling import seeded_generator

    swap = found.activation is not found.named
    return initialize_(model, found, generator=seeded_generator(seed), options=InitializeOptions(swap=swap))


def _write(
    found: Design, out: Path | None, json: Path | None, document: str, saved: tuple[Any, Path | None]
) -> list[tuple[str, Path]]:
    files: list[tuple[str, Path, bytes]] = []
    if json is not None:
        files.append(("All numbers", json, document.encode()))
    if out is not None:
        from freeness.plots import figure_of, plot_trade_off

        title = f"{found.named.name}, {found.depth - 1} activations: isometry against nonlinearity"
        axes = plot_trade_off(found.trade_off(), found.isometry, title=title)
        files.append(("Picture", out, rendered(figure_of(axes), out.suffix.lower()[1:])))
    model, path = saved
    if path is not None:
        from freeness.torch.apply import state_bytes

        files.append(("Start", path, state_bytes(model)))
    for _, target, content in files:
        write_atomically(target, content)
    return [(label, target) for label, target, _ in files]


# --- printing -----------------------------------------------------------------------------------------------------

_ROWS: tuple[tuple[str, str], ...] = (
    ("growth of squared gradients", "growth"),
    ("spread of the Jacobian", "spread"),
    ("λ_max of the Jacobian, JJᵀ", "jacobian_top"),
    ("λ_max of the Fisher, Θ", "fisher_top"),
    ("correlation depth", "xi"),
    ("output common to all inputs", "common"),
    ("nonlinear share of the rest", "nonlinearity"),
    ("stable learning rate", "learning_rate_bound"),
)


def _print(console: Console, found: Design, applied: tuple[InitializedLayer, ...]) -> None:
    console.print(f"Design of {found.depth} layers with {found.named.name}", style="bold")
    table = _table("", "value")
    rows = [
        ("weights", found.weights),
        ("sigma_w", f"{found.sigma_w:.6g}"),
        ("sigma_b", f"{found.sigma_b:.6g}"),
        ("variance of pre-activations q*", f"{found.q:.6g}"),
        ("spread of the Jacobian reached", f"{found.isometry:.6g}"),
        ("reachable spread", f"{found.reach.low if found.reach.low > _ZERO else 0:.3g} to {found.reach.high:.3g}"),
        ("input scale" if found.options.scale_inputs else "first layer's extra gain", f"{found.input_scale:.6g}"),
        ("largest stable learning rate", f"{found.learning_rate.bound:.4g}"),
        ("learning rate to start from", f"{found.learning_rate.recommended:.4g}"),
    ]
    if found.depth > 1:
        rows.append(("scale of residual branches instead", f"{found.residual().scale:.4g}"))
    rows += [(f"activation: {name}", f"{value:.6g}") for name, value in found.numbers]
    for row in rows:
        table.add_row(*row)
    console.print(table)
    _print_table(console, found.table)
    if len({layer.gain for layer in found.layers}) > 1:
        _print_gains(console, found)
    console.print("\nWhy", style="bold")
    for reason in (*found.reasons, found.learning_rate.reason, f"Evidence: {found.learning_rate.evidence}"):
        _bullet(console, reason)
    if applied:
        changed = sum(record.ensemble == "activation" for record in applied)
        text = f"{len(applied) - changed} layers initialised" + (
            f", {changed} activations exchanged" if changed else ""
        )
        console.print(f"\nModel: {text}.", style="bold", soft_wrap=True)
        notes = dict.fromkeys(record.note for record in applied if record.note)
        for note in notes:
            names = [record.name for record in applied if record.note == note]
            _bullet(console, f"{', '.join(names[:_NAMES])}{', …' if len(names) > _NAMES else ''}: {note}")


def _print_table(console: Console, candidates: tuple[Candidate, ...]) -> None:
    console.print("\nBeside the usual ones", style="bold")
    table = _table("", *(candidate.name for candidate in candidates))
    for name, number in _ROWS:
        table.add_row(name, *(_short(candidate.numbers[number]) for candidate in candidates))
    console.print(table)


def _print_gains(console: Console, found: Design) -> None:
    console.print("\nGains", style="bold")
    table = _table("layers", "fan_in", "fan_out", "sigma_w", "sigma_b")
    for (fan_in, fan_out, sigma_w, sigma_b), group in groupby(found.layers, key=lambda layer: layer[1:5]):
        names = [layer.name for layer in group]
        label = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
        table.add_row(label, str(fan_in), str(fan_out), f"{sigma_w:.6g}", f"{sigma_b:.6g}")
    console.print(table)


def _short(value: float) -> str:
    return "any" if math.isinf(value) else "–" if math.isnan(value) else f"{value:.3g}"


def _bullet(console: Console, text: str) -> None:
    lines = textwrap.fill(text, max(console.width, 20), initial_indent="• ", subsequent_indent="  ")
    console.print(lines, soft_wrap=True)


def _table(*header: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in header:
        table.add_column(name, overflow="fold", justify="left" if name in ("", "layers") else "right")
    return table


# --- JSON ---------------------------------------------------------------------------------------------------------


def _document(found: Design, applied: tuple[InitializedLayer, ...]) -> dict[str, Any]:
    """Everything as strict JSON; what is not finite is null."""
    rate = found.learning_rate
    return {
        "schema_version": SCHEMA_VERSION,
        "depth": found.depth,
        "widths": list(found.widths),
        "activation": found.named.name,
        "form": found.options.form,
        "activation_numbers": dict(found.numbers),
        "weights": found.weights,
        "q": found.q,
        "sigma_w": found.sigma_w,
        "sigma_b": found.sigma_b,
        "delta": found.delta,
        "isometry": found.isometry,
        "reach": {"low": _plain(found.reach.low), "high": _plain(found.reach.high), "reason": found.reach.reason},
        "qhat0": found.options.qhat0,
        "input_scale": found.input_scale,
        "length_growth": found.length_growth,
        "residual_scale": found.residual().scale if found.depth > 1 else None,
        "layers": [layer._asdict() for layer in found.layers],
        "reasons": list(found.reasons),
        "learning_rate": {
            "bound": rate.bound,
            "recommended": rate.recommended,
            "sharpness": rate.sharpness,
            "formula": rate.formula,
            "reason": rate.reason,
            "evidence": rate.evidence,
            "parametrisation": rate.parametrisation,
            "layers": [layer._asdict() for layer in rate.layers],
        },
        "table": [
            {"name": candidate.name, "source": candidate.source}
            | {name: _plain(value) for name, value in candidate.numbers.items()}
            for candidate in found.table
        ],
        "applied": [
            {"name": record.name, "kind": record.kind, "ensemble": record.ensemble, "sigma_w": record.sigma_w}
            | {"gain": record.gain, "sigma_b": record.sigma_b, "note": record.note}
            for record in applied
        ],
    }


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
