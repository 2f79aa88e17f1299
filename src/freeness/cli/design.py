"""``freeness design``: how to start a deep network, from theory alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from freeness.advice import Design, DesignOptions, Parametrisation, Training, design
from freeness.cli import design_options as option
from freeness.cli.architecture_design import ArchitectureName, DesignedKind, architecture_design
from freeness.cli.command import Command
from freeness.cli.data_option import note_code
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import check_files, check_picture, named_numbers
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs, of_user
from freeness.errors import InputError
from freeness.gaussian import activation as activation_of
from freeness.show import document_of, picture_of
from freeness.training import USUAL_BATCH, optimizer_of

if TYPE_CHECKING:
    from freeness.torch import AppliedDesign, AppliedRecipe


@reports_errors
def design_command(
    context: typer.Context,
    architecture: ArchitectureName = DesignedKind.mlp,
    depth: option.Depth = None,
    width: option.Width = None,
    inputs: option.Inputs = None,
    outputs: option.Outputs = None,
    activation: option.ActivationName = None,
    parameter: option.Parameter = None,
    isometry: option.Isometry = None,
    weights: option.Weights = "haar",
    form: option.Form = "plain",
    qhat0: option.MeanSquare = 1.0,
    scale_inputs: option.ScaleInputs = False,
    loss: option.LossName = "cross_entropy",
    optimizer: option.OptimizerName = "sgd",
    momentum: option.Momentum = 0.9,
    weight_decay: option.WeightDecay = 0.0,
    batch: option.Batch = USUAL_BATCH,
    correlation: option.Correlation = None,
    parametrisation: option.Parametrisation = "standard",
    out: option.Picture = None,
    json: Annotated[str | None, JSON_OPTION] = None,
    apply: option.Apply = None,
    data: option.Data = None,
    save: option.Save = None,
    seed: option.Seed = 0,
    force: option.Force = False,
) -> None:
    """How to start a deep network, and at which learning rate, beside the usual ways.

    The start lies on the edge of chaos, where gradients neither vanish nor explode. --isometry says how unequally
    it may stretch small changes of the input: near 0 the network is almost linear. The usual starts of 50 layers
    have about 50.

    --apply starts your own model; load the file by model.load_state_dict(torch.load("start.pt")). A Transformer, a
    ResNet, a convolutional, recurrent or state-space network starts by the published recipe of its architecture.

    Examples:
      freeness design --depth 50 --inputs 784 --outputs 10
      freeness design --depth 50 --activation gelu --isometry 0.5
      freeness design --apply model.py:build --save start.pt
      freeness design --apply model.py:build --data model.py:batch --save a.pt
      freeness design --architecture resnet --depth 50
    """
    check_picture(out)
    check_files(out, save, json, force=force)
    if architecture is not DesignedKind.mlp:
        other = architecture_design(context, architecture, (depth, width), activation)
        Outputs(json).give(document_of(other), other)
        return
    if (save is None) != (apply is None):
        raise InputError(
            "expected --apply and --save together, got one of them; the model's start is written to FILE.pt."
        )
    if data is not None and apply is None:
        raise InputError("expected --apply with --data, got none; a design by itself takes no data: leave it out.")
    _check_folder(save)
    options = DesignOptions(_typed(weights), _typed(form), qhat0, scale_inputs)
    descent: Any = optimizer_of(optimizer, momentum, weight_decay)
    training = Training(loss, descent, batch, correlation, cast(Parametrisation, parametrisation))
    parameters = named_numbers(parameter)
    told = Outputs(json)
    if apply is not None:
        if inputs is not None or outputs is not None:
            raise InputError(
                "expected no --inputs or --outputs beside --apply, got some; the model has its own: leave them out."
            )
        wanted = (depth, None if width is None else _widths(width), activation, parameters, isometry, options, training)
        record, start = _applied(apply, data, wanted, seed)
        found = _design(record)
        told.add("Start", save, lambda: start)
    else:
        if depth is None:
            raise InputError(
                "expected --depth, the number of weight matrices, got none; write for instance --depth 50."
            )
        function = activation_of(activation or option.ACTIVATION, **parameters)
        record = found = design(depth, _shape(depth, width, (inputs, outputs)), function, isometry, options, training)
    if found is not None:
        told.picture(out, lambda: picture_of(found))
    elif out is not None:
        raise InputError("expected --out of a design, got a recipe, which has no trade-off; leave it out.")
    told.give(document_of(record), record)


def _applied(
    spec: str, data: str | None, wanted: tuple[Any, ...], seed: int
) -> tuple[AppliedDesign | AppliedRecipe, bytes]:
    """How the user's model was started, by the recipe of its architecture or a design, and its state."""
    with needs_extra("torch"):
        from freeness.torch import DesignRequest, apply_start, load_batch, load_model, state_bytes
    note_code(spec, data)
    with of_user():
        model = load_model(spec, seed)
        batch = None if data is None else load_batch(data, model, seed, None).batch
        return apply_start(model, DesignRequest(*wanted), data=batch, seed=seed), state_bytes(model)


def _design(record: AppliedDesign | AppliedRecipe) -> Design | None:
    from freeness.torch import AppliedDesign

    return record.design if isinstance(record, AppliedDesign) else None


def _typed(value: str) -> Any:
    """Handed on as it is: the library says which values it takes."""
    return value


def _shape(depth: int, width: str | None, ends: tuple[int | None, int | None]) -> list[int]:
    """All widths, of the hidden ones and of both ends."""
    hidden = option.WIDTH if width is None else _widths(width)
    if isinstance(hidden, list):
        if ends != (None, None):
            raise InputError(
                "expected no --inputs or --outputs beside all widths, got some; the first and the last width are these."
            )
        return hidden
    inputs, outputs = ends
    return [inputs or option.INPUTS, *[hidden] * (depth - 1), outputs or option.OUTPUTS]


def _widths(text: str) -> int | list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            f"expected whole numbers for --width, separated by commas, got {text!r}; write --width 784,512,10."
        ) from None
    return found[0] if len(found) == 1 else found


def _check_folder(save: Path | None) -> None:
    if save is not None and not save.resolve().parent.is_dir():
        raise InputError(
            f"expected --save in a folder that exists, got {str(save)!r}; make {str(save.parent)!r} first, or correct the path."
        )


COMMAND = Command(
    "design", design_command, "A start for a deep network", "Weights, activation and learning rate, from theory.", 10
)
