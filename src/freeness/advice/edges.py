"""The upper ends of the spectra of a chain without the spectra: one walk along the real curve, all its points at once.

Fifty different layers cost some milliseconds so, and up to seconds as densities.
"""

from __future__ import annotations

from typing import Literal

from freeness.meanfield import Signals
from freeness.moves import upper_end_after
from freeness.network import Network
from freeness.spectra import moves_of


def upper_end(network: Network, found: Signals, of: Literal["jacobian", "fisher"] = "fisher") -> float:
    """λ_max of the law of JJᵀ or of the one-sample Fisher dual Θ of a chain.

    Args:
        network: a chain.
        found: its signals; smooth laws of D² are taken at the nodes of the Gaussian, realised ones at their quantiles.
        of: "jacobian" (JJᵀ) or "fisher" (Θ).

    Source: theory.md §3.1, §3.2; agrees with the laws of ``freeness.spectra``, from which it is independent but for atoms.

    Example:
        >>> from freeness.meanfield import signals
        >>> from freeness.network import mlp
        >>> net = mlp(10, 100, "relu", sigma_w=2**0.5)  # 2·9⁹/8⁸, theory.md §3.1
        >>> round(upper_end(net, signals(net), "jacobian") / (2 * 9**9 / 8**8), 9)
        1.0
    """
    return upper_end_after(moves_of(network, found, of))
