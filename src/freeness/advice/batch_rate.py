"""Learning rates for batches and for all of given data, from theory alone: the spectra of their own kernel.

A batch of B inputs has the GGN dual H^{1/2}(Θ_B ⊗ F)H^{1/2}/B with Θ_B the tangent kernel between them, F the Gram matrix between
the C outputs and H the Hessian of the loss in the outputs (theory.md §3.3, §7). Batches are drawn from the data; for
cross-entropy the outputs at the start are drawn from their Gaussian process, for H depends on them. The eigenvalues of F are
those of one sample's Fisher dual over their mean, which is what finite widths leave: at C = 10 and N = 512 the largest is 1.3.
With several inputs the derivatives of neurons differ, which flattens F: so far as they do, λ comes out too high (ReLU: by some
10 %).

Unlike the order parameters of :func:`~freeness.advice.theory_rate`, which know one correlation for all pairs, this is a statement
about the inputs at hand.

Sources: Jacot, Gabriel, Hongler (2018); Karakida, Akaho, Amari (AISTATS 2019); Hayase, Karakida (AISTATS 2021) for F.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax

from freeness.advice.output_gram import output_gram
from freeness.advice.theory_rates import Training, rate_shares, weighted_signals
from freeness.errors import InputError
from freeness.meanfield import Kernels, kernels, signals
from freeness.network import Network
from freeness.spectra import BatchFisher
from freeness.training import CrossEntropy, Rate, random_batch_bound, rate_of_sharpness

_DRAWS = 16  # of batches, and of outputs
_HALF = 0.5  # of the bound at most, where noise that momentum keeps makes the usual start too large
_PREDICTED = (
    "It is that of wide networks: freeness analyze measures the model itself and tells another rate; take that one."
)
_WIDE = (
    "layers are wide: the tangent kernel is that of infinite width, from which one network departs by O(√(L/N))",
    "weights are drawn independently with the variances of the record",
    "training stays near the start, where the model is linear in its parameters",
)


def batch_learning_rate(
    network: Network,
    inputs: ArrayLike,
    training: Training | None = None,
    rng: np.random.Generator | None = None,
    *,
    found: Kernels | None = None,
) -> Rate:
    """The largest stable rate on batches of these inputs, and where to start; on all of them with ``batch`` their number.

    The sharpness is the mean over drawn batches (and outputs), its error 0 where nothing is drawn. On random batches the bound is
    that of contraction in mean square (single runs of the linear model diverged at 1.0 to 1.6 times it).

    Any architecture of which there are kernels: chains, residual, convolutional, normalised.

    Args:
        network: the record; its widths count in the standard parametrisation.
        inputs: (n, N₀), or (n, channels, *positions): the data as it will be trained on.
        training: loss, optimiser, batch size and parametrisation ("standard" or "ntk"); cross-entropy, SGD and all inputs when
            left out.
        rng: draws batches and outputs.
        found: kernels of these inputs in that parametrisation, where they are there already.

    Raises:
        InputError: a batch larger than the data, a training that is not covered, or a network without kernels.

    Example:
        >>> from freeness.network import mlp
        >>> x = np.eye(4) * 2.0
        >>> rate = batch_learning_rate(mlp(1, [4, 2], "linear", "gaussian"), x, Training("half_squared_error", batch=4))
        >>> round(rate.sharpness, 12), round(rate.bound, 12)  # λ_max(xxᵀ)/4
        (1.0, 2.0)
    """
    points = np.asarray(inputs)
    if points.ndim < 2 or points.size == 0:
        raise InputError(f"expected inputs (n, N₀), got shape {points.shape}; give at least one row.")
    how = training or Training()
    if how.batch is None:
        how = replace(how, batch=len(points))
    if how.parametrisation == "mup":
        raise InputError(
            "expected the parametrisation standard or ntk for rates of a kernel, got mup; take theory_rate, which knows μP."
        )
    if how.samples > len(points):
        raise InputError(
            f"expected a batch of at most the {len(points)} inputs, got {how.samples}; lower it, or give more inputs."
        )
    if how.correlation is not None:
        raise InputError("expected no correlation beside inputs, which have their own; leave it out.")
    known = found or kernels(network, points, parametrisation=how.parametrisation)
    gram = _between(network, points, how)
    values, scale = _sharpnesses(known, gram, how, rng or np.random.default_rng(0))
    descent = how.descent
    whole = how.samples == len(points)
    bound = descent.bound(float(values.mean())) if whole else random_batch_bound(known.ntk, how.samples, scale, descent)
    return _advised(values, bound, how, len(points), _assumptions(how, len(points), network))


def _is_chain(network: Network) -> bool:
    return network.is_chain


def _between(network: Network, inputs: np.ndarray, how: Training) -> np.ndarray:
    """The eigenvalues of F, of one sample of the inputs' mean norm; 1 of what is no chain."""
    if not _is_chain(network):
        return np.ones(network.dense[-1].fan_out)
    seen = signals(network, float((inputs**2).mean()))
    return output_gram(network, seen, weighted_signals(network, seen, rate_shares(network, how)))


