"""The learning rate of an architecture from theory alone, layer by layer if the parametrisation asks for it.

With its own rate η_l = η·s_l a layer adds s_l·‖x^{l-1}‖²δ_lδ_lᵀ to the matrix whose largest eigenvalue bounds the step, so one
spectrum serves every parametrisation: that of Σ_l s_l Θ_l (theory.md §3.2, §7).

Sources: Hayase, Karakida (AISTATS 2021) for the spectrum; Karakida, Akaho, Amari (2019) for batches; Jacot et al. (2018) for NTK;
Yang et al., Tensor Programs V (2022), table 3, for μP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Num

from freeness.advice.largest import LargestEigenvalue, largest_eigenvalue
from freeness.advice.output_gram import output_gram
from freeness.errors import InputError, is_real, is_size
from freeness.gaussian import transfer
from freeness.laws import PointMass
from freeness.meanfield import ActivationSignal, DenseSignal, Signals, signals, variance_gain
from freeness.moves import gains_after
from freeness.network import Dense, Network
from freeness.spectra import Bending, Mixing, maps_of, moves_of
from freeness.training import (
    SGD,
    USUAL_BATCH,
    LayerRate,
    Loss,
    Rate,
    SquaredError,
    StartFacts,
    as_many,
    loss_of,
    optimizer_of,
    rate_of_sharpness,
    start_rate,
)

Parametrisation = Literal["standard", "ntk", "mup"]
_PARAMETRISATIONS = get_args(Parametrisation)
_MANY = 64  # samples behind λ
_ALIKE = 0.33  # their correlation where none is told: that of standardised images
_NOTHING = float(np.finfo(float).tiny)  # for a slope of 0, which of one input means that its neurons are all saturated
# tests/torch/test_design_training.py trains designs at it
_TRIED = (
    "with λ by theory, of 64 inputs of correlation 0.33, 70 % of 121 plain networks came within 10 % of the best loss; "
    "λ measured gives 74 %"
)
_VOUCHED = (
    "Theory knows neither your data nor your batch: freeness analyze measures the model that you build on them and tells another "
    "rate; take that one."
)


@dataclass(frozen=True)
class Training:
    """How a network is to be trained.

    Args:
        loss: a name or a :class:`~freeness.training.Loss`, averaged over the batch; for any other loss its Hessian in the outputs
            of one sample, C×C.
        optimizer: a name, or a :class:`~freeness.training.SGD` with its numbers.
        batch: B, samples a step; where it is left out 64, or all of the inputs that are given.
        correlation: of two inputs, x·x'/‖x‖²; with it a batch of B > 1 has its own bound, without it that of one sample, which
            is safe for every batch.
        parametrisation: "standard" as torch has it; "ntk" and "mup" ask for a rate a layer.
        base_width: the width at which "mup" is the same as "standard".
    """

    loss: Loss | str | Float[np.ndarray, "outputs outputs"] = "cross_entropy"
    optimizer: SGD | str = "sgd"
    batch: int | None = None
    correlation: float | None = None
    parametrisation: Parametrisation = "standard"
    base_width: int = 128

    def __post_init__(self) -> None:
        _ = self.criterion, self.descent  # refuse what they do not know
        for name, size in (("batch", self.samples), ("base width", self.base_width)):
            if not is_size(size):
                raise InputError(f"expected a {name}, a whole number ≥ 1, got {size!r}; correct it.")
        if self.correlation is not None and not (is_real(self.correlation) and -1 <= self.correlation <= 1):
            raise InputError(f"expected a correlation in [-1, 1], got {self.correlation!r}; it is a cosine.")
        if self.parametrisation not in _PARAMETRISATIONS:
            raise InputError(
                f"expected a parametrisation among {', '.join(_PARAMETRISATIONS)}, got {self.parametrisation!r}; choose one."
            )

    @cached_property
    def criterion(self) -> Loss:
        """The loss itself."""
        return loss_of(self.loss)

    @property
    def samples(self) -> int:
        """Of a step."""
        return USUAL_BATCH if self.batch is None else self.batch

    @property
    def descent(self) -> SGD:
        """The optimiser itself."""
        found = optimizer_of(self.optimizer)
        if not isinstance(found, SGD):
            raise InputError(
                f"expected sgd, momentum or nesterov for a rate from theory alone, got {found.name!r}, whose preconditioner is "
                "made of gradients of a real model; freeness analyze measures it."
            )
        return found


def theory_rate(
    network: Network, training: Training | None = None, qhat0: float = 1.0, *, realised: Signals | None = None
) -> Rate:
    """The largest stable rate of a chain by the predicted spectrum of its Fisher dual, and where to start.

    Args:
        network: a chain of weight layers and activations.
        training: loss, optimiser, batch and parametrisation; cross-entropy, SGD and batches of 64 when left out.
        qhat0: ‖x⁰‖²/N_0 of the input; not used with ``realised``.
        realised: signals of one forward pass instead of the mean field.

    Raises:
        InputError: the network is no chain, or the training is not covered.

    Example:
        >>> from freeness.network import mlp
        >>> network = mlp(8, 100, "linear")  # 2/(N q̂ L), the published line at N q̂ = 1
        >>> round(theory_rate(network, Training("half_squared_error"), qhat0=0.01).bound, 12)
        0.25
    """
    how = training or Training()
    outputs = network.dense[-1].fan_out if network.dense else 1
    used = parametrised(network, how)
    found = realised or signals(used, qhat0)
    curvature = _Curvature(used, found, rate_shares(used, how))
    single, mean, shares = curvature.largest, curvature.mean, curvature.shares
    of_batch = None
    if how.samples > 1 and how.correlation is not None:
        of_batch = curvature.of_batch(how.samples, how.correlation)
        of_batch = max(of_batch, single.value / how.samples)  # its own sample's share at least
    sharpness = how.criterion.curvature(outputs) * (single.value if of_batch is None else of_batch)
    usual = rate_of_sharpness(sharpness, how.criterion, how.descent, how.samples)
    advised = _advised(usual, curvature, how) if how.parametrisation == "standard" else usual
    rate, why = advised.recommended, _why(single, mean, used, of_batch is not None)
    wide = " Try some rates before you rely on it: freeness rate does, on your model." if advised.wide else ""
    ends = advised.low and advised.high and f"{advised.low:.3g} and {advised.high:.3g}"
    held = f"; in 9 of 10 networks the best one lies between {ends}" if ends else ""
    evidence = f"{advised.evidence[0].upper()}{advised.evidence[1:]}; {_TRIED}."
    return replace(
        advised,
        bound=usual.bound,
        sharpness=sharpness,
        reason=f"The rate follows from the curvature that theory predicts with {used.dense[0].fan_in} inputs and "
        f"{outputs} outputs{held}. {_VOUCHED}{wide}",
        evidence=evidence,
        details=(*_reasons(how, usual, why), *advised.details, f"Evidence: {evidence}"),
        mean=how.criterion.curvature(outputs) * mean,
        formula=_formula(used, how, mean),
        layers=tuple(LayerRate(share.name, rate * share.weights, rate * share.biases) for share in shares),
        parametrisation=how.parametrisation,
    )


def _advised(usual: Rate, curvature: _Curvature, how: Training) -> Rate:
    """By the rule that was fitted to trained networks, with the curvature that theory predicts of many samples."""
    dense = curvature.network.dense
    outputs = dense[-1].fan_out
    size = sum(layer.fan_in * layer.fan_out + layer.fan_out * (layer.bias or layer.sigma_b > 0) for layer in dense)
    many = curvature.of_batch(_MANY, _ALIKE if how.correlation is None else how.correlation)
    sharpness = how.criterion.curvature(outputs) * many
    squared = isinstance(how.criterion, SquaredError)
    facts = StartFacts(
        sharpness,
        *[np.nan] * 3,
        parameters=size,
        batch=how.samples,
        narrow=as_many([layer.fan_out for layer in dense[:-1]]),
        scale=how.criterion.curvature(outputs) if squared else 1.0,
    )
    return start_rate(facts, how.criterion, how.descent) if sharpness > 0 else usual


# --- parametrisations ---------------------------------------------------------------------------------------------


def parametrised(network: Network, training: Training) -> Network:
    """The network with the output layer of the parametrisation: of variance σ²·base/fan_in², smaller than standard, in μP.

    Example:
        >>> from freeness.network import mlp
        >>> parametrised(mlp(2, 512, "relu"), Training(parametrisation="mup")).dense[-1].weights.sigma_w
        0.5
    """
    if training.parametrisation != "mup" or network.depth < 2:
        return network
    last = network.dense[-1]
    smaller = last.weights.sigma_w * float(np.sqrt(training.base_width / last.fan_in))
    place = max(index for index, node in enumerate(network.nodes) if node.operation is last)
    changed = replace(network.nodes[place], operation=replace(last, weights=replace(last.weights, sigma_w=smaller)))
    return Network((*network.nodes[:place], changed, *network.nodes[place + 1 :]))


def rate_shares(network: Network, training: Training) -> tuple[LayerRate, ...]:
    """s_l of every weight layer: its rate over the global one.

    Standard: 1. NTK, W = σ/√fan_in·ω with ω trained: the variance of the entries, σ_b² for biases. μP with SGD, m = width/base: m
    for the input layer and for biases, 1 between, 1/m for the output layer.

    Example:
        >>> from freeness.network import mlp
        >>> [s.weights for s in rate_shares(mlp(3, 256, "relu"), Training(parametrisation="mup"))]
        [2.0, 1.0, 0.5]
    """
    layers, base = network.dense, training.base_width
    found: list[LayerRate] = []
    for index, layer in enumerate(layers):
        name = layer.name or f"layer{index + 1}"
        first, last = index == 0, index == len(layers) - 1
        if training.parametrisation == "ntk":
            weights = variance_gain(layer.weights, layer.fan_in, layer.fan_out) / layer.fan_in
            biases = layer.sigma_b**2 if layer.sigma_b > 0 else weights
        elif training.parametrisation == "mup" and len(layers) > 1:
            weights = base / layer.fan_in if last else layer.fan_out / base if first else 1.0
            biases = 1.0 if last else layer.fan_out / base
        else:
            weights = biases = 1.0
        found.append(LayerRate(name, weights, biases))
    return tuple(found)


# --- curvature ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Curvature:
    """Σ s_l Θ_l of one sample, and of batches; what several answers ask for is computed once."""

    network: Network
    found: Signals
    shares: tuple[LayerRate, ...]

    @cached_property
    def mean(self) -> float:
        """Of the law over the outputs of one sample."""
        return _total(self.shares, layer_means(self.network, self.found))

    @cached_property
    def largest(self) -> LargestEigenvalue:
        """Of one sample; one output shows the mean."""
        if self.network.dense[-1].fan_out == 1:
            return LargestEigenvalue(self.mean, None)
        return largest_eigenvalue(self.network, self.found, weighted=self._weighted)

    @cached_property
    def _weighted(self) -> Signals:
        return weighted_signals(self.network, self.found, self.shares)

    def of_batch(self, size: int, correlation: float) -> float:
        """((B-1)κ₂ + κ₁)/B times the largest eigenvalue between outputs, κ₁ and κ₂ the means on and off the kernel's diagonal."""
        same, other = self.mean, _total(self.shares, layer_means(self.network, self.found, float(correlation)))
        between = output_gram(self.network, self.found, self._weighted, self.largest)
        return max((size - 1) * other + same, same - other) / size * float(between[-1])


