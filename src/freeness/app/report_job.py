"""A model's analysis, as the page of a report and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from freeness.advice import Progress
from freeness.network import mlp
from freeness.show import dump_json, number, render_html
from freeness.torch import (
    AnalyzeOptions,
    analyze,
    build,
    load_labelled,
    load_model,
    load_weights_,
    read_weights,
    seeded_generator,
)

_INPUTS, _OUTPUTS = 784, 10


def perform(
    model: str | Mapping[str, Any],
    weights: tuple[str, str] | None,
    data: str,
    loss: str,
    optimizer: str,
    *,
    stage: Callable[[str, float], None],
) -> dict[str, Any]:
    """Analyse a model; without ``data`` its weights are only read and compared with the architecture.

    Args:
        model: FILE.py:FACTORY of whoever started the server, or the numbers of a bundled architecture.
        weights: a file that was uploaded, and its name for the report.
        data: fashion-mnist or gaussian.
        loss: of the training.
        optimizer: of the training.
        stage: told what is begun, and the share that is done.

    Raises:
        InputError: something does not fit.
    """
    stage("building the model", 0.0)
    made: Any = load_model(model) if isinstance(model, str) else _bundled(model)
    if weights is not None:
        found = read_weights(Path(weights[0]))
        load_weights_(made, found)
        if not data:
            return {"tensors": len(found), "numbers": sum(value.numel() for value in found.values())}
    words: Any = loss, optimizer
    loaded = load_labelled(data, made, 0, loss)
    title = model if isinstance(model, str) else f"{model['activation']} network of {model['depth']} layers"
    title += ", no weights loaded" if weights is None else f", weights of {weights[1]}"
    options = AnalyzeOptions(
        loss=words[0], optimizer=words[1], title=title, data=loaded.described, stand_in=loaded.stand_in
    )

    def report(at: Progress) -> None:
        stage(at.stage, at.done / max(at.total, 1))

    analysis = analyze(made, (loaded.inputs, loaded.targets), options, progress=report)
    rate = analysis.learning_rate
    between = f", between {number(rate.low, 3)} and {number(rate.high, 3)}" if rate.wide else ""
    return {
        "html": render_html([analysis]),
        "json": dump_json(analysis),
        "phase": analysis.verdict.phase,
        "start": f"start at {number(rate.recommended, 3)}{between}" if rate.known else "no learning rate follows",
        "parameters": sum(parameter.numel() for parameter in made.parameters()),
    }


def _bundled(numbers: Mapping[str, Any]) -> Any:
    widths = [_INPUTS, *[numbers["width"]] * (numbers["depth"] - 1), _OUTPUTS]
    gains = {"sigma_w": numbers["sigma_w"], "sigma_b": numbers["sigma_b"]}
    network = mlp(numbers["depth"], widths, numbers["activation"], numbers["weights"], **gains)
    return build(network, seeded_generator(0))
