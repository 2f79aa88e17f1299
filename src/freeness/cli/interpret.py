"""``freeness interpret``: a network that starts at the identity, read layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from freeness.cli.command import Command
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import FORCE_OPTION, check_files
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs, progress_bar, stdout
from freeness.data import FashionMnist, Folder, download_fashion_mnist, source_of
from freeness.errors import InputError
from freeness.show import document_of

if TYPE_CHECKING:
    from freeness.interpret import Start

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
    json: Annotated[str | None, JSON_OPTION] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the order of images.")] = 0,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """Train a deep network on Fashion-MNIST from the identity, and see which layer says what.

    Class likelihoods at every layer, where decisions settle, what each layer adds to an image, which neurons matter for
    a class, and what training makes of each layer, as an HTML page.

    Example:
      freeness interpret --depth 20 --show 0 --show 7
    """
    with needs_extra("torch"):
        from freeness.interpret import Recipe, load_checkpoint, save_checkpoint, tell_of, train_and_tell
        from freeness.show import (
            INTERPRETATION_NAME,
            figure_of,  # noqa: F401  (pictures, before anything is computed)
            require_writable,
            write_interpretation,
        )
    chosen, folder = tuple(show or range(4)), _folder(data)
    require_writable(out, INTERPRETATION_NAME)
    check_files(out / INTERPRETATION_NAME, save, json, force=force)
    if save is not None and not save.absolute().parent.is_dir():
        raise InputError(f"expected a file in an existing folder to save to, got {str(save)!r}; make the folder first.")
    with progress_bar("preparing") as progress:
        if checkpoint is not None:
            if save is not None:
                raise InputError("expected either --checkpoint or --save, got both; reading changes no network.")
            model, started = load_checkpoint(checkpoint)
            told = tell_of(model, started, folder, chosen, share, progress)
        else:
            how = (images, epochs, batch, optimizer, rate, seed, folder)
            recipe = Recipe(depth, activation, cast("Start", start), *how)
            model, told = train_and_tell(recipe, chosen, share, progress)
    if save is not None:
        save_checkpoint(model, save, told.start)
    page = write_interpretation(told, out)
    outputs = Outputs(json)
    outputs.give(document_of(told), told)
    if json == "-":
        return
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


COMMAND = Command(
    "interpret", interpret_command, "Theory and experiments", "See which layer of a network says what.", 50
)