def weighted_signals(network: Network, found: Signals, shares: tuple[LayerRate, ...]) -> Signals:
    """Signals whose Fisher dual is Σ_l s_l Θ_l.

    Example:
        >>> from freeness.network import mlp
        >>> net = mlp(2, 100, "relu", "gaussian")
        >>> weighted_signals(net, signals(net), rate_shares(net, Training())) == signals(net)
        True
    """
    left = list(shares)
    weighted: list[DenseSignal | ActivationSignal] = []
    for layer, signal in zip(network.chain(), found.layers, strict=True):
        if isinstance(layer, Dense) and isinstance(signal, DenseSignal):
            share = left.pop(0)
            norm = share.weights * signal.squared_norm + (share.biases - 1) * layer.bias  # the law adds 1 for a bias
            signal = replace(signal, squared_norm=norm)
        weighted.append(signal)
    return Signals(tuple(weighted), found.source)


def _total(shares: tuple[LayerRate, ...], means: tuple[tuple[float, float], ...]) -> float:
    return sum(s.weights * weights + s.biases * biases for s, (weights, biases) in zip(shares, means, strict=True))


def layer_means(network: Network, found: Signals, correlation: float = 1.0) -> tuple[tuple[float, float], ...]:
    """What a unit rate of each layer's weights, and of its biases, adds to the mean over the outputs of x·x' δ·δ'.

    At correlation 1 that is the mean of Θ_l of one sample; below, the entry of the tangent kernel between two inputs of equal
    norm, in standard parametrisation.

    Args:
        network: a chain.
        found: its signals, one a layer, as of :func:`~freeness.meanfield.signals`.
        correlation: of two inputs of equal norm.

    Example:
        >>> from freeness.network import mlp
        >>> net = mlp(3, 100, "relu", "gaussian", sigma_w=2**0.5)
        >>> [round(weights, 6) for weights, _ in layer_means(net, signals(net))]
        [100.0, 100.0, 100.0]
    """
    seen = found if correlation == 1 else _shared(network, found, correlation)
    weighty = [
        (layer, signal)
        for layer, signal in zip(network.chain(), seen.layers, strict=True)
        if isinstance(layer, Dense) and isinstance(signal, DenseSignal)
    ]
    gains = gains_after(moves_of(network, seen, "fisher"))
    return tuple(
        (signal.squared_norm * gain, layer.bias * gain) for (layer, signal), gain in zip(weighty, gains, strict=True)
    )


