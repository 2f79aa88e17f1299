"""``freeness design``: how to start a deep network, from theory alone."""

from __future__ import annotations

import json as documents
import math
import sys
import textwrap
from collections.abc import Sequence
from contextlib import redirect_stdout
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast, get_args

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from freeness.advice import Candidate, Descent, Design, DesignOptions, Training, design
from freeness.advice.design import Form
from freeness.advice.learning_rate import KnownOptimizer, Loss
from freeness.advice.theory_rate import Parametrisation
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import check_files, check_picture, named_numbers, write_atomically
from freeness.cli.output import stderr, stdout
from freeness.errors import InputError
from freeness.network import ActivationFunction
from freeness.network import activation as activation_of
from freeness.show import picture_bytes, trade_off_picture

if TYPE_CHECKING:
    from freeness.torch import InitializedLayer
    from freeness.torch.apply import DesignTarget

SCHEMA_VERSION = 1
_WIDTH, _ACTIVATION = 512, "tanh"
_NAMES, _WIDTHS = 4, 8  # of layers in one note, and widths in a sentence
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
    activation: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"For instance hardtanh, gelu; {_ACTIVATION}, or the model's with --apply."),
    ] = None,
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

    Your own model: freeness design --apply model.py:build --save start.pt
    In your code then: model.load_state_dict(torch.load("start.pt"))
    """
    check_picture(out)
    check_files(out, save, None if json in (None, "-") else Path(json))
    if (save is None) != (apply is None):
        raise InputError(
            "expected --apply and --save together, got one of them; the model's start is written to FILE.pt."
        )
    _check_folder(save)
    options = DesignOptions(_typed(weights), _typed(form), qhat0, scale_inputs)
    descent = Descent(cast(KnownOptimizer, optimizer), momentum, weight_decay)
    training = Training(cast(Loss, loss), descent, batch, correlation, cast(Parametrisation, parametrisation))
    wanted = _Wanted(depth, width, activation, named_numbers(parameter or [], "--parameter"))
    model, target = (None, None) if apply is None else _model(apply, seed)
    depth, sizes = _shape(wanted, model, target)
    function = _function(wanted, target)
    note = "" if target is None or form != "plain" else target.check(function)
    found = design(depth, sizes, function, isometry, options, training)
    applied = _NOTHING if model is None or target is None else _applied(model, target, (found, seed), note)
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


class _Wanted(NamedTuple):
    """As typed."""

    depth: int | None
    width: str | None
    activation: str | None
    parameters: dict[str, float]


class _Applied(NamedTuple):
    """What the model's layers got, whether it is a chain, and sentences on what the design does not know of it."""

    layers: tuple[InitializedLayer, ...] = ()
    chain: bool = True
    notes: tuple[str, ...] = ()


_NOTHING = _Applied()


def _model(spec: str, seed: int) -> tuple[Any, DesignTarget]:
    with needs_extra("torch"):
        from freeness.torch import load_model, split_model
        from freeness.torch.apply import design_target
    stderr().print(f"Note: this runs the code in {split_model(spec)[0]}.", soft_wrap=True)
    with redirect_stdout(sys.stderr):  # what the user's code prints is not a result
        model = load_model(spec, seed)
        return model, design_target(model)


def _shape(wanted: _Wanted, model: Any, target: DesignTarget | None) -> tuple[int, int | list[int]]:
    """Depth and widths as typed, or the model's; of a model that is a chain both agree."""
    if model is None or target is None:
        if wanted.depth is None:
            raise InputError(
                "expected --depth, the number of weight matrices, got none; write for instance --depth 50."
            )
        return wanted.depth, _widths(wanted.width)
    from freeness.torch.apply import chain_widths

    if wanted.depth is not None and wanted.width is not None and not target.is_chain:
        return wanted.depth, _widths(wanted.width)
    widths = list(chain_widths(model))
    depth = len(widths) - 1
    if target.is_chain and wanted.depth not in (None, depth):
        raise InputError(
            f"expected --depth {depth}, the weight matrices of this model, got {wanted.depth}; leave it out to take the model's."
        )
    typed = widths if wanted.width is None else _widths(wanted.width)
    if target.is_chain and typed not in (widths, widths[0] if len(set(widths)) == 1 else widths):
        raise InputError(
            f"expected --width {_listed(widths)}, the widths of this model, got {wanted.width}; leave it out to take the model's."
        )
    return (depth if wanted.depth is None else wanted.depth), typed


def _function(wanted: _Wanted, target: DesignTarget | None) -> ActivationFunction:
    if target is not None and wanted.activation is None:
        if wanted.parameters:
            raise InputError("expected --activation with --parameter, got none; name the activation, too.")
        return target.activation()
    return activation_of(wanted.activation or _ACTIVATION, **wanted.parameters)


def _check_folder(save: Path | None) -> None:
    if save is not None and not save.resolve().parent.is_dir():
        raise InputError(
            f"expected --save in a folder that exists, got {str(save)!r}; make {str(save.parent)!r} first, or correct the path."
        )


