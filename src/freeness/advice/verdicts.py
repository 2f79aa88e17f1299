"""The verdict in words: ordered, critical or chaotic; isometric or not; what to change."""

from __future__ import annotations

import math
from collections.abc import Sequence

from freeness.advice.analysis import Comparison, Isometry, LayerRow, Phase, Verdict
from freeness.advice.departures import departures

_CRITICAL = math.log(10.0)  # |Σ ln χ| up to which squared gradients change by less than tenfold over the whole depth
_GRAVE = math.log(1e4)  # a hundredfold in amplitude: up to there shallow default networks train as they are
_ISOMETRIC = 0.25  # σ_JJ² = Σδ - Σs₁ up to which we call a network isometric
_NEARLY = 1.0
_DISAGREEMENT = 2.0  # factor between predicted and measured λ_max beyond which the verdict warns
_FAR = 0.1  # W₁/λ_max beyond which a predicted spectrum is called off
_SCATTERS = 2.0  # standard deviations of the mean that chance is allowed
_WORDS: tuple[tuple[float, Isometry], ...] = ((_ISOMETRIC, "isometric"), (_NEARLY, "nearly isometric"))


def phase_of(rows: Sequence[LayerRow]) -> tuple[Phase | None, float]:
    """Phase and Σ ln χ over the layers that have an activation; None without activations.

    A last matrix that starts at 0 leaves it with the first step, and does not count.
    """
    chis = [row.chi for row in rows if row.chi is not None]
    if chis and chis[-1] == 0 and rows[-1].sigma_w == 0:
        chis = chis[:-1] or [1.0]
    if not chis or min(chis) <= 0:
        return ("ordered" if chis else None), -math.inf if chis else 0.0
    total = sum(math.log(chi) for chi in chis)
    return ("critical" if abs(total) <= _CRITICAL else "chaotic" if total > 0 else "ordered"), total


def grave_phase(rows: Sequence[LayerRow]) -> Phase | None:
    """The phase where squared gradients change by more than 10⁴ over the whole depth; None where they change by less."""
    phase, total = phase_of(rows)
    return phase if abs(total) > _GRAVE else None


def verdict(rows: Sequence[LayerRow], jacobian: Comparison, fisher: Comparison, growth: float | None = None) -> Verdict:
    """Judge a network from its signals and spectra.

    ``growth``: of the squared gradient of a batch from the last layer to the first; None where it was not measured.
    """
    phase, total = phase_of(rows)
    spread = jacobian_spread(rows) if math.isfinite(total) else math.inf
    isometric = spread <= _ISOMETRIC
    sentences = [_phase_sentence(phase, total, growth), _isometry_sentence(spread)]
    top = fisher.predicted.edge if fisher.predicted else None
    if top is not None and top.kind == "atom":
        sentences.append(
            f"{top.mass:.0%} of the one-sample Fisher eigenvalues sit at the maximum {top.value:.4g}, as theory says for "
            "networks near isometry."
        )
    advice = _advice(rows, phase, isometric)
    return Verdict(phase, isometric, tuple(sentences), advice, _warnings(jacobian, fisher), isometry_of(spread))


def isometry_of(spread: float) -> Isometry:
    """The word for a relative variance of JJᵀ: "isometric" up to 0.25, "nearly isometric" up to 1, else "not isometric".

    Example:
        >>> isometry_of(0.25), isometry_of(0.7), isometry_of(2.0)
        ('isometric', 'nearly isometric', 'not isometric')
    """
    for most, word in _WORDS:
        if spread <= most:
            return word
    return "not isometric"


def jacobian_spread(rows: Sequence[LayerRow]) -> float:
    """σ_JJ² = Σ_l δ_l - Σ_l s₁: relative variance of JJᵀ before the outputs compress it (theory.md §0)."""
    return sum(row.delta or 0.0 for row in rows) + sum(row.weight_spread for row in rows)