def _shared(network: Network, found: Signals, correlation: float) -> Signals:
    """Signals of a pair of inputs of equal norm: x·x' in the place of ‖x‖², E φ'(h)φ'(h') in that of the law of D²."""
    layers: list[DenseSignal | ActivationSignal] = []
    maps = maps_of(network, found)
    shared = (
        correlation * maps[0].qhat if isinstance(maps[0], Mixing) else 0.0
    )  # covariance of the two signals over their number
    for step, signal in zip(maps, found.layers, strict=True):
        if isinstance(step, Mixing) and isinstance(signal, DenseSignal):
            layers.append(replace(signal, squared_norm=shared * signal.fan_in))
            shared = step.gain * shared + step.added
        elif isinstance(step, Bending) and isinstance(signal, ActivationSignal):
            q = np.array([step.q])
            value, slope = transfer(step.function, q, 1)(q, q, np.clip(shared, -q, q))
            shared = float(value[0])
            layers.append(replace(signal, derivative_law=PointMass(float(slope[0]) or _NOTHING)))
    return Signals(tuple(layers), "realised")


# --- words --------------------------------------------------------------------------------------------------------


def _why(top: LargestEigenvalue, mean: float, network: Network, batch: bool) -> str:
    width, outputs = network.dense[-1].fan_in, network.dense[-1].fan_out
    if batch:
        return "one direction, the mean gradient, carries the largest eigenvalue of a batch of correlated inputs"
    if outputs == 1:
        return "one output shows the mean of the spectrum"
    why = (
        f"{outputs} outputs behind a width of {width} show the spectrum from its mean {mean:.4g} up to {top.end / mean:.3g} "
        "times that"
    )
    if top.single is not None and top.single > top.end:
        why += f", and along the signal one eigenvalue stands outside it, {top.single / top.end:.3g} times its end"
    if top.missed is not None:
        why += f"; whether one stands outside it is not known ({top.missed.rstrip('.')})"
    return why


