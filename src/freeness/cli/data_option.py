"""``--data``, the same for every command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import typer

from freeness.cli.errors import needs_extra
from freeness.cli.output import of_user, stderr
from freeness.data import Factory, GaussianSamples, Loaded, load, source_of

DATA_OPTION = typer.Option(
    metavar="DATA",
    help="fashion-mnist (bundled), gaussian (of tokens: random ones), a file .npy, .npz, .pt or idx, a folder, or "
    "FILE.py:FACTORY, whose code is run.",
)


def note_code(*given: str | None) -> None:
    """Say whose code is run, each file once: of models, data, losses and optimisers those that are FILE.py:FACTORY and exist."""
    sources = [source_of(one) for one in given if one is not None and ".py:" in one]
    for file in dict.fromkeys(one.file for one in sources if isinstance(one, Factory) and Path(one.file).is_file()):
        stderr().print(f"Note: this runs the code in {file}.", soft_wrap=True)


def rows_of(data: str, count: int) -> Loaded:
    """Inputs as rows (n, N₀), with the targets that belong to them."""
    source = source_of(data)
    if data.endswith(".pt"):
        with needs_extra("torch"):
            import freeness.torch  # noqa: F401  (registers the reader of .pt)
    note_code(data)
    if isinstance(source, GaussianSamples):
        source = replace(source, count=count)
    with of_user():
        found = load(source, limit=count)
    return replace(found, inputs=found.inputs.reshape(len(found.inputs), -1))
