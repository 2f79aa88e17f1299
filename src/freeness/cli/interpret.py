"""``freeness interpret``: a network that starts at the identity, read layer by layer."""

from __future__ import annotations

import json as documents
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import write_atomically
from freeness.cli.output import progress_bar, stdout
from freeness.data import FashionMnist, Folder, download_fashion_mnist, source_of
from freeness.errors import InputError

if TYPE_CHECKING:
    from freeness.interpret import Interpretation
    from freeness.interpret.fashion import Start
    from freeness.interpret.rate import Optimizer
    from freeness.report import Table as TextTable

SCHEMA_VERSION = 1
DEFAULT_OUT = Path("freeness-interpretation")


@reports_errors
def interpret_command(
    depth: Annotated[int, typer.Option(help="Weight matrices of the network that is trained, at least 2.")] = 20,
    activation: Annotated[str, typer.Option(help="A name of the table: hardtanh, shifted_relu, tanh, …")] = "hardtanh",
    start: Annotated[
        str, typer.Option(help="identity; or haar, gaussian for comparison, read by the output layer.")
    ] = "identity",
    data: Annotated[
        str,
        typer.Option(
            help="fashion-mnist (bundled: 2,000 + 1,000 images), fashion-mnist:download (all 70,000), or their folder."
        ),
    ] = "fashion-mnist",
    images: Annotated[int | None, typer.Option(min=1, help="Training images, the first ones; all if left out.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training images.")] = 2,
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 32,
    optimizer: Annotated[str, typer.Option(help="sgd, momentum or nesterov.")] = "momentum",
    rate: Annotated[float | None, typer.Option(help="Learning rate; designed from the curvature if left out.")] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Read this network instead of training one; written by --save.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Write the trained network to this file.")] = None,
    show: Annotated[
        list[int] | None, typer.Option(min=0, help="A test image to follow; repeat for several. 0 to 3 if left out.")
    ] = None,
    share: Annotated[float, typer.Option(help="Part of the hidden neurons that is deleted for each class.")] = 0.05,
    out: Annotated[Path, typer.Option(help="Folder for interpretation.html.")] = DEFAULT_OUT,
    json: Annotated[str | None, typer.Option(metavar="FILE|-", help="The numbers as JSON; - prints only that.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the order of images.")] = 0,
) -> None:
    """Train a deep network on Fashion-MNIST from the identity, and see which layer says what.

    Class likelihoods at every layer, where decisions settle, what each layer adds to an image, which neurons matter for a
    class, and what training makes of each layer, as an HTML page.

    Example: freeness interpret --depth 20 --show 0 --show 7
    """
    with needs_extra("torch"):
        from freeness.interpret import load_checkpoint, save_checkpoint
        from freeness.interpret.fashion import Recipe, tell_of, train_and_tell
        from freeness.report import INTERPRETATION_NAME, require_writable, write_interpretation
    chosen, folder = tuple(show or range(4)), _folder(data)
    require_writable(out, INTERPRETATION_NAME)
    if save is not None and not save.absolute().parent.is_dir():
        raise InputError(f"expected a file in an existing folder to save to, got {str(save)!r}; make the folder first.")
    with progress_bar("preparing") as progress:
        if checkpoint is not None:
            if save is not None:
                raise InputError("expected either --checkpoint or --save, got both; reading changes no network.")
            model, started = load_checkpoint(checkpoint)
            told = tell_of(model, started, folder, chosen, share, progress)
        else:
            how = (images, epochs, batch, cast("Optimizer", optimizer), rate, seed, folder)
            recipe = Recipe(depth, activation, cast("Start", start), *how)
            model, told = train_and_tell(recipe, chosen, share, progress)
    if save is not None:
        save_checkpoint(model, save, told.start)
    page = write_interpretation(told, out)
    document = documents.dumps(_document(told), allow_nan=False, indent=1) + "\n"
    if json == "-":
        typer.echo(document, nl=False)
        return
    _print(told)
    if json is not None:
        write_atomically(Path(json), document.encode())
        stdout().print(f"Numbers: {json}", soft_wrap=True)
    if save is not None:
        stdout().print(f"Network: {save} (read it again by --checkpoint)", soft_wrap=True)
    stdout().print(f"Page with pictures: {page} (open it in a browser)", soft_wrap=True)


