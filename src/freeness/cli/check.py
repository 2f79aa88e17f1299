"""``freeness check``: are a model's weights free of its activation derivatives?"""

from __future__ import annotations

from typing import Annotated

import typer

from freeness.cli.command import Command
from freeness.cli.data_option import DATA_OPTION, note_code
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.model_options import Model, Seed, WeightsFile, loaded_model
from freeness.cli.output import Outputs, of_user, progress_bar
from freeness.errors import InputError
from freeness.show import Answer, Section, Sentence, answer_of, document_of


@reports_errors
def check_command(
    model: Model,
    data: Annotated[str, DATA_OPTION] = "fashion-mnist",
    sample: Annotated[int, typer.Option(min=0, help="Which input the derivatives are taken at.")] = 0,
    weights: WeightsFile = None,
    all_pairs: Annotated[bool, typer.Option("--all-pairs", help="Also layers that are not adjacent.")] = False,
    json: Annotated[str | None, JSON_OPTION] = None,
    seed: Seed = 0,
) -> None:
    """Are a model's weights as random as theory's predictions need?

    Theory takes each weight matrix W for independent of the slopes D of the activations beside it. Traces of products of
    both are compared with those of random weights; 5 standard deviations reject. Random starts pass, a start
    from the identity fails, trained networks may do either.

    Example:
      freeness check model.py:build --data fashion-mnist
    """
    with needs_extra("torch"):
        from freeness.torch import batch_of, freeness_test, load_batch, packed
    note_code(model, data)
    network = loaded_model(model, seed, weights)
    with of_user():
        loaded = load_batch(data, network, seed).batch
        description = loaded.described
        network, inputs = packed(network, batch_of(loaded, network))
        if sample >= len(inputs):
            raise InputError(f"expected a sample below {len(inputs)}, got {sample}; the data has no more.")
        with progress_bar("weights") as progress:
            found = freeness_test(network, inputs[sample : sample + 1], all_pairs=all_pairs, progress=progress)
    named = model if weights is None else f"{model}, weights: {weights}"
    lead = Section("", (Sentence(f"Derivatives at sample {sample} of {description}"),))
    shown = Answer(f"Freeness of the weights of {named}", (lead, *answer_of(found).sections))
    where = {
        "model": model,
        "weights": None if weights is None else str(weights),
        "data": description,
        "sample": sample,
    }
    Outputs(json).give(where | document_of(found), shown)


COMMAND = Command("check", check_command, "Your own model", "Are its weights as random as predictions need?", 50)
