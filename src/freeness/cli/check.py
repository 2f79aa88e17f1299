"""``freeness check``: are a model's weights free of its activation derivatives?"""

from __future__ import annotations

import json as documents
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from freeness.cli.data_option import DATA_OPTION, note_code
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import write_atomically
from freeness.cli.output import progress_bar, stderr, stdout
from freeness.errors import InputError

if TYPE_CHECKING:
    from freeness.torch import FreenessTest

SCHEMA_VERSION = 1


@reports_errors
def check_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:FACTORY", help="A function without arguments in a Python file that returns an nn.Module."
        ),
    ],
    data: Annotated[str, DATA_OPTION] = "fashion-mnist",
    sample: Annotated[int, typer.Option(min=0, help="Which input the derivatives are taken at.")] = 0,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights to load into the model: .pt with a state_dict, or .safetensors."),
    ] = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Also layers that are not adjacent.")] = False,
    json: Annotated[str | None, typer.Option(metavar="FILE|-", help="The words as JSON; - prints only that.")] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Seed of the factory's weights and of random data.")
    ] = 0,
) -> None:
    """Test whether a model's weights are free of its activation derivatives, which its predicted spectra assume.

    Traces of alternating centred words of {W, transposed W} and {D} are computed from the real weights and compared with
    what random weights of the same size give; 5 standard deviations reject. Random initialisation passes, identity initialisation
    fails, trained networks may do either.

    Example: freeness check model.py:build --data fashion-mnist
    """
    with needs_extra("torch"):
        from freeness.torch import batch_of, freeness_test, load_batch, load_model, load_weights, packed, split_model
    stderr().print(f"Note: this runs the code in {split_model(model)[0]}.", soft_wrap=True)
    note_code(data)
    with redirect_stdout(sys.stderr):  # what the user's code prints is not a result
        network = load_model(model, seed)
        if weights is not None:
            load_weights(network, weights)
        loaded = load_batch(data, network, seed).batch
        description = loaded.described
        network, inputs = packed(network, batch_of(loaded, network))
        if sample >= len(inputs):
            raise InputError(f"expected a sample below {len(inputs)}, got {sample}; the data has no more.")
        with progress_bar("words") as progress:
            found = freeness_test(network, inputs[sample : sample + 1], all_pairs=all_pairs, progress=progress)
    document = (
        documents.dumps(_document((model, weights), description, sample, found), allow_nan=False, indent=1) + "\n"
    )
    if json == "-":
        typer.echo(document, nl=False)
        return
    _print(model if weights is None else f"{model}, weights: {weights}", description, sample, found)
    if json is not None:
        write_atomically(Path(json), document.encode())
        stdout().print(f"Numbers: {json}", soft_wrap=True)


def _document(model: tuple[str, Path | None], data: str, sample: int, found: FreenessTest) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model[0],
        "weights": None if model[1] is None else str(model[1]),
        "data": data,
        "sample": sample,
        "free": found.free,
        "words": [
            {
                "weights": word.name,
                "word": word.word,
                "trace": word.value,
                "expected": word.expected,
                "deviation": word.deviation,
                "score": word.score,
                "free": word.free,
                "tested": word.tested,
            }
            for word in found.words
        ],
    }


def _print(model: str, data: str, sample: int, found: FreenessTest) -> None:
    console = stdout()
    console.print(f"Freeness of the weights of {model}", style="bold", soft_wrap=True)
    console.print(f"Derivatives at sample {sample} of {data}", soft_wrap=True)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for name, right in (("weights", False), ("word", False), ("trace", True), ("free: about", True), ("score", True)):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for word in found.words:
        expected = f"{word.expected:.1e}±{word.deviation:.0e}"
        score = Text(f"{word.score:.1f}" if word.tested else "–", style="" if word.free else "bold red")
        table.add_row(word.name, word.word, f"{word.value:.2e}", expected, score)
    console.print(table)
    console.print("D°, E°: centred derivatives before and behind W. Score: departure in standard deviations; 5 reject.")
    if not all(word.tested for word in found.words):
        console.print("–: derivatives that differ from their mean at a few neurons only tell nothing.")
    if found.free:
        console.print(
            "No word departs from freeness: the weights may be taken for free of the derivatives.", style="bold"
        )
    else:
        names = ", ".join(dict.fromkeys(word.name for word in found.rejected))
        console.print(
            f"Not free: {names}. Predicted spectra assume what does not hold there; measure.", style="bold red"
        )