def _reasons(how: Training, rate: Rate, why: str) -> tuple[str, ...]:
    if how.samples == 1:
        samples = "one sample"
    elif how.correlation is None:
        samples = f"one sample, which bounds that of every batch (yours: {how.samples})"
    else:
        samples = f"a batch of {how.samples} inputs of correlation {how.correlation:g}"
    unit = {"standard": "", "ntk": " in NTK parametrisation", "mup": " in μP"}[how.parametrisation]
    noisy = how.samples > 1 and how.descent.momentum > 0
    caution = (
        "That is so on one batch taken again and again; momentum keeps the noise of random batches and bears less on them, "
        "which batch_learning_rate computes from the inputs."
    )
    return (
        f"λ = {rate.sharpness:.4g} is the predicted largest eigenvalue of the GGN of {how.criterion}{unit} for {samples}: {why}.",
        f"Training that is linearised at the start contracts below {rate.bound:.3g} = {how.descent.formula}.",
        *((caution,) if noisy else ()),
    )


def _formula(network: Network, how: Training, total: float) -> str:
    """The bound by its leading terms, with this network's numbers; exact in the mean over the outputs."""
    outputs = network.dense[-1].fan_out
    h = how.criterion.curvature(outputs)
    factor = how.descent.bound(1.0) if how.descent.weight_decay == 0 else 2.0
    if how.parametrisation != "standard":
        name = {"ntk": "NTK", "mup": "μP"}[how.parametrisation]
        return (
            f"{factor:.3g}/(h Σ_l s_l Θ_l) with h = {h:.3g} and Σ_l s_l Θ_l = {total:.4g}, which does not grow with the width "
            f"in {name}"
        )
    per_layer = total / network.depth
    return (
        f"{factor:.3g}/(h N q̂ L) with h = {h:.3g}, L = {network.depth} and N q̂ = {per_layer:.4g}, the mean of ‖x‖² times the "
        "gradient's growth over the layers"
    )


