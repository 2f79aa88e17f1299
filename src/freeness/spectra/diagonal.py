"""Identity-initialised chains: nothing mixes, so JJᵀ and the Fisher dual are diagonal and known neuron by neuron.

Freeness fails there (the D's of all layers belong to the same neuron), and is not needed: with W_l = s_l·1 the entry of neuron i
is ∏ s_l²φ'(h_i^l)², of the dual Σ_l (‖x^{l-1}‖² + [bias]) ∏_{k>l} s_k²φ'(h_i^{k-1})².
The moves of the chain say so, read entry by entry.

Source: theory.md §4.
"""

from __future__ import annotations

from freeness.laws import Law
from freeness.meanfield import NeuronSignals
from freeness.moves import law_after
from freeness.network import Network
from freeness.spectra.chain_moves import moves_of
from freeness.spectra.chain_pass import chain_signals, diagonal_pass


def diagonal_law(
    network: Network, qhat0: float = 1.0, *, realised: NeuronSignals | None = None, fisher: bool = False
) -> Law:
    """The law of JJᵀ or of Θ of such a network, exact for the input.

    Args:
        network: see :func:`is_diagonal`.
        qhat0: ‖x⁰‖²/N_0 of a Gaussian input; not used with ``realised``.
        realised: the input, and the outputs of every weight layer, of one forward pass.
        fisher: Θ instead of JJᵀ.

    Raises:
        InputError: signals of another network, or an input without a norm.

    Example:
        >>> from freeness.network import mlp
        >>> round(diagonal_law(mlp(3, 10, "linear", "identity", sigma_w=2.0)).mean, 9)  # 2⁶
        64.0
    """
    found = chain_signals(network, diagonal_pass(network, qhat0) if realised is None else realised)
    return law_after(moves_of(network, found, "fisher" if fisher else "jacobian"))