def _phase_sentence(phase: Phase | None, total: float, measured: float | None) -> str:
    if phase is None:
        return "The network has no activation: it is linear, and its gradients follow its weights alone."
    if not math.isfinite(total):
        return "Ordered: a layer's activations are all saturated (χ = 0), so no gradient passes it."
    theory = f"{math.exp(min(total, 700.0)):.3g}"
    factor = f"{theory} in theory" if not measured else f"{measured:.3g} (in theory {theory})"
    growth = f"squared gradients change by a factor of {factor} from the last layer to the first"
    grave = abs(total) > _GRAVE
    return {
        "critical": f"Critical: {growth}, so signals reach every layer.",
        "ordered": f"Ordered: {growth}; "
        + ("they vanish and the first layers hardly learn." if grave else "the first layers may learn slowly."),
        "chaotic": f"Chaotic: {growth}; " + ("they explode." if grave else "the first layers change most."),
    }[phase]


def _isometry_sentence(spread: float) -> str:
    if math.isinf(spread):
        return "Not isometric: nothing passes the network backward."
    word = isometry_of(spread).capitalize()
    return f"{word}: the squared singular values of the input–output Jacobian have relative variance {spread:.3g} over the width."


def _advice(rows: Sequence[LayerRow], phase: Phase | None, isometric: bool) -> tuple[str, ...]:
    advice: list[str] = []
    chis = [row.chi for row in rows if row.chi]
    if phase in ("ordered", "chaotic") and chis:
        mean = math.exp(sum(map(math.log, chis)) / len(chis))
        advice.append(
            f"Multiply the weights behind activations by about {mean**-0.5:.3g}, so that χ₁ = σ_w²·E φ'² is 1 "
            "(and check q again: φ'² changes with it)."
        )
    if not isometric:
        gaussian = [row.name for row in rows if not row.weights.startswith("haar")]
        if gaussian:
            advice.append(
                "Use Haar-orthogonal weights: with independent entries the spread grows by 1 with every layer."
            )
        spread = max((row.delta for row in rows if row.delta is not None), default=0.0)
        if spread > 0.3:
            advice.append(
                f"φ'² varies strongly over the neurons (δ up to {spread:.3g}): use an activation with a wide linear region, "
                "or smaller pre-activations along the critical line."
            )
    return tuple(advice)


def _chance(comparison: Comparison) -> float:
    """Up to which W₁ free wide layers come by chance: two scatters of the mean, and what so few eigenvalues resolve.

    Tried on 300 networks whose weights are free: it is exceeded by 2 of 100 at widths 64 and 128, by 8 of 100 at width 32.
    """
    theory = comparison.predicted
    if theory is None:
        return 0.0
    resolved = math.sqrt(theory.expected_variance) / comparison.eigenvalues.size
    return _SCATTERS * theory.finite_width_error * theory.law.mean + resolved


def _warnings(jacobian: Comparison, fisher: Comparison) -> tuple[str, ...]:
    warnings: list[str] = []
    for name, comparison in (("Jacobian", jacobian), ("Fisher", fisher)):
        if comparison.measured is None or comparison.eigenvalues.size == 1:  # the mean of one number is in the table
            continue
        top = float(comparison.eigenvalues[-1])
        if comparison.predicted and comparison.distance is not None:
            chance = _chance(comparison)
            if comparison.distance > max(_FAR * top, chance):
                warnings.append(
                    f"The {name} spectrum is off theory by W₁/λ_max = {comparison.distance / top:.2g} (chance with "
                    f"{comparison.eigenvalues.size} eigenvalues: up to about {chance / top:.1g}). The weights are not "
                    f"free of the activations, or the layers are too narrow."
                )
        told = departures(name, comparison)
        warnings += told
        if comparison.predicted and top > 0 and not any("largest eigenvalue" in line for line in told):
            factor = top / comparison.predicted.expected_largest
            if not 1 / _DISAGREEMENT <= factor <= _DISAGREEMENT:
                warnings.append(
                    f"The largest eigenvalue of the {name} spectrum is {factor:.2g} times the predicted one: expect the same "
                    "of theory's learning rate, and trust the measured one."
                )
    return tuple(warnings)