# --- scaling ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class RateCurve:
    """Bounds of a family of networks against their size, and the least-squares slope in logarithms (-1 is 1/L, or 1/N)."""

    sizes: Num[np.ndarray, " sizes"]
    bounds: Num[np.ndarray, " sizes"]
    slope: float


def rate_curve(
    family: Callable[[int], Network], sizes: Iterable[int], training: Training | None = None, qhat0: float = 1.0
) -> RateCurve:
    """How the largest stable rate scales over a family of networks, for instance with depth or width.

    Args:
        family: the network of a size.
        sizes: at least two different ones.
        training: as in :func:`theory_rate`.
        qhat0: ‖x⁰‖²/N_0 of the input.

    Raises:
        InputError: fewer than two different sizes.

    Example:
        >>> from freeness.network import mlp
        >>> found = rate_curve(lambda depth: mlp(depth, 100, "linear"), [4, 8, 16])
        >>> round(found.slope, 9)
        -1.0
    """
    chosen = list(sizes)
    if not all(map(is_size, chosen)) or len(set(chosen)) < 2:
        raise InputError(f"expected at least two different sizes, whole numbers ≥ 1, got {chosen}; add some.")
    bounds = np.array([theory_rate(family(int(size)), training, qhat0).bound for size in chosen])
    slope = float(np.polyfit(np.log(chosen), np.log(bounds), 1)[0])
    return RateCurve(np.array(chosen, dtype=int), bounds, slope)
