"""``freeness dynamics``: training curves of wide networks from their tangent kernel, beside real ones."""

from __future__ import annotations

import json as documents
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast, get_args

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from freeness.advice import BatchRate, Training, batch_learning_rate
from freeness.advice.learning_rate import KnownOptimizer
from freeness.cli.architecture import Sizes, scaled, wide_network
from freeness.cli.data_option import DATA_OPTION, rows_of
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import check_files, check_picture, named_numbers, write_atomically
from freeness.cli.output import stderr, stdout
from freeness.data import Loaded, numbers_of, read_arrays
from freeness.errors import InputError
from freeness.meanfield import Kernels, LinearTraining, kernels
from freeness.meanfield.linear_training import TrainingLoss
from freeness.network import Network
from freeness.network import activation as activation_of
from freeness.show import dynamics_picture, picture_bytes

if TYPE_CHECKING:
    from freeness.torch.losses import Loss

SCHEMA_VERSION = 1
_LOSSES = ", ".join(get_args(TrainingLoss))
_CLASSES = 10_000
_RECORDS = 100
_SHOWN = 8
_DRAWS = 16  # of initial outputs, for cross-entropy
_ROUNDING = 1e-12  # of the first loss
_LARGE = 0.05  # a deviation of which something is said


@dataclass(frozen=True, eq=False)
class _Measured:
    """Losses of real networks at the recorded steps (seeds, records), and λ_max at the start and at the end.

    ``own``: the losses predicted from each network's own outputs at the start, averaged; the scatter of these outputs is no part
    of its deviation from the measured ones.
    """

    losses: np.ndarray
    own: np.ndarray
    sharpness: list[list[float]]


class _Rates(NamedTuple):
    """Of plain gradient descent and with momentum 0.9."""

    plain: BatchRate
    momentum: BatchRate


