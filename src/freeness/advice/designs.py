"""``fr.design``: how to start a deep network, from theory alone.

Near dynamical isometry needs χ₁ = 1, orthogonal weights and nδ small: the variance q* at which nδ has the wanted value gives σ_w
and σ_b on the edge of chaos (theory.md §3.1, §8). The rest follows from the record of that network.

Sources: Pennington, Schoenholz, Ganguli (2017, 2018); Hayase, Karakida (AISTATS 2021); Tarnowski et al. (2019) for residual
branches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from freeness.advice.activation import ChosenActivation, choose_activation
from freeness.advice.candidates import Candidate, chain, usual_candidates
from freeness.advice.reached import Reach, is_homogeneous, reach, reachable
from freeness.advice.theory_rates import RateCurve, Training, rate_curve
from freeness.advice.trade_offs import TradeOff, trade_off
from freeness.errors import ConvergenceError, InputError, is_real, is_size
from freeness.laws import Law
from freeness.meanfield import (
    ActivationSignal,
    CriticalPoint,
    DenseSignal,
    Signals,
    check_norm,
    derivative_law,
    derivative_spread,
    isometric_point,
    second_moment,
    second_moment_slope,
    squared_slope,
)
from freeness.network import ActivationFunction, Gaussian, Haar, Network, mlp
from freeness.network import activation as activation_of
from freeness.shown import Plotted, Shown
from freeness.training import Rate

Form = Literal["plain", "normalised", "dks", "tat"]
_FORMS = ("plain", "normalised", "dks", "tat")
_USUAL = 0.25  # σ_JJ² where none is asked for: the verdict's bound of "isometric"
_EQUAL = 1e-9
_ALIKE = 0.01  # relative difference of two spreads that does not matter
_FAR = float(np.log(2))  # of the logarithm of a spread: then another form of the activation is tried
_TINY = 1e-300
_ENDS = 3  # widths that tell a shape: inputs, hidden, outputs
_UNSTABLE = 1.5  # growth of an error of the length over all layers beyond which the design warns


class UnreachableIsometry(InputError):
    """No network of this kind has the isometry asked for; ``nearest`` is the design that comes nearest."""

    def __init__(self, message: str, nearest: Design | None) -> None:
        super().__init__(message)
        self.nearest = nearest


@dataclass(frozen=True)
class DesignOptions:
    """What a design may not choose by itself.

    Args:
        weights: "haar", or "gaussian" where the weights must be independent.
        form: "plain" keeps φ and makes the signal small enough; "normalised" keeps the variance at 1 and widens φ's linear region
            (:func:`choose_activation`); "dks" and "tat" shape φ.
        qhat0: ‖x⁰‖²/N_0 of the inputs as they come; 1 for standardised data.
        scale_inputs: whether inputs will be multiplied by the design's ``input_scale``; otherwise the first layer's gain does it.
        bias: whether biases are trained where σ_b is 0, as torch's Linear layers have them.
    """

    weights: Literal["haar", "gaussian"] = "haar"
    form: Form = "plain"
    qhat0: float = 1.0
    scale_inputs: bool = False
    bias: bool = True

    def __post_init__(self) -> None:
        if self.weights not in ("haar", "gaussian"):
            raise InputError(f"expected weights haar or gaussian for a design, got {self.weights!r}; choose one.")
        if self.form not in _FORMS:
            raise InputError(f"expected a form among {', '.join(_FORMS)}, got {self.form!r}; choose one.")
        check_norm(self.qhat0)


class LayerGain(NamedTuple):
    """One weight layer: W = sigma_w·Q (Haar) or entries N(0, sigma_w²/fan_in), biases N(0, sigma_b²).

    ``gain``: sigma_w over the design's σ_w: √(fan_out/fan_in) where an orthogonal matrix expands, and what the input's norm asks
    of the first layer.
    """

    name: str
    fan_in: int
    fan_out: int
    sigma_w: float
    sigma_b: float
    gain: float


class ResidualPlan(NamedTuple):
    """Residual blocks x + scale·branch(x): the scale, the growth of the stream's energy, and the σ_JJ² that results."""

    blocks: int
    scale: float
    growth: float
    spread: float
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class Design(Shown, Plotted):
    """An initialisation with its reasons. What costs more than a few milliseconds is computed when it is asked for.

    ``activation``: the function to put between the layers, ``named``: the one asked for. ``q``: variance q* of pre-activations;
    ``sigma_w``, ``sigma_b``: of the hidden layers; ``layers``: the gains of each. ``input_scale``: what inputs of norm ``qhat0``
    may be multiplied by instead of the first layer's gain. ``isometry``: σ_JJ² reached. ``length_growth``: of a small error of
    the length over all layers. ``numbers``: of the activation, where it was made.
    """

    depth: int
    widths: tuple[int, ...]
    activation: ActivationFunction
    named: ActivationFunction
    weights: Literal["haar", "gaussian"]
    q: float
    sigma_w: float
    sigma_b: float
    delta: float
    isometry: float
    input_scale: float
    length_growth: float
    layers: tuple[LayerGain, ...] = field(repr=False)
    numbers: tuple[tuple[str, float], ...]
    reasons: tuple[str, ...] = field(repr=False)
    options: DesignOptions = field(repr=False)
    training: Training = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"Design(depth={self.depth}, activation={self.activation.name!r}, weights={self.weights!r}, q={self.q:.6g}, "
            f"sigma_w={self.sigma_w:.6g}, sigma_b={self.sigma_b:.6g}, isometry={self.isometry:.6g})"
        )

    @property
    def qhat0(self) -> float:
        """‖x⁰‖²/N_0 of the inputs as the first layer sees them."""
        return self.options.qhat0 * (self.input_scale**2 if self.options.scale_inputs else 1.0)

    @cached_property
    def network(self) -> Network:
        """The record: widths, gains, activation."""
        ensemble = Haar if self.weights == "haar" else Gaussian
        return chain(
            self.widths,
            self.activation,
            [ensemble(layer.sigma_w) for layer in self.layers],
            [layer.sigma_b for layer in self.layers],
            self.options.bias,
        )

    @cached_property
    def signals(self) -> Signals:
        """Mean-field signals, which are those of the fixed point in every layer."""
        law = derivative_law(self.activation, self.q) if self.depth > 1 else None
        qhat = second_moment(self.activation, self.q).value
        found: list[DenseSignal | ActivationSignal] = []
        for index, layer in enumerate(self.layers):
            norm = layer.fan_in * (qhat if index else self.qhat0)
            found.append(DenseSignal(layer.fan_in, norm, self.q))
            if law is not None and index < self.depth - 1:
                found.append(ActivationSignal(self.q, law))
        return Signals(tuple(found), "mean-field")

    @cached_property
    def itself(self) -> Candidate:
        """The design as a row of the table: χ^L, σ_JJ², nonlinearity, spectra, ξ, learning rate."""
        return Candidate("this design", self.network, self.signals, self.training, "fr.design")

    @cached_property
    def alternatives(self) -> tuple[Candidate, ...]:
        """PyTorch's default, Xavier and He, with the activation that was asked for and the inputs as they come."""
        return usual_candidates(self.widths, self.named, self.training, self.options.qhat0)

    @property
    def table(self) -> tuple[Candidate, ...]:
        """The alternatives, and this design last."""
        return (*self.alternatives, self.itself)

    @property
    def jacobian_law(self) -> Law:
        """Law of JJᵀ over the outputs."""
        return self.itself.jacobian

    @property
    def fisher_law(self) -> Law:
        """Law of the one-sample Fisher dual Θ over the outputs."""
        return self.itself.fisher

    @property
    def learning_rate(self) -> Rate:
        """The largest stable rate from theory, where to start, and why."""
        return self.itself.learning_rate

    @cached_property
    def reach(self) -> Reach:
        """The σ_JJ² that networks of this depth, activation and ensemble can have."""
        return reach(self.named, self.depth, self.weights)

    def residual(self, blocks: int | None = None) -> ResidualPlan:
        """The scale of residual branches x + β·W φ(x) at which they have this design's isometry, in place of a chain.

        With χ = σ_w² E φ'² = 1 and many blocks the law of JJᵀ has mean e^c and relative variance 2c, c = Bβ². That holds
        with Haar and with Gaussian weights. So β² = σ_JJ²/2B. 1/√B is c = 1, and c = 0 where the last layer of a branch starts
        at 0.

        Args:
            blocks: B; one for each activation of the chain when left out.

        Source: Tarnowski et al. (2019); theory.md §4.

        Example:
            >>> round(design(21, 100, "tanh", 0.5).residual().scale, 6)
            0.111803
        """
        count = self.depth - 1 if blocks is None else blocks
        if not is_size(count):
            raise InputError(f"expected a number of blocks ≥ 1, got {blocks!r}; count the residual additions.")
        spread = min(self.isometry, 2.0)
        scale = float(np.sqrt(spread / (2 * count)))
        reason = (
            f"β = √(σ_JJ²/2B) = {scale:.4g}: each block adds 2β² to the relative variance of JJᵀ and β² to the energy. 1/√B = "
            f"{count**-0.5:.4g} would make it 2, a branch whose last layer starts at 0 makes it 0"
        )
        return ResidualPlan(int(count), scale, float(np.exp(spread / 2)), spread, reason)

    def trade_off(self, snr: float = 1.0, points: int = 41) -> TradeOff:
        """Isometry against nonlinearity and capacity along the edge of chaos, of the activation that was asked for.

        Args:
            snr: signal-to-noise ratio of the capacity.
            points: variances along the curve, ≥ 2.
        """
        if self.depth < 2:
            raise InputError("expected a depth ≥ 2 for a trade-off, got 1: a linear map has none.")
        return trade_off(self.named, self.depth - 1, np.geomspace(1e-4, 1e2, points), snr)

    def rate_over_depth(self, depths: Sequence[int]) -> RateCurve:
        """The largest stable rate of designs of the same isometry at other depths, all with this design's last hidden width.

        Args:
            depths: at least two, each ≥ 2.
        """
        ends = self.widths[0], self.widths[-2], self.widths[-1]

        def family(depth: int) -> Network:
            widths = [ends[0], *[ends[1]] * (depth - 1), ends[2]]
            return self._again(depth, widths).network

        return rate_curve(family, depths, self.training, self.qhat0)

    def rate_over_width(self, widths: Sequence[int]) -> RateCurve:
        """The largest stable rate at other hidden widths, with the same inputs and outputs.

        Args:
            widths: at least two, ≥ 1 each, of all hidden layers.
        """

        def family(width: int) -> Network:
            return self._again(self.depth, [self.widths[0], *[width] * (self.depth - 1), self.widths[-1]]).network

        return rate_curve(family, widths, self.training, self.qhat0)

    def _again(self, depth: int, widths: Sequence[int]) -> Design:
        """The design of other sizes; where the activation fixes the isometry it is not asked for."""
        wanted = None
        if self.depth > 1 and not (is_homogeneous(self.named) and self.options.form == "plain"):
            wanted = (self.depth - 1) * self.delta + (depth if self.weights == "gaussian" else 0)
        return design(depth, widths, self.named, wanted, self.options, self.training)


