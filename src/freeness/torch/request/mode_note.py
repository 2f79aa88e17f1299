"""In which mode an analysis measures, and what the report says of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from freeness.errors import InputError
from freeness.torch.model.modes import draws, hold_statistics, trained_mode
from freeness.torch.request.analyze_options import AnalyzeOptions

_LOG = logging.getLogger(__name__)
_NAMED = 4  # modules in a line
_DRAWN = (
    "The model draws random numbers in its forward pass: every evaluation has the same ones, so that spectra and learning rate "
    "are those of these draws."
)


def in_mode(model: nn.Module, inputs: Tensor, options: AnalyzeOptions) -> tuple[AnalyzeOptions, tuple[str, ...]]:
    """The options with the mode that matters, and what is to be said of it; batch normalisation gets the statistics to hold."""
    norms = [(name, one) for name, one in model.named_modules() if isinstance(one, _BatchNorm)]
    batch = inputs[: options.samples]
    mode = trained_mode(model, batch, options.training)
    if mode is False:
        drawn = (_DRAWN,) if draws(model, batch, False) else ()
        return replace(options, training=False), drawn + _as_eval(norms, options.training)
    told, frozen = [], [(name, one) for name, one in norms if not one.training]
    live = [name for name, one in norms if one.training]
    dropped = [
        name for name, one in model.named_modules() if isinstance(one, _DropoutNd) and one.training and one.p > 0
    ]
    if live:
        told.append(
            f"Batch normalisation ({listed(live)}) takes the statistics of the batch of {len(batch)}, as in training"
            f"{_held(model, batch)}."
        )
    if dropped:
        told.append(
            f"Dropout ({listed(dropped)}) is on for the learning rate, with the same masks in every evaluation. "
            "It is off for spectra at one sample."
        )
    if not dropped and draws(model, batch, options.training):
        told.append(_DRAWN)
    if not told:
        told.append(
            "The model computes otherwise in training than in eval mode: the learning rate is that of training."
        )
    return options, (*told, *_as_eval(frozen, None))


def _held(model: nn.Module, batch: Tensor) -> str:
    try:
        hold_statistics(model, batch)
    except InputError as error:
        _LOG.info("no batch statistics: %s", error)
        return (
            "; spectra at one sample have its running ones, since the model does not run on this batch in training mode"
        )
    return "; for spectra at one sample they are held fixed"


def _as_eval(norms: Sequence[tuple[str, nn.Module]], training: bool | None) -> tuple[str, ...]:
    """That normalisation takes its running statistics, and why."""
    if not norms:
        return ()
    why = (
        "since it is in eval mode in a model that trains"
        if training is None
        else "as training=False asks; in training it takes those of the batch"
    )
    return (f"Batch normalisation ({listed([name for name, _ in norms])}) takes its running statistics, {why}.",)


def listed(paths: Sequence[str]) -> str:
    """The first names, and how many there are besides.

    Example:
        >>> listed(["a", "b", "a"]), listed(list("abcdef"))
        ('a, b', 'a, b, c, d and 2 more')
    """
    known = list(dict.fromkeys(paths))
    return ", ".join(known[:_NAMED]) + (f" and {len(known) - _NAMED} more" if len(known) > _NAMED else "")
