"""A fully connected layer over positions, the same for every channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from freeness.errors import InputError
from freeness.network.departures import GAUSSIAN, Around, Departing, departing, gram_noise, participation
from freeness.network.ensembles import Ensemble, variance_gain
from freeness.network.lengths import Length, beyond_behind
from freeness.network.moments import Pairs, Step, Stream, Trained, backward, forward, same_position, trained
from freeness.network.operation import Weights, described


@dataclass(frozen=True)
class TokenMixing(Weights):
    """h_p = Σ_p' W_pp' x_p' + b_p for each channel alike, W of shape (tokens_out, tokens_in) over positions."""

    tokens_in: int
    tokens_out: int
    weights: Ensemble
    sigma_b: float = 0.0
    bias: bool = False
    name: str = ""

    @property
    def sizes(self) -> tuple[int, int]:
        return self.tokens_in, self.tokens_out


@forward.register
def _(layer: TokenMixing, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    """Σ'_pq = δ_pq(gain·mean_p' Σ_p'p' + σ_b²) in the mean over W, of many tokens; Θ likewise.

    One W is the same for all channels, so their mean at a position is not 0: μ'_p² = gain·mean_p' μ_p'² + σ_b² with random signs,
    which a layer norm behind takes away. Otherwise one W of P tokens departs from the mean by 1/√P.

    Source: Gaussian weights over the positions, as over neurons in Lee et al. (2018); means derived for this project.
    """
    _check(layer, stream)
    gain = variance_gain(layer.weights, *layer.sizes)
    bias, groups = layer.sigma_b**2, stream.groups
    trained_bias = float(layer.bias) * (1.0 if stream.standard else bias)

    def mixed(array: np.ndarray, lead: int, twice: bool, added: float) -> np.ndarray:
        """gain·mean + added at equal positions, and 0 between others."""
        same = same_position(array, lead) if twice else array
        each = gain * same.mean(axis=-1)[..., None] + added
        one = np.ones(layer.tokens_out)
        return each[..., None] * np.diag(one) if twice else each * one

    def step(pairs: Pairs) -> Pairs:
        value = mixed(pairs.value, 2, groups == 2, bias)
        if stream.standard:
            own = layer.tokens_in / gain * mixed(pairs.value, 2, groups == 2, 0.0)
        else:
            own = mixed(pairs.value, 2, groups == 2, 0.0)
        return Pairs(value, own + mixed(pairs.theta, 2, groups == 2, trained_bias), pairs.rows)

    second, growth = mixed(stream.second, 1, groups == 2, bias), mixed(stream.growth, 1, False, 0.0)
    return stream.renewed(second, growth, lambda: _means(layer, stream), True), step


def _means(layer: TokenMixing, stream: Stream) -> np.ndarray:
    """Over channels, at every position: as large as in the mean over W, of signs that belong to the layer.

    Their sum is about √P, the root mean square of drawn ones, so that averages over positions hardly see them.
    """
    before = 0.0 if stream.mean is None else (stream.mean() ** 2).mean(axis=1)
    size = np.sqrt(variance_gain(layer.weights, *layer.sizes) * before + layer.sigma_b**2)
    made = ";".join((layer.name, *sorted(source.name for source in stream.sources)))
    positive = round((layer.tokens_out + layer.tokens_out**0.5) / 2)
    signs = np.where(np.arange(layer.tokens_out) < positive, 1.0, -1.0)
    signs = np.random.default_rng(crc32(made.encode())).permutation(signs)
    return np.broadcast_to(size, len(stream.second))[:, None] * signs


@backward.register
def _(layer: TokenMixing, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    """Γ ← gain·tr Γ/P at equal positions, P of them in front."""
    (stream,) = streams
    total = _sum(gradient, stream.across) * variance_gain(layer.weights, *layer.sizes) / layer.tokens_in
    one = np.eye(layer.tokens_in) if stream.across else np.ones(layer.tokens_in)
    return (np.multiply.outer(total, one),)


@trained.register
def _(layer: TokenMixing, streams: tuple[Stream, ...], gradient: np.ndarray) -> Trained | None:
    """E‖∂ℓ/∂W‖² = tr Γ·tr Σ, of many channels."""
    (stream,) = streams
    total = _sum(gradient, stream.across)
    return Trained(total * _sum(stream.second, stream.across), float(layer.bias) * total)


@departing.register
def _(layer: TokenMixing, around: Around) -> Departing:
    """One matrix W for all channels: of Σ Γ_at,bu W_ts Q_as,bs' W_us', a form of second degree in its entries.

    Of a mean over P tokens that all channels share 1/P is left.
    """
    added = around.both(lambda gamma: _form(layer, around, gamma))
    return Departing((1.0,), added, (added[1],), own=1 / layer.tokens_in)


def _form(layer: TokenMixing, around: Around, gamma: np.ndarray | None) -> float:
    (into, out), given = layer.sizes, around.values[0]
    samples = len(around.streams[0].variance)
    if len(given) != samples * into:
        return GAUSSIAN / out
    asked = np.eye(samples * out) if gamma is None or not gamma.any() else gamma
    front, behind = (
        array.reshape(samples, count, samples, count).transpose(0, 2, 1, 3).reshape(samples**2, -1)
        for array, count in ((given, into), (asked, out))
    )
    form = (behind.T @ front).reshape(out, out, into, into).transpose(0, 2, 1, 3).reshape(out * into, -1)
    return GAUSSIAN * (participation(form) - 1 / (into * out))


@gram_noise.register
def _(layer: TokenMixing, streams: tuple[Stream, ...], behind: Stream) -> float:
    """The same for all channels, over which nothing fluctuates."""
    return 0.0


@beyond_behind.register
def _(layer: TokenMixing, streams: tuple[Stream, ...], lengths: Sequence[Length], behind: Stream) -> float:
    """Not followed."""
    return 0.0


def _sum(array: np.ndarray, across: bool) -> np.ndarray:
    """Over equal positions, of every sample."""
    return (same_position(array, 1) if across else array).sum(axis=-1)


def _check(layer: TokenMixing, stream: Stream) -> None:
    shape = stream.variance.shape[1:]
    if stream.alike or shape != (layer.tokens_in,):
        raise InputError(
            f"expected {layer.tokens_in} positions along one axis before {described(layer)}, got {shape}; give inputs of shape "
            "(n, channels, positions)."
        )
