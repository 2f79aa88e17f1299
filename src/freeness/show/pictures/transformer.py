"""The phases of a Transformer as a map."""

from __future__ import annotations

import numpy as np

from freeness.advice import TransformerPhases
from freeness.show import style
from freeness.show.picture import Axis, HeatMap, Picture

_LIMIT = 3.0  # of log₁₀ of the growth in colour


def transformer_picture(phases: TransformerPhases, *, title: str = "") -> Picture:
    """log₁₀ of the growth of squared gradients, over the gain of queries and keys and the scale of branches.

    Every cell says the tokens' cosine, too, where the picture can be pointed at.
    """
    with np.errstate(divide="ignore"):
        growth = np.log10(phases.gradient)
    words = tuple(
        tuple(
            f"σ_qk {phases.sigma_qk[k]:.3g}, branch {phases.branch[row]:.3g}<br>gradient × {phases.gradient[row, k]:.3g}"
            f"<br>tokens' cosine {phases.token_cosine[row, k]:.3f}"
            for k in range(phases.sigma_qk.size)
        )
        for row in range(phases.branch.size)
    )
    heat = HeatMap(
        phases.sigma_qk,
        phases.branch,
        np.clip(growth, -_LIMIT, _LIMIT),
        (-_LIMIT, _LIMIT),
        "log₁₀ of the growth of squared gradients",
        style.ORDERED_TO_CHAOTIC,
        words=words,
        key="transformer-growth",
    )
    return Picture(
        (heat,),
        Axis("σ_qk, gain of queries and keys"),
        Axis("scale of branches"),
        title=title or "Transformer: gradients vanish (blue) or explode (orange)",
        empty=style.PALE,
        grid=False,
    )
