"""``freeness design``: how to start a deep network, from theory alone."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from freeness.advice import Design, DesignOptions, Form, Parametrisation, Training, design
from freeness.cli.errors import needs_extra, reports_errors
from freeness.cli.files import FORCE_OPTION, check_files, check_picture, named_numbers
from freeness.cli.output import Outputs, stderr
from freeness.errors import InputError
from freeness.gaussian import activation as activation_of
from freeness.show import document_of, picture_of
from freeness.training import loss_names, optimizer_of

if TYPE_CHECKING:
    from freeness.torch import AppliedDesign, AppliedRecipe

SCHEMA_VERSION = 1
_WIDTH, _ACTIVATION = 512, "tanh"
_BATCH = 64  # as freeness analyze has it
_INPUTS, _OUTPUTS = 784, 10  # of the images that freeness analyze takes where no data are named
_LOSSES = ", ".join(loss_names())
_FORMS = ", ".join(get_args(Form))
_PARAMETRISATIONS = ", ".join(get_args(Parametrisation))


@reports_errors
def design_command(
    depth: Annotated[
        int | None,
        typer.Option(help="Weight matrices L; there are L - 1 activations. Read from the model with --apply."),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(
            metavar="N|N_0,...,N_L", help=f"Of the hidden layers, or all widths; {_WIDTH}, or the model's with --apply."
        ),
    ] = None,
    inputs: Annotated[
        int | None, typer.Option(min=1, help=f"Numbers that go in; {_INPUTS}, or the model's with --apply.")
    ] = None,
    outputs: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Numbers that come out, on which the rate depends; {_OUTPUTS}, or the model's with --apply."
        ),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"For instance hardtanh, gelu; {_ACTIVATION}, or the model's with --apply."),
    ] = None,
    parameter: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the activation.")] = None,
    isometry: Annotated[
        float | None,
        typer.Option(help="Relative variance of the squared singular values of the Jacobian; 0.25, or the nearest."),
    ] = None,
    weights: Annotated[str, typer.Option(metavar="haar|gaussian", help="Ensemble.")] = "haar",
    form: Annotated[str, typer.Option(help=f"Of the activation: {_FORMS}.")] = "plain",
    qhat0: Annotated[float, typer.Option(help="Mean square of the inputs' entries; 1 for standardised data.")] = 1.0,
    scale_inputs: Annotated[
        bool, typer.Option("--scale-inputs", help="Inputs will be multiplied by the scale that is printed.")
    ] = False,
    loss: Annotated[str, typer.Option(help=f"Averaged over the batch: {_LOSSES}.")] = "cross_entropy",
    optimizer: Annotated[str, typer.Option(help="sgd, momentum or nesterov.")] = "sgd",
    momentum: Annotated[float, typer.Option(help="Of momentum and nesterov.")] = 0.9,
    weight_decay: Annotated[float, typer.Option(help="Added to the gradient.")] = 0.0,
    batch: Annotated[int, typer.Option(help="Samples a step.")] = _BATCH,
    correlation: Annotated[float | None, typer.Option(help="Of two inputs; gives a batch its own bound.")] = None,
    parametrisation: Annotated[str, typer.Option(help=f"{_PARAMETRISATIONS}.")] = "standard",
    out: Annotated[Path | None, typer.Option(help="Picture of the trade-off to write: FILE.png or FILE.svg.")] = None,
    json: Annotated[str | None, typer.Option(metavar="FILE|-", help="All numbers as JSON; - prints only that.")] = None,
    apply: Annotated[
        str | None, typer.Option(metavar="FILE.py:FACTORY", help="Initialise this model by the design; runs its code.")
    ] = None,
    save: Annotated[Path | None, typer.Option(metavar="FILE.pt", help="The initialised model's state_dict.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of the weights, with --apply.")] = 0,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """Initialisation, activation and learning rate of a deep network, from theory alone, beside the usual ones.

    The network is put on the edge of chaos at the variance where its Jacobian has the isometry asked for.

    Example: freeness design --depth 50 --inputs 784 --outputs 10 --activation tanh --isometry 0.25

    Your own model: freeness design --apply model.py:build --save start.pt
    (a Transformer, a ResNet or a recurrent network starts by the published recipe of its architecture)
    The scale of a Transformer's branches, by theory: freeness transformer --depth 24
    In your code then: model.load_state_dict(torch.load("start.pt"))
    """
    check_picture(out)
    check_files(out, save, json, force=force)
    if (save is None) != (apply is None):
        raise InputError(
            "expected --apply and --save together, got one of them; the model's start is written to FILE.pt."
        )
    _check_folder(save)
    options = DesignOptions(_typed(weights), _typed(form), qhat0, scale_inputs)
    descent: Any = optimizer_of(optimizer, momentum, weight_decay)
    training = Training(loss, descent, batch, correlation, cast(Parametrisation, parametrisation))
    parameters = named_numbers(parameter or [], "--parameter")
    told = Outputs(json)
    if apply is not None:
        if inputs is not None or outputs is not None:
            raise InputError(
                "expected no --inputs or --outputs beside --apply, got some; the model has its own: leave them out."
            )
        wanted = (depth, None if width is None else _widths(width), activation, parameters, isometry, options, training)
        record, start = _applied(apply, wanted, seed)
        found = _design(record)
        told.add("Start", save, lambda: start)
    else:
        if depth is None:
            raise InputError(
                "expected --depth, the number of weight matrices, got none; write for instance --depth 50."
            )
        function = activation_of(activation or _ACTIVATION, **parameters)
        record = found = design(depth, _shape(depth, width, (inputs, outputs)), function, isometry, options, training)
    if found is not None:
        told.picture(out, lambda: picture_of(found))
    elif out is not None:
        raise InputError("expected --out of a design, got a recipe, which has no trade-off; leave it out.")
    told.give({"schema_version": SCHEMA_VERSION} | document_of(record), record)


def _applied(spec: str, wanted: tuple[Any, ...], seed: int) -> tuple[AppliedDesign | AppliedRecipe, bytes]:
    """How the user's model was started, by the recipe of its architecture or a design, and its state."""
    with needs_extra("torch"):
        from freeness.torch import DesignRequest, apply_start, load_model, split_model, state_bytes
    stderr().print(f"Note: this runs the code in {split_model(spec)[0]}.", soft_wrap=True)
    with redirect_stdout(sys.stderr):  # what the user's code prints is not a result
        model = load_model(spec, seed)
        return apply_start(model, DesignRequest(*wanted), seed=seed), state_bytes(model)


def _design(record: AppliedDesign | AppliedRecipe) -> Design | None:
    from freeness.torch import AppliedDesign

    return record.design if isinstance(record, AppliedDesign) else None


def _typed(value: str) -> Any:
    """Handed on as it is: the library says which values it takes."""
    return value


def _shape(depth: int, width: str | None, ends: tuple[int | None, int | None]) -> list[int]:
    """All widths, of the hidden ones and of both ends."""
    hidden = _WIDTH if width is None else _widths(width)
    if isinstance(hidden, list):
        if ends != (None, None):
            raise InputError(
                "expected no --inputs or --outputs beside all widths, got some; the first and the last width are these."
            )
        return hidden
    inputs, outputs = ends
    return [inputs or _INPUTS, *[hidden] * (depth - 1), outputs or _OUTPUTS]


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
