"""Inputs and targets that fit a model, from any source of data."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from freeness.data import Factory, GaussianSamples, InMemory, Source, load, made_by, source_of
from freeness.errors import InputError, brief
from freeness.torch.loss.class_losses import IGNORED, ClassLoss
from freeness.torch.loss.differentiated import differentiated, is_of_graph
from freeness.torch.loss.elementwise_losses import takes_shares
from freeness.torch.loss.given import GivenLoss, given_loss
from freeness.torch.loss.written_loss import WrittenLoss
from freeness.torch.model.measurable import check_measurable
from freeness.torch.model.outputs import OutputKey, loss_of, required_arguments, run, select_output
from freeness.torch.model.state import random_kept, untouched
from freeness.torch.request.analyze_options import OWN
from freeness.torch.request.batch import Batch
from freeness.torch.request.load import check_seed
from freeness.torch.request.user_data import BATCHES, batch_of, check_rows
from freeness.training import CrossEntropy, Objective

_SIDES = (28, 32, 64, 224, 16, 8)  # of images that are tried
_STEPS = 16  # of sequences
_TOKENS = (16, 8, 4, 32, 64, 128, 256, 512)  # lengths of sequences that are tried


class _Fit(NamedTuple):
    """How a model takes one sample, and the shape of its output."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    outputs: tuple[int, ...]


def load_data(
    spec: object, model: nn.Module, seed: int = 0, loss: GivenLoss = "cross_entropy", output: OutputKey = None
) -> tuple[Tensor, Tensor, str]:
    """Inputs, targets and a description, which says so where there are no labels; :func:`load_labelled` has that by itself.

    Numbers have the dtype of the model's parameters, so that ``model(inputs)`` runs; those of :func:`load_labelled` are float64.

    Args:
        spec: what :func:`freeness.data.source_of` takes: fashion-mnist, gaussian, a file, a folder, FILE.py:FACTORY, arrays.
        model: fits the inputs' shape: the first that it takes of the given one, square images, rows and flat vectors, and the
            outputs that it gives. Whole numbers stay int64 where it takes tokens only.
        seed: of random inputs and targets, below 2⁶³.
        loss: decides what targets are: class indices for cross-entropy, vectors otherwise.
        output: name or number of the output that targets are for, where the model returns several.

    Raises:
        InputError: no such file, a broken one, one that does not hold what is expected, or a model that takes no such inputs.
    """
    found = load_labelled(spec, model, seed, loss, output)
    described = found.described + (f"; targets: {found.stand_in}" if found.stand_in else "")
    return _in_dtype_of(model, found.inputs), _in_dtype_of(model, found.targets), described


def _in_dtype_of(model: nn.Module, numbers: Tensor) -> Tensor:
    """Whole numbers stay what they are."""
    dtypes = (tensor.dtype for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point())
    return numbers.to(next(dtypes, torch.get_default_dtype())) if numbers.is_floating_point() else numbers


class Labelled(NamedTuple):
    """Inputs, targets, what the inputs are, and what stands in for labels, "" where there are labels."""

    inputs: Shaped[Tensor, "samples ..."]
    targets: Shaped[Tensor, "samples ..."]
    described: str
    stand_in: str


def load_labelled(
    spec: object, model: nn.Module, seed: int = 0, loss: GivenLoss = "cross_entropy", output: OutputKey = None
) -> Labelled:
    """:func:`load_data`, with what stands in for labels that were not given apart from the description.

    Raises:
        InputError: as there.

    Example:
        >>> load_labelled("gaussian", nn.Linear(3, 2)).stand_in
        'random classes (uniform over the 2 outputs)'
    """
    check_seed(seed)
    _check_readable(model)
    source = source_of(spec)
    if isinstance(source, GaussianSamples):
        (inputs, described), labels = _random(model, replace(source, seed=seed), output), None
    else:
        with random_kept():
            found = load(source)
        inputs, labels = (
            torch.from_numpy(found.inputs),
            None if found.targets is None else torch.from_numpy(found.targets),
        )
        described = found.described
    shown = str(spec) if isinstance(spec, str | Path) else described
    tokens = bool((inputs >= 0).all()) and bool((inputs == inputs.round()).all())
    fit = _fitting(model, _image_shapes(tuple(inputs.shape[1:])), shown, output, tokens=tokens)
    inputs = inputs.reshape(len(inputs), *fit.shape)
    inputs = inputs if fit.dtype.is_floating_point else inputs.long()
    targets, stand_in = _targets(len(inputs), labels, fit.outputs, seed, given_loss(loss))
    return Labelled(inputs, targets, described, stand_in)