@reports_errors
def dynamics_command(
    activation: Annotated[str, typer.Option(metavar="NAME", help="For instance tanh, gelu, relu.")] = "tanh",
    depth: Annotated[int, typer.Option(min=1, max=1000, help="Weight matrices.")] = 3,
    width: Annotated[int, typer.Option(min=1, help="Of the hidden layers.")] = 1024,
    sigma_w: Annotated[float, typer.Option(help="Weights have variance sigma_w^2/fan_in.")] = 1.4,
    sigma_b: Annotated[float, typer.Option(help="Biases have variance sigma_b^2.")] = 0.1,
    parameter: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the activation.")] = None,
    residual: Annotated[
        float | None, typer.Option(metavar="BETA", help="Hidden layers are x + BETA*W*phi(x); else a chain.")
    ] = None,
    data: Annotated[str, DATA_OPTION] = "fashion-mnist",
    targets: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With a FILE of inputs: .npy of classes (n,), or of numbers (n, C)."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=5000, help="The first so many inputs.")] = 256,
    loss: Annotated[str, typer.Option(help=f"Mean over the inputs: {_LOSSES}.")] = "half_squared_error",
    rate: Annotated[
        float | None, typer.Option("--learning-rate", help="By default 0.35 of 2/lambda, lambda predicted.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Also tell learning rates for batches of so many of these inputs.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=1_000_000, help="Of full-batch gradient descent.")] = 500,
    measure: Annotated[int, typer.Option(min=0, max=100, help="Train so many real networks beside it.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The curves as a picture, .png or .svg.")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE|-", help="The numbers as JSON; - prints only that.")] = None,
) -> None:
    """Training curves and stable learning rates of wide networks on given data, from their tangent kernel.

    Gradient descent on all inputs at once, standard parametrisation. The curve is exact for infinitely wide networks; with
    --measure real ones of the given width are trained beside it, and the growth of their sharpness is told. Learning rates
    count with the scatter that a finite width leaves between outputs.

    Example: freeness dynamics --activation erf --depth 3 --count 128 --steps 300 --measure 2 --out curves.png
    """
    check_picture(out)
    check_files(out, None if json in (None, "-") else Path(json))
    if loss not in get_args(TrainingLoss):
        raise InputError(f"expected a loss among {_LOSSES}, got {loss!r}; choose one.")
    rows = rows_of(data, count)
    inputs, source, aims = rows.inputs, rows.described, _aims(rows, targets, count)
    if loss == "cross_entropy" and aims.shape[1] < 2:
        raise InputError(
            "expected at least two classes for cross_entropy, got one, which is learnt already; add another."
        )
    inputs = scaled(inputs)
    function = activation_of(activation, **named_numbers(parameter or [], "--parameter"))
    sizes = Sizes(inputs.shape[1], width, aims.shape[1])
    network = wide_network(sizes, function, depth, (sigma_w, sigma_b), residual)
    found = kernels(network, inputs, parametrisation="standard")
    training = LinearTraining(found.ntk, aims, loss=cast(TrainingLoss, loss))
    rates = _rates(network, inputs, found, training.loss, batch)
    used = rates[0].plain.recommended if rate is None else rate
    at = np.unique(np.linspace(0, steps, min(steps, _RECORDS) + 1).round().astype(int))
    predicted = _averaged(training, found, used, at)
    real = _real(network, inputs, training, (used, at), measure) if measure else None
    document = _document(training, used, (at, predicted), real, source) | {"rates": [_record(one) for one in rates]}
    text = documents.dumps(document, allow_nan=False, indent=1) + "\n"
    written: list[tuple[str, Path]] = []
    if json not in (None, "-"):
        write_atomically(Path(json), text.encode())
        written.append(("Numbers", Path(json)))
    if out is not None:
        curves = () if real is None else [(at[: len(row)], row) for row in real.losses]
        title = f"{activation}, {depth} weight matrices, {len(inputs)} inputs"
        picture = dynamics_picture(at, predicted, curves, title=title)
        write_atomically(out, picture_bytes(picture, out.suffix.lower()[1:]))
        written.append(("Picture", out))
    if json == "-":
        typer.echo(text, nl=False)
    else:
        _print(document, training, used, rates)
    for name, path in written:
        (stderr() if json == "-" else stdout()).print(f"{name}: {path}", soft_wrap=True)


def _aims(rows: Loaded, path: Path | None, asked: int) -> np.ndarray:
    """(n, C): one-hot classes or numbers, of the data itself or of a file beside them."""
    there = len(rows.inputs)
    if path is None:
        if rows.targets is None:
            raise InputError("expected --targets FILE with inputs that have none, got none; give classes or numbers.")
        values, name = rows.targets, rows.described
    else:
        if rows.targets is not None:
            raise InputError(
                f"expected no --targets with {rows.described}, which has labels of its own; leave them out."
            )
        held = read_arrays(path)
        values, name = numbers_of(held.get("targets", held["inputs"]), "targets", path.name), path.name
        if values.ndim == 0 or len(values) < there or (there < asked and len(values) > there):
            raise InputError(f"expected a target for each of {there} inputs, got shape {values.shape}; give as many.")
    if values.ndim not in (1, 2):
        raise InputError(
            f"expected classes (n,) or numbers (n, C) in {name!r}, got shape {values.shape}; save one of these."
        )
    if values.ndim == 2:
        return values[:there].astype(float)
    classes = values[:there]
    if classes.dtype.kind != "i" or classes.min() < 0 or classes.max() >= _CLASSES:
        raise InputError(
            f"expected classes 0, 1, … below {_CLASSES} in {name!r}, got others; save integers, or numbers of shape (n, C)."
        )
    return np.eye(rows.classes or int(classes.max()) + 1)[classes]


def _rates(network: Network, inputs: np.ndarray, found: Kernels, loss: TrainingLoss, batch: int | None) -> list[_Rates]:
    """Of all inputs, then of batches."""

    def rate(optimizer: KnownOptimizer, size: int) -> BatchRate:
        return batch_learning_rate(network, inputs, Training(loss, optimizer, batch=size), found=found)

    sizes = [len(inputs)] if batch is None else [len(inputs), batch]
    return [_Rates(rate("sgd", size), rate("momentum", size)) for size in sizes]


def _record(rates: _Rates) -> dict[str, object]:
    return {
        "batch": rates.plain.batch,
        "sharpness": rates.plain.sharpness,
        "sharpness_error": rates.plain.error,
        "stable": rates.plain.bound,
        "stable_with_momentum": rates.momentum.bound,
        "recommended": rates.plain.recommended,
        "recommended_with_momentum": rates.momentum.recommended,
        "evidence": rates.plain.evidence,
        "assumptions": rates.plain.assumptions,
    }


def _averaged(training: LinearTraining, found: Kernels, rate: float, at: np.ndarray) -> np.ndarray:
    """The training loss averaged over initial outputs of wide networks."""
    if training.loss != "cross_entropy":
        return training.averaged(found.nngp, rate, at)
    rng = np.random.default_rng(0)
    curves = []
    for _ in range(_DRAWS):
        start = found.drawn_outputs(training.outputs, rng)
        curves.append(LinearTraining(training.kernel, training.targets, start, training.loss).descent(rate, at).loss)
    return np.mean(curves, axis=0)


def _real(
    network: Network, inputs: np.ndarray, training: LinearTraining, how: tuple[float, np.ndarray], seeds: int
) -> _Measured:
    with needs_extra("torch"):
        from freeness.torch import FullBatch, drawn_descents
    rate, at = how
    plan = FullBatch(rate, int(at[-1]), at.tolist(), (0, int(at[-1])))
    found = drawn_descents(network, inputs, training.targets, cast("Loss", training.loss), plan, seeds)
    shortest = min(len(one.loss) for one in found)
    own = [replace(training, start=one.outputs[0]).descent(rate, at[:shortest]).loss for one in found]
    losses = np.array([one.loss[:shortest] for one in found])
    return _Measured(losses, np.mean(own, axis=0), [one.sharpness.tolist() for one in found])


def _document(
    training: LinearTraining, rate: float, curve: tuple[np.ndarray, np.ndarray], real: _Measured | None, source: str
) -> dict[str, object]:
    at, predicted = curve
    found: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "data": source,
        "inputs": len(training.kernel),
        "loss": training.loss,
        "stable_learning_rate_at_infinite_width": training.stable_rate,
        "learning_rate": rate,
        "steps": at.tolist(),
        "predicted_loss": _plain(predicted),
        "predicted_loss_from_own_outputs": None if real is None else _plain(real.own),
        "measured_loss": None if real is None else real.losses.tolist(),
        "sharpness_first_and_last": None if real is None else real.sharpness,
    }
    return found


def _print(document: dict[str, object], training: LinearTraining, rate: float, rates: list[_Rates]) -> None:
    console = stdout()
    console.print(f"Training on {document['inputs']} inputs from {document['data']}, {training.loss}", style="bold")
    console.print(f"Learning rate {rate:.4g}. Predicted for this width, λ being the largest eigenvalue of the GGN:")
    console.print(_table_of(rates))
    anyhow = ", whatever the outputs" if training.loss == "cross_entropy" else ""
    console.print(f"The predicted curve itself, of infinite width, is stable below {training.stable_rate:.4g}{anyhow}.")
    if training.loss != "cross_entropy":
        found = training.directions(rate)
        quick = int((found.steps <= int(cast(list, document["steps"])[-1])).sum())
        console.print(
            f"{quick} of {len(found.steps)} directions are learnt within these steps; they hold {found.share[:quick].sum():.1%} "
            "of the error."
        )
    steps, predicted = cast(list, document["steps"]), cast(list, document["predicted_loss"])
    measured = document["measured_loss"]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    beside = ("measured", "± error", "own start", "deviation") if measured else ()
    for name in ("step", "predicted loss", *beside):
        table.add_column(name, justify="right")
    for k in np.unique(np.geomspace(1, len(steps), _SHOWN).round().astype(int) - 1):
        cells = [str(steps[k]), "overflow" if predicted[k] is None else f"{predicted[k]:.5g}"]
        if measured:
            cells += _beside(
                np.array(cast(list, measured)), cast(list, document["predicted_loss_from_own_outputs"]), int(k)
            )
        table.add_row(*cells)
    console.print(table)
    if measured:
        console.print(
            "Own start: predicted from the outputs with which these networks started; the deviation is from it."
        )
        own = cast(list, document["predicted_loss_from_own_outputs"])
        sentence = _largest(steps, np.array(cast(list, measured)), own)
        if sentence:
            console.print(sentence)
    if document["sharpness_first_and_last"]:
        rows = cast(list[list[float]], document["sharpness_first_and_last"])
        whole = [row for row in rows if len(row) == 2]
        first = np.mean([row[0] for row in rows])
        end = f"{np.mean([row[1] for row in whole]):.4g} at the end" if whole else "diverged before the end"
        console.print(f"Sharpness of the real networks: {first:.4g} at the start, {end}.")


def _table_of(rates: list[_Rates]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("inputs a step", "λ", "± error", "stable below", "start at", "momentum 0.9: below", "start at"):
        table.add_column(name, justify="right")
    for one, momentum in rates:
        values = (one.bound, one.recommended, momentum.bound, momentum.recommended)
        cells = (f"{value:.3g}" for value in values)
        table.add_row(str(one.batch), f"{one.sharpness:.4g}", f"{one.error:.2g}" if one.error > 0 else "", *cells)
    return table


def _beside(measured: np.ndarray, own: list[float | None], k: int) -> list[str]:
    """The mean over real networks, its standard error, the prediction from their own outputs, and the deviation from it."""
    if k >= measured.shape[1]:
        return ["diverged", "", "", ""]
    column, told, first = measured[:, k], own[k], own[0] or 0.0
    error = f"{column.std(ddof=1) / len(column) ** 0.5:.2g}" if len(column) > 1 else ""
    if told is None:
        return [f"{column.mean():.5g}", error, "overflow", ""]
    deviation = f"{column.mean() / told - 1:+.1%}" if told > _ROUNDING * first else ""
    return [f"{column.mean():.5g}", error, f"{told:.5g}", deviation]


def _largest(steps: list[int], measured: np.ndarray, own: list[float | None]) -> str:
    """A sentence where the end is missed by more than a few per cent: how much of the loss is left then, and where it began."""
    told = np.array([np.nan if value is None else value for value in own[: measured.shape[1]]])
    mean = measured.mean(axis=0)
    with np.errstate(all="ignore"):
        off = np.where(told > _ROUNDING * told[0], mean / told - 1, np.nan)
    known = np.flatnonzero(np.isfinite(off))
    if not known.size or measured.shape[1] < len(steps) or abs(off[known[-1]]) <= _LARGE:
        return ""  # diverged ones are told of elsewhere
    last, large = known[-1], np.abs(off) > _LARGE
    first = next(k for k in known if large[k])
    return (
        f"At step {steps[last]} the deviation is {off[last]:+.1%}, with {_left(mean[last] / mean[0])} of the loss left; it "
        f"passes {_LARGE:.0%} at step {steps[first]}, with {_left(mean[first] / mean[0])} left. Small losses miss: what is left "
        "of a direction is a factor to the power of the steps, so that a small error of the kernel is multiplied, less in wider "
        "networks (docs/training-dynamics.md)."
    )


def _left(share: float) -> str:
    return f"1/{1 / share:.3g}" if share < 1 / 3 else f"{share:.0%}"


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
