"""Laws of the input–output Jacobian and of the one-sample Fisher dual of a feed-forward chain.

Of a chain both are read from one list of moves (:mod:`freeness.spectra.chain_moves`). Networks with skip connections,
normalisation or dropout are taken as graphs of random matrices (:mod:`freeness.spectra.graph`), identity-initialised chains
neuron by neuron (:mod:`freeness.spectra.diagonal`).
"""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Num

from freeness.errors import InputError, is_real
from freeness.laws import Law
from freeness.meanfield import Signals, signals
from freeness.moves import law_after
from freeness.network import Network
from freeness.operators import WiredEquation, WiredLaw
from freeness.spectra.chain_moves import moves_of
from freeness.spectra.chain_pass import is_diagonal
from freeness.spectra.diagonal import diagonal_law
from freeness.spectra.graph import NetworkGraph, NeuronSignals, network_graph
from freeness.spectra.graph_builder import Parametrisation
from freeness.spectra.graph_spectrum import law_of_graph
from freeness.spectra.wired_network import follows_wires, graph_or_wires, wired_equation


class Question(NamedTuple):
    """A question for a law: of a network, at an input or signals of one pass, Θ in a parametrisation or else JJᵀ."""

    network: Network
    qhat0: float
    realised: Signals | NeuronSignals | None
    samples: np.ndarray | None  # as it was asked; `check` refuses what is no array of numbers
    fisher: Parametrisation | None

    def check(self) -> None:
        """Refuse what is no network, no number, or no array of numbers."""
        if not isinstance(self.network, Network):
            raise InputError(
                f"expected a Network, got {type(self.network).__name__}; build one, for instance by fr.mlp(5, 100)."
            )
        if not is_real(self.qhat0):
            raise InputError(f"expected a number for qhat0, got {self.qhat0!r}; it is ‖x⁰‖²/N_0 of the input.")
        if self.samples is not None and np.asarray(self.samples).dtype.kind not in "fiu":
            raise InputError(
                f"expected an array of inputs for samples, got {self.samples!r}; give one of shape (n, N₀)."
            )

    @property
    def way(self) -> Literal["diagonal", "chain", "graph"]:
        """Neuron by neuron, by moves of one curve, or by a graph or wires."""
        exact = self.fisher in (None, "standard") and not isinstance(self.realised, Signals)
        if self.samples is None and exact and is_diagonal(self.network):
            return "diagonal"
        return "chain" if self.samples is None and is_chain(self.network, self.realised) else "graph"

    @property
    def chain(self) -> Signals:
        """Signals of a chain, given or of the mean field."""
        assert not isinstance(self.realised, NeuronSignals)
        return self.realised or signals(self.network, self.qhat0)

    @property
    def neurons(self) -> NeuronSignals | None:
        """Signals neuron by neuron, if some are given."""
        if isinstance(self.realised, Signals):
            raise InputError(
                "expected signals neuron by neuron (NeuronSignals) of a network that is no chain, got laws of D²; D's of "
                "different layers are correlated there."
            )
        return self.realised

    def graph_or_wires(self) -> NetworkGraph | WiredEquation:
        """A graph of chains, or where there is none the equations along the wires."""
        network, qhat0, _, samples, fisher = self
        neurons = self.neurons

        def wires() -> WiredEquation:
            return wired_equation(network, qhat0, samples=samples, realised=neurons, fisher=fisher)

        def graph() -> NetworkGraph:
            return network_graph(network, qhat0, samples=samples, realised=neurons, fisher=fisher or False)

        return wires() if follows_wires(network) else graph_or_wires(network, graph, wires)


def is_chain(network: Network, realised: Signals | NeuronSignals | None) -> bool:
    """Whether the moves of one curve cover the network, given what is known of its signals."""
    return network.is_chain and not isinstance(realised, NeuronSignals) and not follows_wires(network)


def law_asked(question: Question) -> Law:
    """The law by the way that covers the network."""
    question.check()
    of = "jacobian" if question.fisher is None else "fisher"
    match question.way:
        case "diagonal":
            return diagonal_law(question.network, question.qhat0, realised=question.neurons, fisher=of == "fisher")
        case "chain":
            return law_after(moves_of(question.network, question.chain, of, question.fisher or "standard"))
        case "graph":
            found = question.graph_or_wires()
            return law_of_graph(found) if isinstance(found, NetworkGraph) else WiredLaw(found)


def jacobian_law(
    network: Network,
    qhat0: float = 1.0,
    *,
    realised: Signals | NeuronSignals | None = None,
    samples: Num[np.ndarray, "samples features *positions"] | None = None,
) -> Law:
    """Law of JJᵀ, J = ∂f/∂x⁰, normalised over the outputs.

    Args:
        network: the record of the network.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field; neuron by neuron, they are taken as a graph.
        samples: inputs (n, N₀) or (n, channels, *positions) instead of one of norm ``qhat0``: convolutions need them, several
            samples are taken together, n·outputs eigenvalues; as a graph.

    Example:
        >>> from freeness.network import mlp
        >>> jacobian_law(mlp(5, 100, "hardtanh"), qhat0=0.1).hull[1] <= 4.0
        True
    """
    return law_asked(Question(network, qhat0, realised, samples, None))


def fisher_law(
    network: Network,
    qhat0: float = 1.0,
    *,
    realised: Signals | NeuronSignals | None = None,
    samples: Num[np.ndarray, "samples features *positions"] | None = None,
    parametrisation: Parametrisation = "standard",
) -> Law:
    """Law of Θ = J_θJ_θᵀ for one sample (no 1/N, no loss factor); its non-zero eigenvalues are those of the Fisher.

    Θ_1 = ‖x⁰‖²·1, Θ_{l+1} = ‖x^l‖²·1 + W_{l+1} D_l Θ_l D_l W_{l+1}ᵀ, with 1 added to ‖x‖² where a bias is trained.

    Args:
        network: the record of the network.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field; neuron by neuron, they are taken as a graph.
        samples: inputs (n, N₀) or (n, channels, *positions) instead of one of norm ``qhat0``: convolutions need them, several
            samples are taken together, n·outputs eigenvalues; as a graph.
        parametrisation: ``"ntk"``: of ω and β with W = σ_w ω/√fan_in and b = σ_b β: σ_w²q̂ for ‖x‖², σ_b² for 1.

    Example:
        >>> from freeness.network import mlp
        >>> round(fisher_law(mlp(3, 100, "linear"), qhat0=1.0).mean, 9)
        300.0
    """
    return law_asked(Question(network, qhat0, realised, samples, parametrisation))