def design(
    depth: int,
    width: int | Sequence[int] = 512,
    activation: str | ActivationFunction = "tanh",
    isometry: float | None = None,
    options: DesignOptions | None = None,
    training: Training | None = None,
) -> Design:
    """How to start a fully connected network: ensemble, gains, biases, input scale, activation, learning rate, with reasons.

    Args:
        depth: L, the number of weight matrices; there are n = L - 1 activations.
        width: inputs, hidden and outputs, as ``(784, 512, 10)``, for gains and learning rate depend on all three. Or the L + 1
            widths N_0, …, N_L, or one for all of them.
        activation: a name of the table or a function.
        isometry: σ_JJ², the relative variance of the spectrum of JJᵀ over the width (nδ for Haar weights, nδ + L for Gaussian
            ones): small is isometric and nearly linear. Left out: 0.25 where that is reachable, else the nearest.
        options: ensemble, form of the activation, norm of the inputs.
        training: loss, optimiser, batch, parametrisation, for the learning rate.

    Raises:
        UnreachableIsometry: no such network has the isometry; says why, and holds the nearest design that can be reached.
        InputError: an argument out of range.

    Example:
        >>> found = design(depth=101, width=512, activation="hardtanh", isometry=0.25)  # 100 activations
        >>> round(found.q, 5), round(found.sigma_w, 5), round(found.sigma_b, 5)
        (0.10935, 1.00125, 0.01525)
        >>> design(5, (784, 64, 10)).widths
        (784, 64, 64, 64, 64, 10)
    """
    chosen, how = options or DesignOptions(), training or Training()
    function = activation if isinstance(activation, ActivationFunction) else activation_of(activation)
    widths = mlp(depth, _every_width(depth, width), function).widths
    if isometry is not None and not (is_real(isometry) and isometry > 0):
        raise InputError(
            f"expected an isometry σ_JJ² > 0, got {isometry!r}; only a linear network has 0: start with 0.25."
        )
    plan = _Plan(widths, function, chosen, how)
    if plan.activations == 0:
        return plan.linear()
    share = _share(plan, isometry)
    if chosen.form != "plain":
        return plan.made(share if isometry is not None or chosen.form == "normalised" else None)
    if is_homogeneous(function):
        return _fixed_spread(plan, share, isometry)
    try:
        return plan.at(isometric_point(function, plan.activations, share))
    except InputError as error:
        nearest = plan.nearest(share)
        if isometry is None and nearest is not None:
            return replace(nearest, reasons=(*nearest.reasons, f"σ_JJ² = {share:g} is out of reach: {error}"))
        told = str(error)
        if nearest is not None:
            form = "" if nearest.options.form == "plain" else f', with form="{nearest.options.form}"'
            told += f" The nearest that can be reached is σ_JJ² = {nearest.isometry:.4g}{form}."
        raise UnreachableIsometry(told, nearest) from None


