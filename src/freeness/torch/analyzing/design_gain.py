"""What a design of its shape would have over a chain, in a verdict: a search, which has to end in time."""

from __future__ import annotations

import time
from dataclasses import replace

from freeness.advice import CODE, LayerRow, Verdict, gain_of_design, jacobian_spread, phase_of, way_to_design
from freeness.network import Network
from freeness.torch.model.pace import TimeUp, cut_off
from freeness.torch.request.stages import Stages


def with_design(
    judged: Verdict,
    network: Network,
    rows: tuple[LayerRow, ...],
    growth: float | None,
    told: tuple[Stages, str],
) -> Verdict:
    """The verdict with the design's advice in the place of its own, which the design does what asks for.

    Args:
        judged: the verdict.
        network: a chain.
        rows: its layers.
        growth: by how much squared gradients change on a batch; None where it was not measured.
        told: the stages, whose time the search has, and how a command line names the model.
    """
    stages, source = told
    deadline = time.monotonic() + stages.least
    try:
        with cut_off(deadline):
            gained = gain_of_design(network, phase_of(rows)[1], jacobian_spread(rows), growth)
    except TimeUp:
        late = f"The design of this shape is not known: {stages.cut(deadline)}. freeness design finds it by itself."
        return replace(judged, warnings=(*judged.warnings, late))
    if gained is None:
        return judged
    return replace(judged, advice=(gained, CODE + way_to_design(network, source)))