def _folder(data: str) -> Path | None:
    """Of the official files; None for the bundled ones."""
    source = source_of(data)
    if isinstance(source, Folder):
        return Path(source.path)
    if not isinstance(source, FashionMnist):
        raise InputError(
            f"expected fashion-mnist, or a folder with its official files, got {data!r}; give one of these."
        )
    if source.download:
        return download_fashion_mnist()
    return Path(source.directory) if source.directory else None


def _document(told: Interpretation) -> dict[str, object]:
    fit = told.fit
    return {
        "schema_version": SCHEMA_VERSION,
        "depth": told.depth,
        "width": told.width,
        "activation": told.activation,
        "start": told.start,
        "data": told.data,
        "method": told.method,
        "test_samples": told.samples,
        "accuracy_by_layer": [float(value) for value in told.accuracy],
        "standard_error": [float(value) for value in told.accuracy_error],
        "settled_at_layer": [int(value) for value in told.settled],
        "rate": None if fit is None else fit.rate,
        "steps": None if fit is None else fit.steps,
        "seconds": None if fit is None else fit.seconds,
        "losses": None if fit is None else list(fit.losses),
        "layers": [
            {
                "layer": layer.index,
                "role": layer.role,
                "extraction": layer.extraction,
                "classification": layer.classification,
                "revision": layer.revision,
                "feedback": layer.feedback,
                "drift": layer.drift,
            }
            for layer in told.roles
        ],
        "deleted_neurons": [
            {
                "class": told.classes[one.target],
                "deleted": one.deleted,
                "before": one.before,
                "after": one.after,
                "random": list(one.random),
                "significant": one.significant,
            }
            for one in told.ablations
        ],
        "training": [
            {
                "step": state.step,
                "jacobian_mean": float(state.jacobian.eigenvalues.mean()),
                "jacobian_relative_variance": state.spread,
                "strongest_word": state.largest_score if state.tested else None,
                "free": state.freeness.free if state.tested else None,
                "drift": [float(value) for value in state.drift],
            }
            for state in told.states
        ],
    }


def _print(told: Interpretation) -> None:
    from freeness.report import ablation_table, role_table, state_table

    console = stdout()
    title = f"{told.depth} layers of width {told.width}, {told.activation}, start: {told.start}"
    console.print(f"\n{title}", style="bold underline")
    console.print(f"Data: {told.data}; {told.samples:,} test samples", soft_wrap=True)
    if told.fit is not None:
        console.print(f"{told.fit.steps} steps at the rate {told.fit.rate:.3g} in {told.fit.seconds:.0f} s")
    console.print(f"Read by {told.method}.", soft_wrap=True)
    last = f"{100 * told.accuracy[-1]:.1f} ± {100 * told.accuracy_error[-1]:.1f} %"
    console.print(f"Accuracy at the last layer, which is the network's output: {last}", style="bold")
    console.print(f"Accuracy by layer, %: {' '.join(f'{100 * value:.0f}' for value in told.accuracy)}")
    middle = int(told.settled.cumsum().searchsorted(told.samples / 2)) + 1
    console.print(f"Half of the samples have their final class from reading {middle} of {len(told.layers)} on.")
    if told.roles:
        _print_table("Layers: change of weights from the identity", role_table(told))
    if told.ablations:
        _print_table(f"Without the {100 * told.share:g} % of neurons that contribute most", ablation_table(told))
    if told.states:
        _print_table("Along training, at the first test image", state_table(told))
    console.print()


def _print_table(title: str, table: TextTable) -> None:
    console = stdout()
    console.print(f"\n{title}", style="bold")
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name in table.header:
        shown.add_column(name, justify="right" if name in table.numeric else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