def _every_width(depth: int, width: int | Sequence[int]) -> int | Sequence[int]:
    """Inputs, hidden and outputs stand for all widths; of two layers they are all."""
    if not isinstance(width, Sequence) or len(width) != _ENDS or not is_size(depth) or depth == 1:
        return width
    return [width[0], *[width[1]] * (depth - 1), width[2]]


def _share(plan: _Plan, isometry: float | None) -> float:
    """What of the isometry is the activations' part, nδ; Gaussian weights take 1 a layer."""
    if plan.options.weights == "haar":
        return _USUAL if isometry is None else float(isometry)
    if isometry is None:
        return _USUAL
    depth = len(plan.widths) - 1
    share = float(isometry) - depth
    if share > 0:
        return share
    wanted = None if is_homogeneous(plan.function) else isometry
    haar = replace(plan.options, weights="haar")
    nearest = design(depth, plan.widths, plan.function, wanted, haar, plan.training)
    raise UnreachableIsometry(
        f"expected a σ_JJ² that Gaussian weights can have in {depth} layers, more than {depth}, got {isometry:g}: the singular "
        f"values of every independent matrix alone add 1. Haar weights add 0: with them σ_JJ² = {nearest.isometry:.4g} is "
        f"reached at q* = {nearest.q:.4g}.",
        nearest,
    )