class LabelledBatch(NamedTuple):
    """A batch that has targets, and what stands in for labels, "" where there are labels."""

    batch: Batch
    stand_in: str


def load_batch(
    spec: str,
    model: nn.Module,
    seed: int = 0,
    loss: GivenLoss | None = "cross_entropy",
    output: OutputKey = None,
    *,
    batches: int = BATCHES,
) -> LabelledBatch:
    """What ``--data`` names for any model: :func:`load_labelled`, and of ``FILE.py:FACTORY`` what :func:`batch_of` takes.

    The factory runs under the given torch seed; the random state is put back afterwards.

    Args:
        spec: as of :func:`load_data`.
        model: any module, of several inputs too where a factory gives them.
        seed: as of :func:`load_data`.
        loss: as of :func:`load_data`; None or "own" for that which the model may compute itself, and which then needs no labels.
        output: as of :func:`load_data`.
        batches: of a loader that are taken.

    Raises:
        InputError: as there, and as :func:`batch_of`.
    """
    check_seed(seed)
    source, given, loss = source_of(spec), spec, None if loss == OWN else loss
    if isinstance(source, Factory):
        _check_readable(model)
        with random_kept():
            torch.manual_seed(seed)
            given = made_by(spec, "data")
            arrays = _plain(given, spec)
            if not isinstance(given, str | Path | Source) and arrays is None:
                return _complete(batch_of(given, model, batches=batches), model, seed, (loss, output))
        if arrays is not None and _computes_loss(model, given):
            return _complete(batch_of(given, model, batches=batches), model, seed, (loss, output))
        given = given if arrays is None else arrays
    try:
        found = load_labelled(given, model, seed, "cross_entropy" if loss is None else loss, output)
    except InputError:
        if isinstance(given, InMemory):
            rows = torch.as_tensor(given.arrays["inputs"])
            check_rows(Batch((_in_dtype_of(model, rows),), count=len(rows)), model)
        raise
    described = spec if isinstance(source, Factory) else found.described
    batch = Batch((found.inputs,), targets=found.targets, count=len(found.inputs), described=described)
    return LabelledBatch(batch, found.stand_in)


def _computes_loss(model: nn.Module, given: object) -> bool:
    """Whether a model returns a loss of what was given, just as it is."""
    inputs = given if isinstance(given, tuple) and len(required_arguments(model)) > 1 else (given,)
    try:
        batch = batch_of(inputs, model)
        with untouched(model), torch.no_grad():
            return loss_of(batch.call(model)) is not None
    except InputError:
        return False


def _plain(made: object, name: str) -> InMemory | None:
    """Inputs, or inputs and targets, if these are one array each: their shape may be fitted to the model."""
    parts = made if isinstance(made, tuple) and len(made) == 2 else (made,)
    if not all(isinstance(part, Tensor | np.ndarray) for part in parts):
        return None
    return InMemory({key: np.asarray(part) for key, part in zip(("inputs", "targets"), parts, strict=False)}, name)