def _applied(model: Any, target: DesignTarget, how: tuple[Design, int], note: str) -> _Applied:
    from freeness.torch import InitializeOptions, initialize_
    from freeness.torch.sampling import seeded_generator

    found, seed = how
    swap = found.activation is not found.named
    layers = initialize_(model, found, generator=seeded_generator(seed), options=InitializeOptions(swap=swap))
    return _Applied(layers, target.is_chain, tuple(text for text in (*_beside(target, found, layers), note) if text))


def _beside(target: DesignTarget, found: Design, layers: tuple[InitializedLayer, ...]) -> list[str]:
    """What the model has and a chain has not."""
    notes = []
    written = sum(record.ensemble not in ("activation", "unchanged") for record in layers)
    of = f"the numbers above are of a chain of {found.depth} weight matrices, widths {_listed(found.widths)}"
    if not target.run:
        notes.append(
            f"No input was found that the model takes, so how its layers are joined is not known; {written} of them were "
            f"initialised one by one with σ_w and σ_b of the design, and {of}."
        )
    elif target.beside:
        notes.append(
            f"The model is no chain, it has {', '.join(target.beside)}: its {written} linear and convolutional layers "
            f"were initialised one by one with σ_w and σ_b of the design, and {of}, not of this network; freeness analyze "
            "tells its own."
        )
    if "residual sum" in target.beside:
        notes.append(
            "Residual branches were not scaled; in Python initialize_(model, design, "
            'options=InitializeOptions(branch_ends=(PATTERN,), branch_scale="design")) does.'
        )
    bare = [one.name for one in layers if one.ensemble not in ("activation", "unchanged") and one.sigma_b == 0]
    if found.sigma_b > 0 and bare:
        more = ", …" if len(bare) > _NAMES else ""
        notes.append(
            f"No bias in {', '.join(bare[:_NAMES])}{more}: σ_b = {found.sigma_b:.4g} is missing there, which the numbers above "
            "count with."
        )
    if target.left:
        more = ", …" if len(target.left) > _NAMES else ""
        notes.append(f"Weights left as they were: {', '.join(target.left[:_NAMES])}{more}.")
    return notes


def _listed(widths: Sequence[int]) -> str:
    """784,512 … 512,10 for many."""
    texts = [str(width) for width in widths]
    return ",".join(texts if len(texts) <= _WIDTHS else [*texts[:3], "…", *texts[-2:]])


def _write(
    found: Design, out: Path | None, json: Path | None, document: str, saved: tuple[Any, Path | None]
) -> list[tuple[str, Path]]:
    files: list[tuple[str, Path, bytes]] = []
    if json is not None:
        files.append(("All numbers", json, document.encode()))
    if out is not None:
        title = f"{found.named.name}, {found.depth - 1} activations: isometry against nonlinearity"
        picture = trade_off_picture(found.trade_off(), found.isometry, title=title)
        files.append(("Picture", out, picture_bytes(picture, out.suffix.lower()[1:])))
    model, path = saved
    if path is not None and model is not None:
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


def _print(console: Console, found: Design, applied: _Applied) -> None:
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
    if applied.chain and len({layer.gain for layer in found.layers}) > 1:
        _print_gains(console, found)
    console.print("\nWhy", style="bold")
    for reason in (*found.reasons, found.learning_rate.reason, f"Evidence: {found.learning_rate.evidence}"):
        _bullet(console, reason)
    if applied.layers:
        _print_applied(console, applied)


def _print_applied(console: Console, applied: _Applied) -> None:
    layers = applied.layers
    changed = sum(record.ensemble == "activation" for record in layers)
    text = f"{len(layers) - changed} layers initialised" + (f", {changed} activations exchanged" if changed else "")
    console.print(f"\nModel: {text}.", style="bold", soft_wrap=True)
    if not applied.chain:
        table = _table("", "kind", "sigma_w", "sigma_b")
        rows = [record for record in layers if record.ensemble not in ("activation", "unchanged")]
        for (kind, sigma_w, sigma_b), group in groupby(rows, key=lambda one: (one.kind, one.sigma_w, one.sigma_b)):
            table.add_row(_span([record.name for record in group]), kind, f"{sigma_w:.6g}", f"{sigma_b:.6g}")
        console.print(table)
    for note in applied.notes:
        _bullet(console, note)
    notes = dict.fromkeys(record.note for record in layers if record.note)
    for note in notes:
        names = [record.name for record in layers if record.note == note]
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
        table.add_row(
            _span([layer.name for layer in group]), str(fan_in), str(fan_out), f"{sigma_w:.6g}", f"{sigma_b:.6g}"
        )
    console.print(table)


def _span(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


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


def _document(found: Design, applied: _Applied) -> dict[str, Any]:
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
            for record in applied.layers
        ],
        "applied_to_a_chain": applied.chain if applied.layers else None,
        "applied_notes": list(applied.notes),
    }


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