def _sharpnesses(found: Kernels, gram: np.ndarray, how: Training, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """λ_max of drawn batches, with drawn outputs for cross-entropy; one number where nothing is drawn. And over that of Θ_B/B."""
    samples, outputs = len(found.ntk), len(gram)
    moves = isinstance(how.criterion, CrossEntropy)  # its Hessian depends on the outputs
    if moves and outputs < 2:
        raise InputError("expected at least two outputs for cross_entropy, got one; add another class.")
    scale = 1.0 if moves else how.criterion.curvature(outputs)
    values: list[float] = []
    tops: list[float] = []
    for _ in range(_DRAWS if moves or how.samples < samples else 1):
        part = found
        if how.samples < samples:
            rows = rng.choice(samples, how.samples, replace=False)
            part = replace(found, nngp=found.nngp[np.ix_(rows, rows)], ntk=found.ntk[np.ix_(rows, rows)])
        p = softmax(part.drawn_outputs(outputs, rng), axis=1) if moves else None
        frame = np.linalg.qr(rng.standard_normal((outputs, outputs)))[0] if moves else np.eye(outputs)
        values.append(BatchFisher(part.ntk, outputs, scale, p, between=frame * gram @ frame.T).top)
        tops.append(BatchFisher(part.ntk).top if moves else values[-1] / (scale * gram[-1]))
    return np.array(values), float(np.mean(values) / np.mean(tops))


def _advised(values: np.ndarray, bound: float, how: Training, samples: int, assumptions: tuple[str, ...]) -> Rate:
    sharpness = float(values.mean())
    error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
    usual = rate_of_sharpness(sharpness, how.criterion, how.descent, how.samples)
    recommended = min(usual.recommended, _HALF * bound)
    which = f"all {samples} inputs" if how.samples == samples else f"batches of {how.samples} of {samples} inputs"
    spread = f" ± {error:.2g}" if error > 0 else ""
    details = [
        f"λ = {sharpness:.4g}{spread} is the largest eigenvalue of the GGN of {how.criterion} over {which}, predicted from their "
        "tangent kernel."
    ]
    if how.samples == samples:
        details.append(f"Training that is linearised at the start contracts below {bound:.3g} = {how.descent.formula}.")
    else:
        details.append(
            f"On random batches, training that is linearised at the start contracts in mean square below {bound:.3g}."
        )
    start = f"{usual.formula} = {recommended:.3g}"
    if recommended != usual.recommended:
        start = f"{recommended:.3g}, half of what random batches bear"
        details.append(f"{usual.formula} = {usual.recommended:.3g}, the usual start, is too near to that.")
    reason = f"The rate is {start}; λ is the largest curvature of the loss, predicted for {which}. {_PREDICTED}"
    return replace(
        usual,
        recommended=recommended,
        bound=bound,
        sharpness_error=error,
        samples=samples,
        reason=reason,
        evidence=(evidence := f"{usual.evidence[0].upper()}{usual.evidence[1:]}, with λ measured on a batch."),
        details=(*details, f"Evidence: {evidence}"),
        assumptions=assumptions,
    )


def _assumptions(how: Training, samples: int, network: Network) -> tuple[str, ...]:
    outputs = network.dense[-1].fan_out
    found = _WIDE
    if outputs > 1 and _is_chain(network):
        found += ("the outputs' Gram matrix is that of one input, whatever the others",)
    elif outputs > 1:
        found += ("outputs are few beside the widths: their gradients are orthogonal and of equal length",)
    if how.samples < samples:
        found += (
            f"batches are drawn from these inputs without repetition, {_DRAWS} of them for λ and a new one at every step",
        )
    if isinstance(how.criterion, CrossEntropy):
        found += (f"outputs at the start are Gaussian processes, drawn {_DRAWS} times",)
    return found
