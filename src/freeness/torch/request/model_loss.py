"""Models that compute their own loss: read as a loss of theirs that is known, or run again from their outputs on."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.loss.class_losses import IGNORED, ClassLoss
from freeness.torch.loss.differentiated import RESIDUALS, is_of_graph
from freeness.torch.loss.given import given_loss
from freeness.torch.loss.loss_rules import check, criterion
from freeness.torch.model.batched import plain_attention
from freeness.torch.model.calls import CallWatch, Origin
from freeness.torch.model.modes import fixed_masks
from freeness.torch.model.outputs import OutputKey, floating_rows, loss_of, losses_of, run, select_output
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.request.batch import Batch
from freeness.torch.request.packing import packed, without_own
from freeness.training import Objective

_LOG = logging.getLogger(__name__)
_LATE = 12  # calls from the end of a forward pass that are tried as outputs
_LOOKED = 2  # samples from which the loss is told; of language models these are large
_ALIKE = {torch.float64: 1e-8, torch.float32: 1e-4}  # of two losses, their slopes and curvatures
_COMPLETE = 1e-3  # of the gradient that may pass by the outputs
_MOSTLY = 0.5  # from which on signals that the model does not return are no outputs


class Owned(NamedTuple):
    """A model of one tensor with its inputs, its targets and its own loss: what functions of a batch take, in this order."""

    model: nn.Module
    inputs: Tensor
    targets: Tensor
    loss: Objective


@final
@dataclass(frozen=True, eq=False)
class OwnLoss(Objective):
    """The loss that a model computes itself, as a function of its outputs: the model is run again, with others in their place.

    Attributes:
        model: of packed inputs and labels, which returns its loss; it takes the rows that are the targets here.
        places: of its outputs.
        carries: whether all that the loss knows of the parameters it knows by the outputs.
        returned: whether the model returns these outputs; otherwise they are those that the loss is computed of.
        summed: names of the losses that it returns, where it is their sum.
    """

    model: nn.Module = field(repr=False)
    places: tuple[Origin, ...]
    carries: bool = True
    returned: bool = True
    summed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return "the model's own loss"

    @property
    def formula(self) -> str:
        return "what the model returns as its loss"

    @property
    def expects(self) -> str:
        return "labels that the model takes"

    @property
    def meant(self) -> str:
        """What counts as outputs."""
        summed = f"the loss is the sum of {' and '.join(self.summed)}" if len(self.summed) > 1 else ""
        outputs = "" if self.returned else "the outputs are those inner signals that the loss is computed of"
        beside = "" if self.carries else "the loss depends on the parameters beside the outputs too, which is left out"
        return "; ".join(part for part in (summed, outputs, beside) if part)


class _Exposed:
    """Mixed into the class of a model that returns its loss: it returns the outputs that the loss is taken of.

    They are (B, …); several (B, numbers). The model itself runs, with its hooks and a forward that was replaced.
    """

    training: bool
    _freeness_model: nn.Module
    _freeness_places: tuple[Origin, ...]

    def forward(self, rows: Tensor) -> Tensor:
        model, places = self._freeness_model, self._freeness_places
        with _in_mode(model, self.training), CallWatch(places) as calls:
            model(rows)
        rows_of = {place: len(one) for place, one in calls.found.items()}
        missing = [place.function for place in places if rows_of.get(place) != len(rows)]
        if missing:
            raise InputError(
                f"expected a loss of the same calls for any batch, got another {missing[0]!r} for some; return the outputs, "
                "and name the loss."
            )
        found = [calls.found[place] for place in places]
        return found[0] if len(found) == 1 else torch.cat([one.reshape(len(rows), -1) for one in found], 1)


@contextmanager
def _in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """The mode of the model alone: its modules are those of the copy."""
    before, model.training = model.training, training
    try:
        yield
    finally:
        model.training = before


def _exposed(model: nn.Module, places: tuple[Origin, ...]) -> nn.Module:
    one = without_own(model, _Exposed)
    object.__setattr__(one, "_freeness_model", model)
    object.__setattr__(one, "_freeness_places", places)
    return one


class _Rerun(nn.Module):
    """outputs, rows ↦ the loss of the model, run on the rows with these outputs in the place of its own."""

    def __init__(self, loss: OwnLoss) -> None:
        super().__init__()
        self.own = loss

    def forward(self, outputs: Tensor, rows: Tensor) -> Tensor:
        """A scalar."""
        model, places = self.own.model, self.own.places
        replaced = {places[0]: outputs}
        with fixed_masks(model):
            if len(places) > 1:
                with torch.no_grad(), CallWatch(places) as calls:
                    model(rows)
                shapes = [calls.found[place].shape for place in places]
                parts = outputs.split([shape.numel() // len(rows) for shape in shapes], 1)
                replaced = {p: one.reshape(s).contiguous() for p, one, s in zip(places, parts, shapes, strict=True)}
            with CallWatch(replaced=replaced):
                found = loss_of(model(rows))
        assert found is not None  # as it was found to be
        return found


@criterion.register
def _(loss: OwnLoss) -> nn.Module:
    return _Rerun(loss)


@check.register
def _(loss: OwnLoss, outputs: Tensor, targets: Tensor) -> None:
    try:
        with torch.no_grad():
            value = float(criterion(loss)(outputs, targets))
    except RuntimeError as error:
        if is_of_graph(error):
            raise InputError(
                "expected a loss that is a function of outputs, got one that differentiates the model in several places; "
                f"{RESIDUALS}."
            ) from error
        raise InputError(
            f"expected a model that computes its loss in the same calls every time, got {brief(error)}; name its loss instead."
        ) from error
    if value != value or abs(value) == float("inf"):
        raise InputError(f"expected a finite loss, got {value} from the model; correct it, or the labels.")


def own_loss(model: nn.Module, batch: Batch, output: OutputKey = None) -> Owned | None:
    """A model with the loss that it computes itself; None where it computes none.

    Cross-entropy of its outputs, of the next tokens too, and mean squares are told by value, slope and curvature at the first
    samples, and have the closed forms of these. Of any other loss H comes by differentiation: the model is run again with other
    outputs in the place of its own.

    Args:
        model: any module that returns its loss, as models of Hugging Face do, or nothing but its loss.
        batch: of :func:`~freeness.torch.batch_of`, with labels that the model takes.
        output: name or number of the output that counts as such.

    Raises:
        InputError: the loss depends on no output.

    Example:
        >>> from freeness.torch import batch_of, batch_sharpness
        >>> class Own(nn.Linear):
        ...     def forward(self, x, labels=None):
        ...         f = super().forward(x)
        ...         return {"loss": None if labels is None else nn.functional.cross_entropy(f, labels), "logits": f}
        >>> model = Own(4, 3)
        >>> found = own_loss(model, batch_of((torch.eye(4), torch.tensor([0, 1, 2, 0])), model))
        >>> str(found.loss)
        'cross_entropy'
        >>> batch_sharpness(*found).value > 0
        True
    """
    labelled = batch.labelled
    few = labelled.part(0, _LOOKED)
    with untouched(model), torch.enable_grad(), plain_attention():
        _open(model)
        returned = few.call(model)
        loss = loss_of(returned)
        if loss is None or not loss.requires_grad:
            return None
        outputs = _outputs(returned, output)
        if len(outputs) == 1 and outputs[0].ndim > 0:
            known = _known(outputs[0], loss, few.targets)
            if known is not None:
                return _of_known(model, (batch, labelled), known, outputs[0].shape[1:], output)
    one, rows = packed(model, labelled)
    with untouched(one), torch.enable_grad(), plain_attention():
        _open(one)
        with CallWatch() as others:
            run(one, rows[: 2 * _LOOKED])
        with CallWatch() as calls:  # of the model that is run later: it takes its inputs apart, which are calls, too
            returned = run(one, rows[:_LOOKED])
        loss = loss_of(returned)
        assert loss is not None
        places = _places(calls, _outputs(returned, output))
        every = _places(calls, [] if isinstance(returned, Tensor) else list(floating_rows(returned, few.count)))
    samples = _of_samples(calls, few.count) & _of_samples(others, len(rows[: 2 * _LOOKED]))
    inner = tuple(calls.before(loss, samples))
    tried = [each for each in dict.fromkeys((places, every, inner)) if each]
    late = [(place,) for place, _ in calls.rows if place in samples][:-_LATE:-1]
    if not (tried or late):
        raise InputError(
            "expected a loss that the model computes of its outputs, got one of none; return them beside it."
        )
    chosen, whole = _chosen(one, rows[:_LOOKED], tried, late, returned=bool(places or every))
    loss = OwnLoss(one, chosen, whole, chosen in (places, every), losses_of(returned))
    return Owned(_exposed(one, chosen), rows, rows, loss)


_Places = tuple[Origin, ...]


def _chosen(
    model: nn.Module, rows: Tensor, tried: list[_Places], late: list[_Places], *, returned: bool
) -> tuple[_Places, bool]:
    """The first places by which all that the loss knows of the parameters passes, or most of it; and whether it is all.

    Where less than half does, the first ones stand if the model returns them (``returned``), or if it cannot be run again from
    there: what says why comes later.
    """
    shares: dict[_Places, float] = {}
    for place, curved in [*((each, False) for each in tried), *((each, True) for each in late)]:
        beside = _beside(model, rows, place, curved)
        if beside <= _COMPLETE:
            return place, True
        shares.setdefault(place, beside)
    first, best = (tried or late)[0], min(shares, key=lambda place: shares[place])
    if shares[best] < _MOSTLY:
        return best, False
    if math.isfinite(shares[first]) and not returned:
        raise InputError(
            "expected a loss computed of outputs with a row for each sample, got one that sees most parameters otherwise; "
            "return the outputs, and name the loss."
        )
    return first, False


def _of_samples(calls: CallWatch, count: int) -> set[Origin]:
    """The calls that gave a row a sample."""
    return {place for place, size in calls.rows if size == count}


def _open(model: nn.Module) -> None:
    for parameter in trained_parameters(model).values():
        parameter.requires_grad_(parameter.is_floating_point())


def _outputs(returned: object, output: OutputKey) -> list[Tensor]:
    return [] if isinstance(returned, Tensor) else [select_output(returned, output)[1]]


def _places(calls: CallWatch, outputs: list[Tensor]) -> tuple[Origin, ...]:
    found = [calls.place_of(one) for one in outputs if one.ndim > 0]
    return tuple(place for place in found if place is not None)


def _beside(model: nn.Module, rows: Tensor, places: _Places, curved: bool) -> float:
    """The share of the loss's gradient that passes beside these outputs; where ``curved``, they have to bend it, too.

    Infinite where they are no outputs: the model cannot be run again with others in their place.
    """
    with untouched(model), fixed_masks(model), torch.enable_grad(), plain_attention():
        parameters = list(trained_parameters(model).values())
        _open(model)
        with CallWatch(places) as calls:
            loss = loss_of(run(model, rows))
        assert loss is not None
        if not calls.found.keys() >= set(places):  # the calls hang on the random numbers, or on the run
            return math.inf
        outputs = [calls.found[place] for place in places]
        if not all(one.ndim > 0 and len(one) == len(rows) and one.requires_grad for one in outputs):
            return math.inf
        whole = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
        free = [one.detach().clone().requires_grad_() for one in outputs]
        try:
            with CallWatch(replaced=dict(zip(places, free, strict=True))):
                again = loss_of(run(model, rows))
            assert again is not None
            slopes = torch.autograd.grad(again, free, create_graph=True, materialize_grads=True)
            if curved and not _bends(slopes, free):
                return math.inf
        except (RuntimeError, InputError) as error:
            _LOG.info("no loss of %s (%s)", places, brief(error))
            return math.inf
        along = [slope.detach() for slope in slopes]
        carried = torch.autograd.grad(outputs, parameters, along, materialize_grads=True)
        off = sum(float((a - b).square().sum()) for a, b in zip(whole, carried, strict=True))
        size = sum(float(a.square().sum()) for a in whole)
        return math.sqrt(off / size) if size else 0.0


def _bends(slopes: Sequence[Tensor], outputs: Sequence[Tensor]) -> bool:
    """Whether a loss has second derivatives in its outputs."""
    live = [slope for slope in slopes if slope.requires_grad]
    if not live:
        return False
    curved = torch.autograd.grad([each.sum() for each in live], list(outputs), materialize_grads=True)
    return any(bool(each.any()) for each in curved)


# --- losses that are known ---------------------------------------------------------------------------------------


class _Known(NamedTuple):
    loss: Objective
    targets: Callable[[Tensor], Tensor]


def _known(outputs: Tensor, loss: Tensor, targets: Tensor | None) -> _Known | None:
    """The loss that has this value, slope and curvature; None where none has."""
    if targets is None:
        return None
    (slope,) = torch.autograd.grad(loss, outputs, create_graph=True, allow_unused=True)
    if slope is None:
        return None
    drawn = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0)).to(outputs)
    mine = (loss, slope, _along(slope, outputs, drawn))
    for candidate in _candidates(targets):
        wanted = candidate.targets(targets)
        try:
            check(candidate.loss, outputs, wanted)
        except InputError:
            continue
        value = criterion(candidate.loss)(outputs, wanted)
        (other,) = torch.autograd.grad(value, outputs, create_graph=True)
        pairs = zip(mine, (value, other, _along(other, outputs, drawn)), strict=True)
        tolerance = _ALIKE.get(loss.dtype, _ALIKE[torch.float32])  # transformers computes in float32
        if all(_same(a.detach(), b.detach(), tolerance) for a, b in pairs):
            return candidate
    return None


def _along(slope: Tensor, outputs: Tensor, direction: Tensor) -> Tensor:
    if not slope.requires_grad:
        return torch.zeros_like(outputs)
    return torch.autograd.grad(slope, outputs, direction, retain_graph=True, materialize_grads=True)[0]


def _same(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return bool((a - b).norm() <= tolerance * b.norm())


def _candidates(targets: Tensor) -> list[_Known]:
    if targets.is_floating_point():
        return [_Known(given_loss(name), _as_they_are) for name in ("mse", "cross_entropy", "binary_cross_entropy")]
    negative = {int(each) for each in targets.unique().tolist() if each < 0} - {IGNORED}
    plain: list[Objective] = [given_loss("cross_entropy"), *(ClassLoss(ignore_index=each) for each in negative)]
    ignored = [IGNORED, *negative]
    shifted = [partial(next_tokens, ignored=each) for each in ignored]
    return [
        _Known(loss, rule) for loss, next_one in zip(plain, shifted, strict=True) for rule in (_as_they_are, next_one)
    ]


def _as_they_are(targets: Tensor) -> Tensor:
    return targets


def next_tokens(targets: Tensor, ignored: int = IGNORED) -> Tensor:
    """Of labels (B, T) the token that follows each; the last place does not count.

    Example:
        >>> next_tokens(torch.tensor([[1, 2, 3]]))
        tensor([[   2,    3, -100]])
    """
    return torch.cat([targets[:, 1:], torch.full_like(targets[:, :1], ignored)], 1) if targets.ndim > 1 else targets


def _of_known(
    model: nn.Module, batches: tuple[Batch, Batch], known: _Known, shape: torch.Size, output: OutputKey
) -> Owned:
    """Without the labels among the inputs, where the outputs do without them."""
    batch, labelled = batches
    assert batch.targets is not None
    one, rows = packed(model, batch)
    if batch.labels in batch.kwargs:  # they do not
        return Owned(one, rows, known.targets(batch.targets), known.loss)
    with untouched(one), torch.no_grad():
        plain = select_output(run(one, rows[:_LOOKED]), output)[1]
    if plain.shape[1:] != shape:
        one, rows = packed(model, labelled)
    return Owned(one, rows, known.targets(batch.targets), known.loss)
