"""``freeness dynamics``: training curves of wide networks from their tangent kernel, beside real ones."""

from __future__ import annotations

import json as documents
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import numpy as np
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from freeness.cli.architecture import Sizes, rows_of, scaled, wide_network
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import check_picture, named_numbers, rendered, write_atomically
from freeness.cli.output import stderr, stdout
from freeness.data import load_fashion_mnist
from freeness.errors import InputError
from freeness.meanfield import LinearTraining, kernels
from freeness.meanfield.linear_training import TrainingLoss
from freeness.network import Network
from freeness.network import activation as activation_of

if TYPE_CHECKING:
    from freeness.torch.losses import Loss

SCHEMA_VERSION = 1
_LOSSES = ", ".join(get_args(TrainingLoss))
_SHARE = 0.5  # of the stable rate
_RECORDS = 100
_SHOWN = 8
_DRAWS = 16  # of initial outputs, for cross-entropy


@dataclass(frozen=True, eq=False)
class _Measured:
    """Losses of real networks at the recorded steps (seeds, records), and λ_max at the start and at the end."""

    losses: np.ndarray
    sharpness: list[list[float]]


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
    data: Annotated[
        str, typer.Option(metavar="fashion-mnist|FILE", help="Inputs: FILE.npy, rows are inputs.")
    ] = "fashion-mnist",
    targets: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With a FILE of inputs: .npy of classes (n,), or of numbers (n, C)."),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=5000, help="The first so many inputs.")] = 256,
    loss: Annotated[str, typer.Option(help=f"Mean over the inputs: {_LOSSES}.")] = "half_squared_error",
    rate: Annotated[
        float | None, typer.Option("--learning-rate", help=f"{_SHARE:g} of the largest stable one when left out.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=1_000_000, help="Of full-batch gradient descent.")] = 500,
    measure: Annotated[int, typer.Option(min=0, max=100, help="Train so many real networks beside it.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The curves as a picture, .png or .svg.")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE|-", help="The numbers as JSON; - prints only that.")] = None,
) -> None:
    """Training curves of wide networks on given data, from their tangent kernel.

    Gradient descent on all inputs at once, standard parametrisation. The prediction is exact for infinitely wide networks; with
    --measure real ones of the given width are trained beside it, and the growth of their sharpness is told.

    Example: freeness dynamics --activation erf --depth 3 --count 128 --steps 300 --measure 2 --out curves.png
    """
    check_picture(out)
    if loss not in get_args(TrainingLoss):
        raise InputError(f"expected a loss among {_LOSSES}, got {loss!r}; choose one.")
    inputs, source = rows_of(data, count)
    aims = _targets(data, targets, len(inputs))
    inputs = scaled(inputs)
    function = activation_of(activation, **named_numbers(parameter or [], "--parameter"))
    sizes = Sizes(inputs.shape[1], width, aims.shape[1])
    network = wide_network(sizes, function, depth, (sigma_w, sigma_b), residual)
    found = kernels(network, inputs, parametrisation="standard")
    training = LinearTraining(found.ntk, aims, loss=cast(TrainingLoss, loss))
    used = _SHARE * training.stable_rate if rate is None else rate
    at = np.unique(np.linspace(0, steps, min(steps, _RECORDS) + 1).round().astype(int))
    predicted = _averaged(training, found.nngp, used, at)
    real = _real(network, (inputs, aims), (loss, used), at, measure) if measure else None
    document = _document(training, used, (at, predicted), real, source)
    text = documents.dumps(document, allow_nan=False, indent=1) + "\n"
    written: list[tuple[str, Path]] = []
    if json not in (None, "-"):
        write_atomically(Path(json), text.encode())
        written.append(("Numbers", Path(json)))
    if out is not None:
        from freeness.plots import figure_of, plot_dynamics

        curves = () if real is None else [(at[: len(row)], row) for row in real.losses]
        title = f"{activation}, {depth} weight matrices, {len(inputs)} inputs"
        figure = figure_of(plot_dynamics(at, predicted, curves, title=title))
        write_atomically(out, rendered(figure, out.suffix.lower()[1:]))
        written.append(("Picture", out))
    if json == "-":
        typer.echo(text, nl=False)
    else:
        _print(document, training, used)
    for name, path in written:
        (stderr() if json == "-" else stdout()).print(f"{name}: {path}", soft_wrap=True)


def _targets(data: str, path: Path | None, count: int) -> np.ndarray:
    """(n, C): one-hot classes, or numbers."""
    if data == "fashion-mnist":
        if path is not None:
            raise InputError("expected no --targets with fashion-mnist, which has labels of its own; leave them out.")
        return np.eye(10)[load_fashion_mnist("train").labels[:count]]
    if path is None:
        raise InputError("expected --targets FILE.npy with a file of inputs, got none; give classes or numbers.")
    values = rows_of(str(path), count)[0] if _is_table(path) else _vector(path)[:count]
    if len(values) < count:
        raise InputError(f"expected a target for each of {count} inputs, got {len(values)}; give as many.")
    if values.ndim == 1:
        if values.dtype.kind not in "iu" or values.min() < 0:
            raise InputError(
                f"expected classes 0, 1, … in {str(path)!r}, got others; save integers, or numbers of shape (n, C)."
            )
        return np.eye(int(values.max()) + 1)[values]
    return values


def _is_table(path: Path) -> bool:
    return _vector(path).ndim >= 2


def _vector(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"expected an array in {str(path)!r}, got none ({error}); write it by numpy.save.") from error


def _averaged(training: LinearTraining, covariance: np.ndarray, rate: float, at: np.ndarray) -> np.ndarray:
    """The training loss averaged over initial outputs of wide networks."""
    if training.loss != "cross_entropy":
        return training.averaged(covariance, rate, at)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    rng = np.random.default_rng(0)
    curves = []
    for _ in range(_DRAWS):
        start = root @ rng.standard_normal(training.targets.shape)
        curves.append(LinearTraining(training.kernel, training.targets, start, training.loss).descent(rate, at).loss)
    return np.mean(curves, axis=0)


def _real(
    network: Network, data: tuple[np.ndarray, np.ndarray], how: tuple[str, float], at: np.ndarray, seeds: int
) -> _Measured:
    with needs_extra("torch"):
        from freeness.torch import FullBatch, drawn_descents
    plan = FullBatch(how[1], int(at[-1]), at.tolist(), (0, int(at[-1])))
    found = drawn_descents(network, *data, cast("Loss", how[0]), plan, seeds)
    shortest = min(len(one.loss) for one in found)
    return _Measured(np.array([one.loss[:shortest] for one in found]), [one.sharpness.tolist() for one in found])


def _document(
    training: LinearTraining, rate: float, curve: tuple[np.ndarray, np.ndarray], real: _Measured | None, source: str
) -> dict[str, object]:
    at, predicted = curve
    finite = np.where(np.isfinite(predicted), predicted, -1.0)
    found: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "data": source,
        "inputs": len(training.kernel),
        "loss": training.loss,
        "largest_eigenvalue": float(np.linalg.eigvalsh(training.kernel)[-1]) / len(training.kernel),
        "largest_stable_learning_rate": training.stable_rate,
        "learning_rate": rate,
        "steps": at.tolist(),
        "predicted_loss": [None if value < 0 else float(value) for value in finite],
        "measured_loss": None if real is None else real.losses.tolist(),
        "sharpness_first_and_last": None if real is None else real.sharpness,
    }
    return found


def _print(document: dict[str, object], training: LinearTraining, rate: float) -> None:
    console = stdout()
    console.print(f"Training on {document['inputs']} inputs from {document['data']}, {training.loss}", style="bold")
    console.print(
        f"Largest eigenvalue of the GGN {document['largest_eigenvalue']:.4g}; stable below {training.stable_rate:.4g}; "
        f"learning rate {rate:.4g}."
    )
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
    for name in ("step", "predicted loss", *(("measured", "± error", "deviation") if measured else ())):
        table.add_column(name, justify="right")
    for k in np.unique(np.geomspace(1, len(steps), _SHOWN).round().astype(int) - 1):
        cells = [str(steps[k]), "overflow" if predicted[k] is None else f"{predicted[k]:.5g}"]
        if measured:
            cells += _beside(np.array(cast(list, measured)), int(k), predicted[k])
        table.add_row(*cells)
    console.print(table)
    if document["sharpness_first_and_last"]:
        rows = cast(list[list[float]], document["sharpness_first_and_last"])
        whole = [row for row in rows if len(row) == 2]
        first = np.mean([row[0] for row in rows])
        end = f"{np.mean([row[1] for row in whole]):.4g} at the end" if whole else "diverged before the end"
        console.print(f"Sharpness of the real networks: {first:.4g} at the start, {end}.")


def _beside(measured: np.ndarray, k: int, predicted: float | None) -> list[str]:
    """The mean over real networks, its standard error, and how far it is from the prediction."""
    if k >= measured.shape[1]:
        return ["diverged", "", ""]
    column = measured[:, k]
    error = f"{column.std(ddof=1) / len(column) ** 0.5:.2g}" if len(column) > 1 else ""
    deviation = "" if not predicted else f"{column.mean() / predicted - 1:+.1%}"
    return [f"{column.mean():.5g}", error, deviation]
