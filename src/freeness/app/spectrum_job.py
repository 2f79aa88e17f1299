"""What takes longer than a page may wait: laws of networks with skips or positions, and drawn networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from freeness.show import DrawnLaw, drawn_law, plain
from freeness.spectra import SettledNetwork, drawn_spectrum

_ROWS = 400  # of a drawn network's matrices


def perform(
    architecture: Mapping[str, Any],
    fisher: bool,
    drawn: bool,
    points: int = 200,
    *,
    stage: Callable[[str, float], None],
) -> dict[str, Any]:
    """The law at the points of a picture, or the eigenvalues of a drawn network.

    Example:
        >>> fields = dict(kind="mlp", activation="relu", weights="haar", depth=3, width=8, q=1.0, chi=1.0)
        >>> len(perform(fields, False, True, stage=lambda words, share: None)["eigenvalues"])
        8
    """
    asked = SettledNetwork(**architecture)
    if drawn:
        small = asked.narrower(_ROWS // asked.positions)
        stage(f"drawing {small.width} neurons a layer", 0.1)
        rng = np.random.default_rng(0)
        values = drawn_spectrum(small.network, small.sample(rng), rng, fisher=fisher)
        return {"eigenvalues": values.tolist()}
    stage("signals and the ends of the spectrum", 0.05)
    law = asked.law(fisher=fisher)
    found = drawn_law(law, points, lambda share: stage("density", 0.2 + 0.8 * share))
    return plain(found)


def law_read(answer: Mapping[str, Any]) -> DrawnLaw:
    """The law as a picture takes it."""
    columns = {name: np.array(answer[name], dtype=float) for name in ("x", "density")}
    pairs = {"atoms": tuple((a, m) for a, m in answer["atoms"]), "span": (answer["span"][0], answer["span"][1])}
    return DrawnLaw(**{**answer, **columns, **pairs})