def _fixed_spread(plan: _Plan, share: float, isometry: float | None) -> Design:
    """ReLU and its family: one spread at every variance, and χ₁ = 1 at σ_w = 1/√E φ'²."""
    function, count = plan.function, plan.activations
    delta = float(derivative_spread(function, np.ones(1))[0])
    sigma_w = float(1 / np.sqrt(squared_slope(function, 1.0)))
    q = sigma_w**2 * plan.options.qhat0
    found = plan.at(CriticalPoint(q, sigma_w, 0.0, delta, True))
    if delta == 0 or abs(count * delta / share - 1) <= _EQUAL:
        return found
    why = f"φ' of {function.name} jumps at 0, where the pre-activations are, so δ = {delta:.4g} at every variance"
    if isometry is None:
        return replace(found, reasons=(*found.reasons, f"{why}: no choice of gains makes this network isometric."))
    slope = choose_activation("leaky_relu", count, min(share, count)).numbers[0][1]
    shift = choose_activation("shifted_relu", count, share).numbers[0][1]
    raise UnreachableIsometry(
        f"expected the σ_JJ² that {function.name} has in {count} layers, {found.isometry:.4g}, got {isometry:g}: {why}; the "
        f"nearest is σ_w = {found.sigma_w:.4g}. {isometry:g} is reached by leaky_relu of "
        f"slope {slope:.4g} or, at q = 1, by shifted_relu of shift {shift:.4g}.",
        found,
    )


