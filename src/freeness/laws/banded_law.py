"""Laws whose bands are found by a scan of the density: what that needs of them."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property

import numpy as np
from jaxtyping import Float

from freeness.laws.law import Law
from freeness.laws.support import Bands, Edge, bands_of, edges_of
from freeness.numerics import time_left

_MORE = 0.8  # of the time left, above which it is not more than what was too little


class BandedLaw(Law):
    """A law that states the ends of its continuous part and polishes ends of bands; bands and edges are found once."""

    _known_bands: Bands | None = None
    _known_edges: tuple[Bands, tuple[Edge, ...]] | None = None  # and of which bands they are

    @cached_property
    @abstractmethod
    def continuous_hull(self) -> tuple[float, float]:
        """The ends of the continuous part."""

    @abstractmethod
    def polished_edges(
        self, bright: Float[np.ndarray, " edges"], dark: Float[np.ndarray, " edges"]
    ) -> Float[np.ndarray, " edges"]:
        """The ends of bands between points inside and points outside, NaN if none is there."""

    def lit(self, x: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
        """The density where it is more than its own error, else 0; NaN where it did not converge."""
        return self.density(x, throw=False)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        return self._bands.intervals

    @property
    def bands_error(self) -> float:
        """Of the bands that were told last, even where they would be looked for anew now."""
        return (self._known_bands or self._bands).error

    @property
    def _bands(self) -> Bands:
        """Those that were cut off are looked for anew where more time is left now."""
        known = self._known_bands
        if known is None or known.too_few < _MORE * time_left():
            known = self._known_bands = bands_of(self)
        return known

    @property
    def edges(self) -> tuple[Edge, ...]:
        bands = self._bands
        if self._known_edges is None or self._known_edges[0] is not bands:
            self._known_edges = bands, edges_of(self)
        return self._known_edges[1]
