"""What a fuzzer's case is: a law of ours, the eigenvalues of a matrix, and moments that are known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

import numpy as np

import freeness as fr

SIZE = 400
Spectrum = Callable[[int, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Case:
    """``law`` builds ours, ``spectrum`` the eigenvalues of a matrix of about that size; ``moments`` as far as known.

    ``allowed``: largest difference of distribution functions between points that are displaced a little. ``smooth``: the law has
    moments, and its density integrates in a few hundred points.
    """

    text: str
    law: Callable[[], fr.Law]
    spectrum: Spectrum
    moments: np.ndarray
    _: KW_ONLY
    allowed: float = 8.0 / SIZE
    smooth: bool = True