def _complete(batch: Batch, model: nn.Module, seed: int, how: tuple[GivenLoss | None, OutputKey]) -> LabelledBatch:
    """The batch with targets of its own, or with others in their place."""
    if batch.targets is not None:
        return LabelledBatch(batch, "")
    few, loss = batch.part(0, 2), "cross_entropy" if how[0] is None else how[0]
    with untouched(model), torch.no_grad():
        returned = few.call(model)
    outputs = select_output(returned, how[1])[1]
    own = how[0] is None and loss_of(returned) is not None  # it takes no labels
    targets, stand_in = _targets(batch.count, None, tuple(outputs.shape[1:]), seed, given_loss(loss))
    return LabelledBatch(replace(batch, targets=targets), "" if own else stand_in)


def _check_readable(model: nn.Module) -> None:
    check_measurable(model)
    if next(model.parameters(), None) is None:
        raise InputError(
            f"expected a model with parameters, got {type(model).__name__} without any; there is nothing to analyse."
        )


def _image_shapes(given: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes in which one sample may be offered: as it is, as a square image, as its rows, flat."""
    count = math.prod(given)
    side = math.isqrt(count)
    square = [(1, side, side), (side, side)] if side * side == count and len(given) == 1 else []
    return list(dict.fromkeys([given, *square, (count,)]))


def _random(model: nn.Module, source: GaussianSamples, output: OutputKey) -> tuple[Tensor, str]:
    """Standard Gaussian samples, or random tokens, and what they are."""
    table = next((module for module in model.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)), None)
    shapes = [source.shape] if source.shape else _random_shapes(model)
    fit = _fitting(model, shapes, source.text, output, tokens=table is not None)
    if fit.dtype.is_floating_point or table is None:
        found = load(replace(source, shape=fit.shape))
        return torch.from_numpy(found.inputs), found.described
    drawn = np.random.default_rng(source.seed).integers(table.num_embeddings, size=(source.count, *fit.shape))
    return torch.from_numpy(drawn), f"{source.count} sequences of {fit.shape[0]} random tokens"


def _random_shapes(model: nn.Module) -> list[tuple[int, ...]]:
    """What the first layer with weights may take."""
    for module in model.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            return [(length,) for length in _TOKENS]
        if isinstance(module, nn.Linear):
            return [(module.in_features,), (_STEPS, module.in_features)]
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            return [(module.in_channels, *[side] * len(module.kernel_size)) for side in _SIDES]
        if isinstance(module, nn.RNNBase):
            return [(_STEPS, module.input_size)]
    return []


def _fitting(
    model: nn.Module, shapes: list[tuple[int, ...]], spec: str, output: OutputKey, *, tokens: bool = False
) -> _Fit:
    """The first shape of a sample that the model takes, as floating numbers before tokens."""
    problems: list[InputError] = []
    first = next(model.parameters())
    for dtype in (first.dtype, torch.int64) if tokens else (first.dtype,):
        for shape in shapes:
            pair = torch.zeros(2, *shape, dtype=dtype, device=first.device)  # two, so that no axis is taken for samples
            try:
                with untouched(model), torch.no_grad(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    outputs = select_output(_returned(model, pair), output)[1]
            except InputError as error:
                problems.append(error)
                continue
            if outputs.ndim and len(outputs) == 2:
                return _Fit(shape, dtype, tuple(outputs.shape[1:]))
            shown = tuple(outputs.shape)
            problems.append(InputError(f"expected one row of outputs a sample, got shape {shown} for two samples."))
    raise _misfit(model, shapes, spec, problems)


def _returned(model: nn.Module, inputs: Tensor) -> Any:
    """What a model gives, which may differentiate in its forward pass."""
    try:
        return run(model, inputs)
    except InputError as error:
        if not is_of_graph(error):
            raise
        with differentiated(model):
            return run(model, inputs)


def _misfit(model: nn.Module, shapes: list[tuple[int, ...]], spec: str, problems: list[InputError]) -> InputError:
    """Why no shape fits: the trouble of the model itself where it ran, or fails alike on every shape."""
    ran = next((problem for problem in problems if problem.__cause__ is None), None)
    if ran is not None:
        return ran
    tried = ", ".join(map(str, shapes)) or "none"
    several = required_arguments(model)
    if len(several) > 1:
        return InputError(
            f"expected a model of one input for {spec}, got {type(model).__name__}, which takes {', '.join(several)}; give "
            "FILE.py:FACTORY that returns ((first, second), targets) or a dict of its arguments."
        )
    if any(isinstance(module, nn.Embedding | nn.EmbeddingBag) for module in model.modules()):
        if spec.startswith("gaussian"):
            cause = brief(problems[-1].__cause__ or problems[-1])
            return InputError(
                f"expected a model of one sequence of tokens, got {cause} on random ones (tried {tried}); give their "
                "length as gaussian:LENGTH, a file of tokens, or FILE.py:FACTORY that returns them."
            )
        return InputError(
            f"expected inputs of tokens (whole numbers below the size of the model's table), got {spec} (tried {tried}); take "
            "gaussian for random ones, or a file of tokens."
        )
    causes = {str(problem.__cause__) for problem in problems}
    if len(causes) == 1 and len(problems) > 1 and problems[0].__cause__ is not None:
        cause = brief(problems[0].__cause__)
        return InputError(
            f"expected a model that runs on {spec}, got {cause} on every shape tried ({tried}); give data that it takes, or mend "
            "its forward."
        )
    linear = next((module for module in model.modules() if isinstance(module, nn.Linear)), None)
    wanted = (
        "that the model takes"
        if linear is None
        else f"of {linear.in_features} features for the model's first Linear layer"
    )
    cause = problems[0].__cause__ if problems else None
    why = f"; on {shapes[0]} it fails with {brief(cause)}" if cause is not None else ""
    return InputError(
        f"expected inputs {wanted}, got {spec}, of which no shape fits (tried {tried}){why}; choose other data or another model."
    )


def _targets(
    samples: int, labels: Tensor | None, shape: tuple[int, ...], seed: int, loss: Objective
) -> tuple[Tensor, str]:
    """As they are for a function of the user's; class indices for cross-entropy; else one-hot, or N(0, 1/C) of their shape.

    And what stands in for labels that are not there or do not fit.
    """
    if labels is not None and isinstance(loss, WrittenLoss):  # it alone knows what they are
        return labels.double() if labels.is_floating_point() else labels.long(), ""
    classes = isinstance(loss, CrossEntropy | ClassLoss)
    generator, outputs = torch.Generator().manual_seed(seed + 1), math.prod(shape)
    if labels is not None and (labels.is_floating_point() or (labels.ndim > 1 and not classes)):
        return labels.double(), ""
    least = 0 if labels is None else int(labels.min())
    if least < 0 and not (classes and least == (loss.ignore_index if isinstance(loss, ClassLoss) else IGNORED)):
        raise InputError(f"expected class numbers ≥ 0 as targets, got {least}; count the classes from 0.")
    if labels is not None and (int(labels.max()) >= outputs or len(shape) != 1):
        labels = labels if classes else None
    if classes:
        return (labels.long(), "") if labels is not None else _drawn_classes(samples, shape, generator)
    if labels is not None:
        return torch.nn.functional.one_hot(labels.long(), outputs).double(), ""
    if takes_shares(loss):
        bits = torch.randint(2, (samples, *shape), generator=generator).double()
        return bits, "random zeros and ones (of the outputs' shape)"
    noise = torch.randn(samples, *shape, generator=generator, dtype=torch.float64) / outputs**0.5
    return noise, "random vectors (of the outputs' shape, N(0, 1/C) a number)"


def _drawn_classes(samples: int, shape: tuple[int, ...], generator: torch.Generator) -> tuple[Tensor, str]:
    """One for each sample; for each token where outputs are (T, C), for each pixel where they are (C, …)."""
    axis = 1 if len(shape) == 2 else 0
    classes, places = shape[axis] if shape else 1, shape[:axis] + shape[axis + 1 :]
    drawn = torch.randint(classes, (samples, *places), generator=generator)
    each = f" for each of {math.prod(places)} places" if places else ""
    return drawn, f"random classes (uniform over the {classes} outputs{each})"