@dataclass(frozen=True)
class _Plan:
    """The arguments of a design, from which points of the edge of chaos become designs."""

    widths: tuple[int, ...]
    function: ActivationFunction
    options: DesignOptions
    training: Training

    @property
    def activations(self) -> int:
        return len(self.widths) - 2

    def linear(self) -> Design:
        """One weight matrix, without an activation."""
        point = CriticalPoint(self.options.qhat0, 1.0, 0.0, 0.0, True)
        reasons = ("One weight matrix has no activation: Haar weights of gain 1 are isometric as they are.",)
        return self._built(self.function, point, (self.options.qhat0, 1.0), (), reasons)

    def at(self, point: CriticalPoint) -> Design:
        """φ itself at a point of the edge of chaos."""
        qhat = second_moment(self.function, point.q).value
        growth = (point.sigma_w**2 * second_moment_slope(self.function, point.q)) ** self.activations
        return self._built(self.function, point, (qhat, float(growth)), (), self._reasons(point, float(growth)))

    def made(self, share: float | None) -> Design:
        """An activation made for variance 1."""
        shape = "normalised" if self.options.form == "plain" else self.options.form
        try:
            chosen = choose_activation(self.function, self.activations, share, shape)
        except (InputError, ConvergenceError) as error:
            if isinstance(error, UnreachableIsometry):
                raise
            raise UnreachableIsometry(str(error), self.nearest(_USUAL if share is None else share)) from None
        point = CriticalPoint(1.0, chosen.sigma_w, chosen.sigma_b, chosen.delta, chosen.growth <= 1 + _EQUAL)
        qhat = second_moment(chosen.function, 1.0).value
        reasons = (_sentence(chosen), *self._reasons(point, chosen.growth))
        return self._built(chosen.function, point, (qhat, chosen.growth), chosen.numbers, reasons)

    def nearest(self, share: float) -> Design | None:
        """The design whose spread is nearest to the one asked for: another variance, or else a shaped activation."""
        if self.options.form != "plain":
            return None
        q, spreads = reachable(self.function, self.activations)
        distance = np.abs(np.log(np.maximum(spreads, _TINY) / share))
        if q.size == 0 or distance.min() > _FAR:
            try:
                return replace(self, options=replace(self.options, form="tat")).made(share)
            except InputError:
                if q.size == 0:
                    return None
        near = np.flatnonzero(distance <= distance.min() + _ALIKE)
        place = int(near[np.argmin(np.abs(np.log(q[near])))])  # of those alike the one nearest to variance 1
        value = float(q[place])
        sigma_w = float(1 / np.sqrt(squared_slope(self.function, value)))
        rest = value - sigma_w**2 * second_moment(self.function, value).value
        delta = float(spreads[place]) / self.activations
        return self.at(CriticalPoint(value, sigma_w, float(np.sqrt(max(rest, 0.0))), delta, True))

    def _reasons(self, point: CriticalPoint, growth: float) -> tuple[str, ...]:
        count = self.activations
        reasons = [
            f"χ₁ = σ_w² E φ'² = 1 at q* = {point.q:.4g}: squared gradients neither grow nor vanish over {count} activations.",
            f"δ = {point.delta:.3g} there, so the activations spread JJᵀ by nδ = {count * point.delta:.4g}.",
        ]
        if self.options.weights == "haar":
            reasons.append(
                "Haar-orthogonal weights: their singular values are all equal and add nothing to the spread. Independent "
                f"(Gaussian) entries would add 1 a layer, {count + 1} in all, and no choice of q* can take that back."
            )
        else:
            reasons.append(
                f"Gaussian weights, as asked for: they add 1 a layer, {count + 1} in all; Haar weights add 0."
            )
        if growth > _UNSTABLE:
            reasons.append(
                f"Lengths are unstable: a wrong input norm grows {growth:.3g}-fold over the depth, so scale the inputs exactly."
            )
        return tuple(reasons)

    def _built(
        self,
        function: ActivationFunction,
        point: CriticalPoint,
        lengths: tuple[float, float],
        numbers: tuple[tuple[str, float], ...],
        reasons: tuple[str, ...],
    ) -> Design:
        qhat, growth = lengths
        options = self.options
        scale = float(np.sqrt(qhat / options.qhat0))
        layers: list[LayerGain] = []
        for index, (fan_in, fan_out) in enumerate(pairwise(self.widths)):
            gain = float(np.sqrt(fan_out / fan_in)) if options.weights == "haar" and fan_out > fan_in else 1.0
            if index == 0 and not options.scale_inputs:
                gain *= scale
            layers.append(LayerGain(f"layer{index + 1}", fan_in, fan_out, point.sigma_w * gain, point.sigma_b, gain))
        if not options.scale_inputs and abs(scale - 1) > _EQUAL and len(self.widths) > 2:
            reasons = (
                *reasons,
                f"The first layer's gain {scale:.4g} brings inputs of ‖x‖²/N = {options.qhat0:g} to q*; multiplying the inputs "
                "by it instead (scale_inputs) lets that layer learn at the pace of the others.",
            )
        spread = self.activations * point.delta + (len(layers) if options.weights == "gaussian" else 0)
        return Design(
            depth=len(layers), widths=self.widths, activation=function, named=self.function, weights=options.weights, q=point.q,
            sigma_w=point.sigma_w, sigma_b=point.sigma_b, delta=point.delta, isometry=float(spread), input_scale=scale,
            length_growth=growth, layers=tuple(layers), numbers=numbers, reasons=reasons, options=options, training=self.training,
        )  # fmt: skip


def _sentence(chosen: ChosenActivation) -> str:
    text = chosen.reason
    return (text if text.startswith("φ") else text[0].upper() + text[1:]) + "."
