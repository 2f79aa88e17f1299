"""A model's analysis, as the page of a report and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
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


def perform(
    model: tuple[str, str] | Mapping[str, Any],
    weights: tuple[str, str] | None,
    data: tuple[str, str],
    loss: str,
    optimizer: str,
    *,
    stage: Callable[[str, float], None],
) -> dict[str, Any]:
    """Analyse a model: FILE.py:FACTORY and the name that is shown, or the numbers of a network that is built here.

    Of weights and data, too, the file that was uploaded and the name that is shown.

    Raises:
        InputError: something does not fit.
    """
    stage("building the model", 0.0)
    made = made_model(model)
    if weights is not None:
        load_weights_(made, read_weights(Path(weights[0])))
    words: Any = loss, optimizer
    loaded = load_labelled(data[0], made, 0, loss)
    title = f"{model['activation']} network of {model['depth']} layers" if isinstance(model, Mapping) else model[1]
    title += ", no weights loaded" if weights is None else f", weights of {weights[1]}"
    described = loaded.described.replace(Path(data[0]).name, data[1])
    options = AnalyzeOptions(loss=words[0], optimizer=words[1], title=title, data=described, stand_in=loaded.stand_in)
    if not isinstance(model, Mapping):
        source = ["freeness", "rate", model[1], "--data", data[1], "--loss", loss, "--optimizer", optimizer]
        trials = shlex.join([*source, *(() if weights is None else ("--weights", weights[1]))])
        options = replace(options, source=model[1], trials=trials)

    def report(at: Progress) -> None:
        stage(at.stage, at.done / max(at.total, 1))

    analysis = analyze(made, (loaded.inputs, loaded.targets), options, progress=report)
    rate = analysis.learning_rate
    between = f", of {number(rate.low, 3)} to {number(rate.high, 3)}" if rate.wide else ""
    start = f"Learning rate to start from: {number(rate.recommended, 3)}{between}." if rate.known else rate.reason
    return {
        "html": render_html([analysis]),
        "json": dump_json(analysis),
        "answer": f"{analysis.headline} {start}",
    }


def made_model(model: tuple[str, str] | Mapping[str, Any]) -> Any:
    """The module itself; of FILE.py:FACTORY the code is run.

    Raises:
        InputError: there is no such model, or its code fails.
    """
    if not isinstance(model, Mapping):
        return load_model(model[0])
    widths = [model["inputs"], *[model["width"]] * (model["depth"] - 1), model["outputs"]]
    gains = {"sigma_w": model["sigma_w"], "sigma_b": model["sigma_b"]}
    network = mlp(model["depth"], widths, model["activation"], model["weights"], **gains)
    return build(network, seeded_generator(0))
