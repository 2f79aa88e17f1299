"""What is known of the spectra of chains without solving for a density: explicit laws, moments, atoms, and how they scale.

Moments and the largest atom of a chain are read from its list of moves (:mod:`freeness.spectra.chain_moves`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Num

from freeness.errors import InputError, is_size
from freeness.laws import Atom, Atoms, Law, Mixture, PointMass, Wachter, require_laws, simplify
from freeness.meanfield import Signals, signals
from freeness.moves import AffineLaw, MeanVariance, mean_variance_after, top_atom_after
from freeness.network import Network
from freeness.numerics import NEGLIGIBLE
from freeness.spectra.backward import fisher_law
from freeness.spectra.chain_moves import moves_of

# --- two hidden layers --------------------------------------------------------------------------------------------


def two_hidden_fisher_law(norms: Sequence[float], traces: Sequence[float], gain: float = 1.0) -> Law:
    """The law of Θ of a Haar chain of three weight matrices with D² on {0, γ}, in closed form.

    With s = σ_w²γ: atoms n₂ (mass 1 - α₂), n₂ + s n₁ (max(α₂ - α₁, 0)) and n₂ + s(n₁ + s n₀) (max(α₁ + α₂ - 1, 0)); between them
    n₂ + s(n₁ + s n₀ t), where t has the density √((λ₊ - t)(t - λ₋))/(2πt(1 - t)), λ± = α₁ + α₂ - 2α₁α₂ ±
    √(4α₁α₂(1 - α₁)(1 - α₂)): the law of one projection compressed by the other, which is Wachter's.

    Args:
        norms: ‖x⁰‖², ‖x¹‖², ‖x²‖² (or q̂, for Θ/N), each plus 1 where a bias is trained.
        traces: α₁, α₂, the shares of neurons with φ' ≠ 0, in (0, 1].
        gain: s = σ_w²γ.

    Raises:
        InputError: not three positive norms, two traces in (0, 1], or a positive gain.

    Source: Hayase, Karakida (AISTATS 2021); theory.md §3.2.

    Example:
        >>> law = two_hidden_fisher_law([1.0, 1.0, 1.0], [0.75, 0.875])
        >>> [(x, round(mass, 12)) for x, mass in law.atoms]
        [(1.0, 0.125), (2.0, 0.125), (3.0, 0.625)]
    """
    n = _numbers("three norms > 0", norms, 3, np.inf)
    first, second = _numbers("two traces in (0, 1]", traces, 2, 1.0)
    s = _numbers("one gain > 0", [gain], 1, np.inf)[0]
    middle, top = n[2] + s * n[1], n[2] + s * (n[1] + s * n[0])
    if first == 1 or second == 1:  # one projection is all that is left
        masses = [1 - second, second * (1 - first), first * second]
        return simplify(Atoms([n[2], middle, top], masses))
    ratios = np.array([first, 1 - first]) / second
    ratios[np.abs(ratios - 1) < NEGLIGIBLE] = 1.0  # no atoms that are rounding
    inner = AffineLaw(Wachter(*ratios.tolist()), s**2 * n[0], middle)
    return Mixture([PointMass(n[2]), inner], [1 - second, second])


def _numbers(expected: str, given: Sequence[float], count: int, most: float) -> list[float]:
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.shape != (count,) or not (np.isfinite(values).all() and (values > 0).all() and (values <= most).all()):
        raise InputError(f"expected {expected}, got {given!r}; give them in the order of the layers.")
    return values.tolist()


# --- moments ------------------------------------------------------------------------------------------------------


def jacobian_moments(network: Network, qhat0: float = 1.0, *, realised: Signals | None = None) -> MeanVariance:
    """Mean and variance of the law of JJᵀ of a chain, in a few operations a layer.

    With equal widths, Haar weights and one D², they are m = σ_w²χ₁ⁿ and m²·nδ over n = L - 1 activations; every Gaussian matrix
    adds m².

    Args:
        network: a chain of weight layers and activations of any widths and ensembles.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field.

    Raises:
        InputError: the network is no chain, or its weights are multiples of the identity.

    Source: Pennington, Schoenholz, Ganguli (2017), with unequal widths; theory.md §3.1.

    Example:
        >>> from freeness.network import mlp
        >>> jacobian_moments(mlp(5, 100, "linear", "gaussian"))  # five Gaussian matrices: Fuss–Catalan of variance 5
        MeanVariance(mean=1.0, variance=5.0)
    """
    return mean_variance_after(moves_of(network, realised or signals(network, qhat0), "jacobian"))


def fisher_moments(network: Network, qhat0: float = 1.0, *, realised: Signals | None = None) -> MeanVariance:
    """Mean and variance of the law of Θ (one sample) of a chain, in a few operations a layer.

    At criticality with equal widths, Haar weights and one norm n = ‖x‖² and δ in every layer they are m = nL and
    m²·δ(L-1)(2L-1)/(6L); with Gaussian weights δ is replaced by δ + 1.

    Args:
        network: a chain of weight layers and activations of any widths and ensembles.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field.

    Raises:
        InputError: the network is no chain, or its weights are multiples of the identity.

    Source: Hayase, Karakida (AISTATS 2021), with unequal widths; theory.md §3.2.

    Example:
        >>> from freeness.network import mlp
        >>> found = fisher_moments(mlp(4, 100, "linear", "gaussian"))
        >>> round(found.mean, 9), round(found.relative_variance, 12) == round(3 * 7 / 24, 12)
        (400.0, True)
    """
    return mean_variance_after(moves_of(network, realised or signals(network, qhat0), "fisher"))


# --- the largest atom ---------------------------------------------------------------------------------------------


def jacobian_top_atom(network: Network, qhat0: float = 1.0, *, realised: Signals | None = None) -> Atom | None:
    """The atom at the upper end of the law of JJᵀ of a chain, None where the upper end is an edge without mass.

    With equal widths, Haar weights and D² on {0, γ}: (σ_w²)^L γⁿ of mass 1 - Σ(1 - α_l), if that is positive.

    Args:
        network: a chain of weight layers and activations.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field.

    Raises:
        InputError: the network is no chain, or its weights are multiples of the identity.

    Source: Bercovici, Voiculescu (1998) for atoms of ⊠; theory.md §3.1.

    Example:
        >>> from freeness.network import mlp
        >>> jacobian_top_atom(mlp(2, 100, "relu", sigma_w=2**0.5)).mass, jacobian_top_atom(mlp(3, 100, "relu"))
        (0.5, None)
    """
    return top_atom_after(moves_of(network, realised or signals(network, qhat0), "jacobian"))


def fisher_top_atom(network: Network, qhat0: float = 1.0, *, realised: Signals | None = None) -> Atom | None:
    """The atom at the upper end of the law of Θ of a chain, None where the upper end is an edge without mass.

    With equal widths, Haar weights and D² on {0, γ}: λ* = Σ_l ‖x^{l-1}‖²(σ_w²γ)^{L-l} of mass 1 - Σ(1 - α_l), if that is
    positive. λ* bounds the norm of Θ; without mass there, the edge lies lower, often by far, and λ* is not reported.

    Args:
        network: a chain of weight layers and activations.
        qhat0: ‖x⁰‖²/N_0; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field.

    Raises:
        InputError: the network is no chain, or its weights are multiples of the identity.

    Source: Hayase, Karakida (AISTATS 2021); theory.md §3.2.

    Example:
        >>> from freeness.network import mlp
        >>> round(fisher_top_atom(mlp(3, 100, "linear")).position, 9), fisher_top_atom(mlp(10, 100, "relu", sigma_w=2**0.5))
        (300.0, None)
    """
    return top_atom_after(moves_of(network, realised or signals(network, qhat0), "fisher"))


def isometric_top_atom(deficit: float) -> Atom | None:
    """The limit of the top atom of Θ over ‖x‖²L for D² ∈ {0, γ} of trace 1 - ε/L at criticality: (e^ε - 1)/ε, mass 1 - ε.

    Under dynamical isometry the largest eigenvalue grows linearly in L and most eigenvalues sit at it; for ε ≥ 1 there is no
    such atom, and None is returned.

    Args:
        deficit: ε = lim L(1 - α) ≥ 0.

    Raises:
        InputError: ε is negative or not finite.

    Source: Hayase, Karakida (AISTATS 2021); theory.md §3.2.

    Example:
        >>> isometric_top_atom(0.0), isometric_top_atom(0.5).mass, isometric_top_atom(1.0)
        (Atom(position=1.0, mass=1.0), 0.5, None)
    """
    if not (np.isfinite(deficit) and deficit >= 0):
        raise InputError(f"expected ε = L(1 - α) ≥ 0, got {deficit}; α is a share of neurons.")
    if deficit >= 1:
        return None
    return Atom(float(np.expm1(deficit) / deficit) if deficit > 0 else 1.0, 1.0 - float(deficit))


# --- how a spectrum is spread -------------------------------------------------------------------------------------


def concentration(law: Law, share: float) -> float:
    """The mass within a share of the upper end λ of the support: μ([(1 - share)λ, λ]).

    Args:
        law: with λ > 0.
        share: in [0, 1]; 0.1 asks for what lies within 10 % of the largest eigenvalue.

    Raises:
        InputError: the upper end is not positive, or the share is not in [0, 1].

    Example:
        >>> from freeness.laws import Uniform
        >>> round(concentration(Uniform(0.0, 2.0), 0.25), 9)
        0.25
    """
    require_laws(law)
    top = law.hull[1]
    if not 0 <= share <= 1:
        raise InputError(f"expected a share in [0, 1], got {share}; 0.1 means within 10 % of the largest eigenvalue.")
    if top <= 0:
        raise InputError(f"expected a law with a positive upper end, got {top:.6g}; a share of it means nothing.")
    low = (1 - share) * top
    at = sum(mass for x, mass in law.atoms if x == low)
    return min(float(1.0 - law.cdf(low)) + at, 1.0)


def condition_number(law: Law) -> float:
    """The upper over the lower end of the support of a law on [0, ∞); infinite where that reaches down to 0.

    Of a Jacobian's singular values it is the square root of that of JJᵀ.

    Raises:
        InputError: the support reaches below 0, or holds nothing else than 0.

    Example:
        >>> from freeness.laws import MarchenkoPastur
        >>> round(condition_number(MarchenkoPastur(0.25)), 9), condition_number(MarchenkoPastur(1.0))
        (9.0, inf)
    """
    require_laws(law)
    low, high = law.hull
    if law.lower_bound < 0 and low < 0:
        raise InputError(f"expected a law on [0, ∞), got one on [{low:.6g}, {high:.6g}]; take that of its square.")
    if high <= 0:
        raise InputError("expected a law with mass above 0, got δ(0); it has no condition number.")
    return high / low if low > 0 else np.inf


@dataclass(frozen=True, eq=False)
class DepthScaling:
    """The upper ends of the laws of a family of networks against their depths, and the least-squares slope in logarithms."""

    depths: Num[np.ndarray, " depths"]
    tops: Num[np.ndarray, " depths"]
    slope: float


def depth_scaling(
    family: Callable[[int], Network], depths: Iterable[int], law: Callable[[Network], Law] = fisher_law
) -> DepthScaling:
    """λ_max against depth, and the exponent with which it grows: the slope of log λ_max over log depth.

    Args:
        family: the network of a depth.
        depths: at least two different ones.
        law: of which the upper end is taken, as a function of the network.

    Raises:
        InputError: fewer than two different depths, or an upper end that is not positive.

    Example:
        >>> from freeness.network import mlp
        >>> found = depth_scaling(lambda depth: mlp(depth, 100, "linear"), [10, 20, 40])
        >>> found.tops.round(9).tolist(), round(found.slope, 9)
        ([1000.0, 2000.0, 4000.0], 1.0)
    """
    sizes = list(depths)
    if not all(map(is_size, sizes)) or len(set(sizes)) < 2:
        raise InputError(f"expected at least two different depths, whole numbers ≥ 1, got {sizes}; add some.")
    tops = np.array([law(family(int(depth))).hull[1] for depth in sizes])
    if not (tops > 0).all():
        raise InputError(f"expected positive upper ends, got {tops.tolist()}; logarithms need them.")
    slope = np.polyfit(np.log(sizes), np.log(tops), 1)[0]
    return DepthScaling(np.array(sizes, dtype=int), tops, float(slope))
