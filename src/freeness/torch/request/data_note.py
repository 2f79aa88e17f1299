"""What is to be said of the data: their scale, and labels that are not the user's."""

from __future__ import annotations

from torch import Tensor

_USUAL = (0.01, 100.0)  # mean square of an input's entries that no warning is given for


def data_note(numbers: Tensor, stand_in: str) -> tuple[str, ...]:
    """Sentences for a report: of inputs far from the usual scale, and of labels that stand in for others.

    Example:
        >>> import torch
        >>> data_note(torch.ones(3), "")
        ()
    """
    told = []
    if numbers.numel():
        square = float(numbers.double().square().mean())
        if not _USUAL[0] <= square <= _USUAL[1]:
            told.append(
                f"The inputs have the mean square {square:.3g} per entry, far from 1: spectra, curvature and learning rate are "
                "those of this scale. Standardise them: take off the mean, and divide by the standard deviation."
            )
    if stand_in:
        told.append(
            f"No labels were given: {stand_in} stand in for them. The learning rate depends on them, the spectra do not. Give "
            "the targets that you train with beside the inputs."
        )
    return tuple(told)
