"""Softmax attention between queries, keys and values.

Second moments, in the limit of wide heads, of queries, keys and values behind weights of their own. The scores are jointly
Gaussian, cov(s_ij, s_kl) = b·Q_ik·K_jl with the Gram matrices Q and K over positions and b = scale²·d_k (1 at 1/√d_k). So forward
Σ = E A V Aᵀ, V the Gram matrix of the values, over draws of A = softmax(s + mask). Backward Γ comes back to the values as E AᵀΓA,
to the queries as b·E Γ∘R, to the keys as b·E K', where with C_ij,kl = E (v_j - o_i)(v_l - o_k) over channels

    R_ik = Σ_jl A_ij A_kl C_ij,kl K_jl,    K'_jm = Σ_ik Γ_ik Q_ik A_ij A_km C_ij,km.

Where keys and values read one signal of few channels, K and V depart together from those of wide layers, as Wishart matrices of
α/β degrees do whose differences are √α times as large (:mod:`freeness.meanfield.gram_noises`). Going back, each draw of A has a K
and a V of its own then, as R feels their product.

Heads have weights of their own, so what comes back from them adds up, of grouped queries too. With rotary positions the
covariance of scores has a factor ρ((j - i) - (l - k)), see :class:`Rotary`, and so have the sums over four positions. Scores of
distances (:class:`RelativeScores`) are a mean of their own, which differs from head to head: draws are shared out to the heads.

Source: Hron et al. (2020) for the forward pass; derived for this project for the derivative of the softmax (theory.md §11).
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal
from zlib import crc32

import numpy as np
from jaxtyping import Float, Int

from freeness.errors import InputError, is_real, is_size
from freeness.network.departures import TINY, Around, Departing, departing, gram_noise, known_by_weights, spaced, turned
from freeness.network.lengths import Length, beyond_behind
from freeness.network.moments import Pairs, Step, Stream, backward, backward_pairs, check_independent, joined, together
from freeness.network.operation import Operation, described
from freeness.network.operations.relative import RelativeScores
from freeness.network.operations.rotary import Rotary

_FEWEST, _MOST = 16, 256  # draws of A for each sample
_ENTRIES = 2**17  # of all drawn A together, between these
_TOGETHER = 1024  # positions of all samples of a batch, whose scores are drawn together
_Turns = tuple[tuple[np.ndarray, np.ndarray], ...]  # u_r between queries, v_r between keys
_UNTURNED: _Turns = ((np.ones((1, 1)), np.ones((1, 1))),)
_LIFTED = 1e-10  # of a Gram matrix's mean diagonal: tokens may be alike


@dataclass(frozen=True)
class Attention(Operation):
    """y_p = Σ_p' A_pp' v_p' in each of ``heads``, A = softmax(q kᵀ·scale + mask), of three signals: queries, keys, values.

    ``scale``: ``"root"`` 1/√d_k, ``"full"`` 1/d_k, or a number. ``causal``: position p sees p' ≤ p only. ``key_heads``: heads
    of keys and values (grouped queries), as many as ``heads`` where None. ``rotary``: turns queries and keys by their positions.
    ``relative``: what the distance of key and query adds to scores. ``added``: what each sample adds, masks and all, (n or 1,
    heads or 1, queries or 1, keys). The projections in front and behind are weights of their own.

    Source: Vaswani et al. (2017); Su et al. (2021).
    """

    heads: int
    causal: bool = False
    scale: Literal["root", "full"] | float = "root"
    key_heads: int | None = None
    name: str = ""
    rotary: Rotary | None = None
    relative: RelativeScores | None = None
    added: Float[np.ndarray, "samples heads queries keys"] | None = field(default=None, compare=False, repr=False)
    arity: ClassVar[int | None] = 3

    def __post_init__(self) -> None:
        groups = self.heads if self.key_heads is None else self.key_heads
        if not (is_size(self.heads) and is_size(groups) and self.heads % groups == 0):
            raise InputError(
                f"expected heads ≥ 1, a multiple of key_heads, got {self.heads!r} and {self.key_heads!r}; correct them."
            )
        if self.relative is not None and len(self.relative.values) not in (1, self.heads):
            raise InputError(
                f"expected scores of distances of one or {self.heads} heads, got {len(self.relative.values)}; correct them."
            )
        if self.added is not None and (self.added.ndim != 4 or self.added.shape[1] not in (1, self.heads)):
            raise InputError(
                f"expected what is added to scores as (samples, 1 or {self.heads} heads, queries, keys), got {self.added.shape}."
            )
        if self.scale not in ("root", "full") and not is_real(self.scale):
            raise InputError(f'expected the scale "root", "full" or a number, got {self.scale!r}; choose one.')

    @property
    def across(self) -> bool:
        return True

    @property
    def couples(self) -> bool:
        return True

    @property
    def multiplies(self) -> tuple[int, int]:
        return 1, 2

    def of_samples(self, chosen: Int[np.ndarray, " chosen"]) -> Attention:
        one = self.added is None or len(self.added) == 1
        return self if one or self.added is None else replace(self, added=self.added[chosen])

    def beside(self, queries: int, keys: int) -> Float[np.ndarray, "samples heads queries keys"]:
        """What is added to the scores of each sample, -∞ of what is hidden; of one sample and head where it is the same."""
        found = np.zeros((1, 1, 1, 1)) if self.added is None else self.added
        if self.relative is not None:
            found = found + self.relative.over(queries)
        if self.causal:
            found = np.where(np.triu(np.ones((queries, keys), dtype=bool), 1), -np.inf, found)
        return found

    def spread(self, width: int) -> float:
        """b: variance of a score over that of a query's and of a key's entries, of heads of this width."""
        if isinstance(self.scale, str):
            return 1.0 if self.scale == "root" else 1.0 / width
        return self.scale**2 * width


def at_positions(
    operation: Attention, entries: Float[np.ndarray, "heads positions width"], samples: int = 1
) -> Float[np.ndarray, "heads positions width"]:
    """Queries or keys as scores take them: turned, where positions are rotary.

    Args:
        operation: whose rotary frequencies they are.
        entries: (heads, n·T, d_k).
        samples: n, the slow index of the positions.
    """
    if operation.rotary is None:
        return entries
    count = entries.shape[1]
    return operation.rotary.turned(entries, np.arange(float(count)) % (count // samples))


def softmax_weights(
    operation: Attention,
    query: Float[np.ndarray, "heads queries directions"],
    key: Float[np.ndarray, "heads keys directions"],
    samples: int = 1,
) -> tuple[Float[np.ndarray, "heads queries keys"], float]:
    """A (heads, n·T, n·T') of one forward pass, 0 between different samples, and the scale of its scores.

    Args:
        operation: with its scale, and which positions see which.
        query: (heads, n·T, d_k).
        key: (heads, n·T', d_k).
        samples: n, the slow index of the positions.

    Example:
        >>> softmax_weights(Attention(1, causal=True), np.zeros((1, 2, 3)), np.zeros((1, 2, 3)))[0].tolist()
        [[[1.0, 0.0], [0.5, 0.5]]]
    """
    width = query.shape[-1]
    scale = (operation.spread(width) / width) ** 0.5
    query, key = (at_positions(operation, each, samples) for each in (query, key))
    scores = scale * query @ key.swapaxes(1, 2)
    rows, columns = query.shape[1] // samples, key.shape[1] // samples
    apart = np.eye(samples, dtype=bool)[:, None, :, None]
    scores = scores.reshape(-1, samples, rows, samples, columns)
    added = operation.beside(rows, columns).swapaxes(0, 1)[:, :, :, None]  # of the sample of the query
    return _softmax(np.where(apart, scores + added, -np.inf).reshape(-1, query.shape[1], key.shape[1])), scale


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis, in place; 0 where all is hidden."""
    most = scores.max(axis=-1, keepdims=True)
    scores -= np.where(np.isfinite(most), most, 0.0)
    np.exp(scores, out=scores)
    scores /= np.maximum(scores.sum(axis=-1, keepdims=True), TINY)
    return scores


@departing.register
def _(operation: Attention, around: Around) -> Departing:
    """It passes on the values, and heads are independent: relative variances over draws of all, forward and of what comes back.

    What comes back is weighed by the second moments there. To queries and keys it scatters with what differs between positions.
    """
    streams = tuple(one._replace(whole=pairs) for one, pairs in zip(around.streams, around.pairs, strict=True))
    weights, turns = _weights(operation, streams), _turns(operation, streams)
    query, key, value = map(_square, streams)
    each = np.arange(len(around.gradient))
    asked = _flat(around.gradient[each, each], 1)
    back = (
        _response(weights, weights, value[:, None], key[:, None], turns) * (asked * query)[:, None],
        _returned(weights, weights, value[:, None], asked * query, turns) * key[:, None],
    )
    ahead = np.trace(weights @ value[:, None] @ _turned(weights), axis1=2, axis2=3)
    powers = (*(part.sum(axis=(2, 3)) for part in back), ahead)
    found = [
        float(one.var(ddof=1) / max(one.mean() ** 2, TINY)) / operation.heads
        for one in (power.sum(axis=0) for power in powers)
    ]
    own = streams[1].common.scatter
    returned = (found[0] + own, found[1] + own, found[2])
    return Departing((0.0, 0.0, around.averaged(2)), (found[2], found[2]), returned)


@turned.register
def _(operation: Attention, size: Callable[[int], float], count: int) -> tuple[tuple[float, ...], ...]:
    """What comes back to queries and keys is multiplied by the others."""
    return (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 0.0, 0.0)


@gram_noise.register
def _(operation: Attention, streams: tuple[Stream, ...], behind: Stream) -> float:
    """What heads add is a share of a branch, and left out."""
    return 0.0


@beyond_behind.register
def _(
    operation: Attention, streams: tuple[Stream, ...], lengths: Sequence[Length], behind: Stream
) -> np.ndarray | float:
    """Of the values, and of every head's mean square over draws of A, each times what its channels add."""
    if not behind.features:
        return 0.0
    weights = _weights(operation, streams)
    own = ((weights @ _square(streams[2])[:, None]) * weights).sum(axis=-1)
    spread = (own.var(axis=1, ddof=1) / own.mean(axis=1) ** 2).reshape(streams[0].variance.shape)
    return (2 / behind.features + 1 / operation.heads) * spread + float(lengths[2].beyond.mean())


@joined.register
def _(operation: Attention, streams: tuple[Stream, ...]) -> tuple[Stream, Step]:
    """Σ = E A V Aᵀ over draws of A, the same in every call; of pairs of samples, too, where all of a batch are there.

    Squared singular values of the Jacobian (``growth``) are those of derivatives that do not depend on one another by position.
    """
    _check(operation, streams)
    query, key, value = map(_square, streams)
    weights, spread, turns = _weights(operation, streams), _spread(operation, streams[0]), _turns(operation, streams)
    mixed = weights @ value[:, None] @ _turned(weights)
    second = mixed.mean(axis=1)

    def step(*pairs: Pairs) -> Pairs:
        if streams[0].whole is None or len(pairs[0].value) < len(weights):
            raise InputError(
                f"expected samples by themselves before {described(operation)}, got pairs of some; softmax weights have kernels "
                "of a whole batch only: take freeness.meanfield.gradients, or more memory."
            )
        (queries, keys, values), thetas = (
            [_flat(array, 2) for array in each] for each in zip(*(p[:2] for p in pairs), strict=True)
        )
        value, theta = np.empty_like(queries), np.empty_like(queries)
        for row, own in enumerate(weights):
            left = own[None]
            value[row] = _mixed(left, weights, values[row])
            seen, grams = values[row][:, None], [array[row][:, None] for array in (thetas[1], keys)]
            bent = queries[row] * _response(left, weights, seen, grams[0], turns).mean(axis=1)
            bent += thetas[0][row] * _response(left, weights, seen, grams[1], turns).mean(axis=1)
            theta[row] = _mixed(left, weights, thetas[2][row]) + spread * bent
        shape = pairs[0].value.shape
        return Pairs(value.reshape(shape), theta.reshape(shape), pairs[0].rows)

    alike = sum(by_query.flat[0] * by_key for by_query, by_key in turns)  # ρ at one query
    growth = _growth(
        weights, (query, key * alike, value), tuple(one.growth.reshape(len(one.growth), -1) for one in streams), spread
    )
    mean = streams[2].mean
    after = together(streams)._replace(
        second=second.reshape(streams[0].second.shape),
        growth=growth.reshape(streams[0].growth.shape),
        mean=None if mean is None else lambda: _moved(weights, mean()).reshape(streams[0].variance.shape),
        gaussian=False,
        features=_features(operation, streams[2]),
        scatter=max(_error(mixed), *(one.scatter for one in streams)),
    )
    return after, step


@backward.register
def _(
    operation: Attention, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Γ of queries, keys and values, over the draws of A that the signal went by, or such of K and V that depart."""
    roots = _departing(operation, streams)
    weights, grams = _weights(operation, streams, roots), [_square(one) for one in streams]
    drawn = [root @ _turned(root) for root in roots] or [gram[:, None] for gram in grams[1:]]
    parts = _back(weights, weights, (grams[0], *drawn), _flat(gradient, 1), _turns(operation, streams))
    spread = _spread(operation, streams[0])
    scaled = (spread * parts[0], spread * parts[1], parts[2])
    return tuple(part.reshape(one.second.shape) for part, one in zip(scaled, streams, strict=True))


@backward_pairs.register
def _(
    operation: Attention,
    given: tuple[Pairs, ...],
    streams: tuple[Stream, ...],
    behind: Stream,
    step: Step,
    gradient: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """The same between all samples of a batch."""
    streams = tuple(one._replace(whole=pairs) for one, pairs in zip(streams, given, strict=True))
    roots, spread, turns = _departing(operation, streams), _spread(operation, streams[0]), _turns(operation, streams)
    grams, found = [_flat(pairs.value, 2) for pairs in given], _flat(gradient, 2)
    apart = [root.reshape(root.shape[1], len(found), -1, root.shape[3]).swapaxes(0, 1) for root in roots]
    weights = _weights(operation, streams, roots)
    rows: list[tuple[np.ndarray, ...]] = []
    for row, own in enumerate(weights):
        drawn = [root[row] @ _turned(root) for root in apart] or [gram[row][:, None] for gram in grams[1:]]
        rows.append(_back(own[None], weights, (grams[0][row], *drawn), found[row], turns))
    scales = (spread, spread, 1.0)
    return tuple(
        scale * np.stack(part).reshape(pairs.value.shape)
        for scale, part, pairs in zip(scales, zip(*rows, strict=True), given, strict=True)
    )


@known_by_weights.register
def _(operation: Attention, grams: tuple[np.ndarray, ...], back: tuple[np.ndarray, ...]) -> dict[int, np.ndarray]:
    """What the gradient of the keys' weights knows beyond Γ of the keys: both depart together with the signal that they read.

    Scores are products, so Σ Γ_q∘Q = Σ Γ_k∘K in every network. What is missing of that is spread as K is about its means over
    positions.
    """
    (query, key), (asked, answered) = grams[:2], back[:2]
    missing = float(np.vdot(asked, query)) - float(np.vdot(answered, key))
    square = _flat(key, key.ndim // 2 if key.ndim % 2 == 0 else 1)
    centred = square - square.mean(axis=-1, keepdims=True)
    centred = centred - centred.mean(axis=-2, keepdims=True)
    return {1: (missing / max(float(np.vdot(centred, centred)), TINY) * centred).reshape(key.shape)}


def _back(
    left: np.ndarray, right: np.ndarray, grams: tuple[np.ndarray, ...], gradient: np.ndarray, turns: _Turns
) -> tuple[np.ndarray, ...]:
    """What comes back to queries and keys, but for the spread of scores and in front of a rotation, and to values.

    ``grams``: Q, and K and V of every draw.
    """
    query, key, value = grams
    return (
        gradient * _response(left, right, value, key, turns).mean(axis=1),
        _returned(left, right, value, gradient * query, turns).mean(axis=1),
        _mixed(_turned(left), _turned(right), gradient),
    )


def _mixed(left: np.ndarray, right: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """E A M Bᵀ."""
    return (left @ gram[:, None] @ _turned(right)).mean(axis=1)


def _growth(
    weights: np.ndarray, grams: tuple[np.ndarray, ...], growths: tuple[np.ndarray, ...], spread: float
) -> np.ndarray:
    """Squared derivatives at every position: Σ_j A_ij² of the values, R_ii of the query, Σ_j A_ij² C_ij,ij Q_ii of the keys."""
    query, key, value = grams
    by_query, by_key, by_value = growths
    if not any(one.any() for one in growths):
        return np.zeros_like(by_query)
    moved = weights @ value[:, None]
    level = (moved * weights).sum(axis=-1)
    spans = np.diagonal(value, axis1=1, axis2=2)[:, None, None] - 2 * moved + level[..., None]
    paired = weights @ (value * key)[:, None] - 2 * moved * (weights @ key[:, None])
    own = (paired * weights).sum(axis=-1) + level * (weights @ key[:, None] * weights).sum(axis=-1)
    through = np.diagonal(query, axis1=1, axis2=2) * ((weights**2 * spans).mean(axis=1) @ by_key[..., None])[..., 0]
    return ((weights**2).mean(axis=1) @ by_value[..., None])[..., 0] + spread * (own.mean(axis=1) * by_query + through)


def _response(left: np.ndarray, right: np.ndarray, value: np.ndarray, key: np.ndarray, turns: _Turns) -> np.ndarray:
    """R of every draw: what moves an output with its query.

    Args:
        left: A of one sample, (k or 1, draws, T, T').
        right: A of the other, (k, draws, T, T').
        value: V between them, (k, draws or 1, T', T').
        key: K between them likewise.
        turns: of rotary positions.
    """
    parts = (by_query * _unturned_response(left, right, value, by_key * key) for by_query, by_key in turns)
    return np.asarray(sum(parts))


def _unturned_response(left: np.ndarray, right: np.ndarray, value: np.ndarray, key: np.ndarray) -> np.ndarray:
    turned = _turned(right)
    by_value, by_key = left @ value, left @ key
    both = left @ (value * key) @ turned
    cross = (by_value * by_key) @ turned + left @ ((value @ turned) * (key @ turned))
    return both - cross + (by_value @ turned) * (by_key @ turned)


def _returned(left: np.ndarray, right: np.ndarray, value: np.ndarray, asked: np.ndarray, turns: _Turns) -> np.ndarray:
    """K' of every draw: what comes back to the keys.

    Args:
        left: A of one sample, (k or 1, draws, T, T').
        right: A of the other, (k, draws, T, T').
        value: V between them, (k, draws or 1, T', T').
        asked: Γ∘Q, (k, T, T).
        turns: of rotary positions.
    """
    parts = (by_key * _unturned_returned(left, right, value, by_query * asked) for by_query, by_key in turns)
    return np.asarray(sum(parts))


def _unturned_returned(left: np.ndarray, right: np.ndarray, value: np.ndarray, asked: np.ndarray) -> np.ndarray:
    ahead, turned, asked = _turned(left), _turned(right), asked[:, None]
    through, back, by_value = asked @ right, ahead @ asked, left @ value
    cross = ahead @ (by_value * through) + (back * (value @ turned)) @ right
    return (ahead @ through) * value - cross + ahead @ (asked * (by_value @ turned)) @ right


def _made(streams: tuple[Stream, ...]) -> int:
    """A seed that belongs to the weights in front."""
    return crc32(";".join(sorted(source.name for one in streams for source in one.sources)).encode())


def _added(operation: Attention, streams: tuple[Stream, ...]) -> tuple[np.ndarray, int]:
    """What is added to scores, of some heads, and how many draws of A there are, as many of each head."""
    samples, rows, columns = len(streams[0].second), streams[0].variance[0].size, streams[1].variance[0].size
    draws = int(np.clip(_ENTRIES // (samples * rows * columns), _FEWEST, _MOST))
    added = operation.beside(rows, columns)
    heads = added.shape[1]
    return added, -(-draws // heads) * heads


def _departing(operation: Attention, streams: tuple[Stream, ...]) -> list[np.ndarray]:
    """Roots of K and of V in every draw, (n or 1, draws, positions, degrees), by one Wishart matrix; none of wide layers.

    Source: Bartlett (1933) for a triangular root.
    """
    common = streams[1].common
    if not common.exchanged > 0:
        return []
    draws, rng = _added(operation, streams)[1], np.random.default_rng((_made(streams), 1))
    grams = [_square(one) if one.whole is None else _batch(one.whole) for one in streams[1:]]
    roots = [_root(spaced(gram, common.alike**0.5)) for gram in grams]
    count, degrees = len(roots[0][0]), common.alike / common.exchanged
    shape = len(roots[0]), draws, count
    if degrees < count:
        degrees = max(round(degrees), 1)
        found = rng.standard_normal((*shape, degrees))
    else:
        found, places = np.tril(rng.standard_normal((*shape, count)), -1), np.arange(count)
        found[..., places, places] = np.sqrt(rng.chisquare(degrees - places, shape))
    return [root[:, None] @ found / degrees**0.5 for root in roots]


def _weights(operation: Attention, streams: tuple[Stream, ...], roots: Sequence[np.ndarray] = ()) -> np.ndarray:
    """A of every sample, (n, draws, T, T'), by a generator that belongs to the weights in front.

    Drawn of every sample by itself, or, of a batch whose pairs are there, of all together. ``roots``: of K in every draw, first.
    """
    query, key = streams[0], streams[1]
    rng, (added, draws) = np.random.default_rng(_made(streams)), _added(operation, streams)
    samples, rows, columns = len(query.second), query.variance[0].size, key.variance[0].size
    if query.whole is None or key.whole is None:
        first, second = _root(_square(query))[:, None], _turned(roots[0] if roots else _root(_square(key))[:, None])

        def drawn() -> np.ndarray:
            return first @ rng.standard_normal((samples, draws, rows, second.shape[-2])) @ second

    else:
        if samples * max(rows, columns) > _TOGETHER:
            raise InputError(
                f"expected at most {_TOGETHER} samples times positions before {described(operation)} in a batch, got "
                f"{samples * max(rows, columns)}; give fewer."
            )
        first = _root(_batch(query.whole))[0].reshape(samples, 1, rows, -1)
        second = _turned(roots[0][0] if roots else _root(_batch(key.whole))[0])

        def drawn() -> np.ndarray:
            moved = rng.standard_normal((draws, samples * rows, second.shape[-2])) @ second
            return first @ moved.reshape(draws, samples * rows, samples, columns).transpose(2, 0, 1, 3)

    if operation.rotary is None:
        scores = drawn()
    else:
        factors = operation.rotary.roots(rows, columns, _head_width(operation, query))
        scores = np.asarray(sum(factor * drawn() for factor in factors))
    scores *= _spread(operation, query) ** 0.5
    scores += np.tile(added, (1, draws // added.shape[1], 1, 1))
    return _softmax(scores)


def _batch(whole: Pairs) -> np.ndarray:
    """The Gram matrix of all positions of all samples, (1, n·T, n·T)."""
    square = _flat(whole.value, 2)
    return square.transpose(0, 2, 1, 3).reshape(1, square.shape[0] * square.shape[2], -1)


def _flat(array: np.ndarray, lead: int) -> np.ndarray:
    """Positions in rows, behind the axes for samples."""
    places = round(float(np.prod(array.shape[lead:])) ** 0.5)
    return array.reshape(*array.shape[:lead], places, places)


def _root(gram: np.ndarray) -> np.ndarray:
    """A triangular root of every sample's Gram matrix."""
    lifted = (_LIFTED * np.trace(gram, axis1=1, axis2=2) / gram.shape[1])[:, None, None] * np.eye(gram.shape[1])
    try:
        return np.linalg.cholesky(gram + lifted)
    except np.linalg.LinAlgError:  # to first order in 1/width cosines may be those of no vectors, by as little
        least = np.minimum(np.linalg.eigvalsh(gram)[:, 0], 0.0)
        return np.linalg.cholesky(gram + lifted - 1.01 * least[:, None, None] * np.eye(gram.shape[1]))


def _turned(array: np.ndarray) -> np.ndarray:
    return np.swapaxes(array, -1, -2)


def _square(stream: Stream) -> np.ndarray:
    """The Gram matrix of every sample, (n, T, T)."""
    count = int(np.prod(stream.variance.shape[1:]))
    return stream.second.reshape(-1, count, count)


def _moved(weights: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """E A m."""
    return (weights.mean(axis=1) @ mean.reshape(len(mean), -1, 1))[..., 0]


def _error(mixed: np.ndarray) -> float:
    """Relative standard error of the output's mean square, the largest of a sample."""
    powers = np.trace(mixed, axis1=2, axis2=3)
    return float((powers.std(axis=1, ddof=1) / powers.mean(axis=1)).max() / powers.shape[1] ** 0.5)


def _features(operation: Attention, value: Stream) -> int | None:
    """Channels of all heads, of which some may share values."""
    shared = operation.heads // (operation.key_heads or operation.heads)
    return None if value.features is None else value.features * shared


def _spread(operation: Attention, query: Stream) -> float:
    if isinstance(operation.scale, str) and operation.scale == "root":
        return 1.0
    return operation.spread(_head_width(operation, query))


def _head_width(operation: Attention, query: Stream) -> int:
    if query.features is None:
        raise InputError(
            f"expected queries of known channels before {described(operation)}, got an input of unknown size; put weights "
            "between."
        )
    return query.features // operation.heads


def _turns(operation: Attention, streams: tuple[Stream, ...]) -> _Turns:
    """Products that add up to what rotary positions multiply sums over four positions by; one of ones where there are none."""
    if operation.rotary is None:
        return _UNTURNED
    rows, columns = (one.variance[0].size for one in streams[:2])
    return tuple(zip(*operation.rotary.products(rows, columns, _head_width(operation, streams[0])), strict=True))


def _check(operation: Attention, streams: tuple[Stream, ...]) -> None:
    """Queries and keys of weights of their own, at positions that are not alike."""
    query, key, value = streams
    if query.alike or not (query.across and key.across and value.across):
        raise InputError(
            f"expected tokens at positions before {described(operation)}, got a signal without them; give inputs of shape (n, "
            "channels, positions), or tokens before an Embedding."
        )
    check_independent(operation, streams)
    if not (query.gaussian and key.gaussian):
        raise InputError(
            f"expected queries and keys behind weights before {described(operation)}, got other signals; put a layer between."
        )
    if key.variance.shape != value.variance.shape:
        raise InputError(
            f"expected keys and values with the same positions before {described(operation)}, got {key.variance.shape[1:]} and "
            f"{value.variance.shape[1:]}; correct the wires."
        )
    placed = operation.causal or operation.relative is not None
    if placed and query.variance[0].size != key.variance[0].size:
        raise InputError(
            f"expected as many queries as keys in {described(operation)}, which is causal or knows distances, got "
            f"{query.variance[0].size} and {key.variance[0].size}; leave that out."
        )
    added = () if operation.added is None else operation.added.shape
    wanted = (len(query.second), operation.heads, query.variance[0].size, key.variance[0].size)
    if any(have not in (1, want) for have, want in zip(added, wanted, strict=False)):
        raise InputError(
            f"expected what is added to scores of {described(operation)} as {wanted} or 1 of each, got {added}; correct it."
        )
