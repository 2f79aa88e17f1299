"""Signals and gradients of a batch by channels of wide layers that are drawn, and followed one by one.

Behind weights that sum over many channels a channel is a Gaussian field over all entries of the batch, samples and positions,
with the covariance that the channels in front give. What comes back to a channel is one, too. Between weights each channel goes
its own way, by the operations themselves. So nothing is left out of batch statistics of few entries, of slopes that depend on one
another along a skip connection, or of what batch normalisation takes from a gradient that knows the sign of its output.

Means over several runs have a standard error.

Source: the equations of Yang, Schoenholz (2017) and Yang et al. (2019) for one channel, solved by draws; tested by networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.meanfield.channel_noises import Channels, Formed, channel_noise, channel_scatters, spread_of
from freeness.meanfield.drawn_weights import ChannelWeights, TrainedChannels, field_of, mixed
from freeness.meanfield.scatters import Noise, sums_channels
from freeness.network import INPUT, Back, Network, Node, Normalisation, Pass, Weights, described, passed

_RUNS, _LIGHT = 4, 2**22  # runs: at least two, for their spread; more while they move fewer numbers than that
_SEED = 26
_NUMBERS = 2**18  # channels times entries of a field
_FEWEST, _MOST = 256, 2048  # channels
# Runs at the network's own widths, whose means are those of such networks: of many channels, and most, of few that scatter more
_OWN, _OFTEN = 16, 64
# Limits of channels, and runs, where these take too long. Of 18 layers 64 channels tell gradients 5 % too large, 32 some 10 %.
_ROUGH = ((64, 64), 4), ((64, 64), 2), ((32, 32), 2)
_WORK = 8 * 10**8  # numbers that all runs of these move: some six seconds
_PRODUCTS = 250  # of two numbers that take as long as moving one
_SHOWN = 4  # samples that show all shapes: a whole batch of large images may not fit
_MEANS = 7  # fields of a place that are means over runs
_FULL = 2**19  # channels times entries beyond which there are fewer, as large images average by themselves
_LEAST = 64  # channels then
_HELD = 500_000_000  # numbers of all signals, two gigabytes


class LargeError(InputError):
    """A batch that takes too long or too much in one way; another may do."""


class DrawnPlace(NamedTuple):
    """Behind a node, as :class:`~freeness.meanfield.Gradient` has it; ``error``: relative standard error of ``gradient``.

    ``scatters``: by which relative amounts signal, and gradients, of one network of its own widths depart from these means; where
    they are rough.
    """

    signal: float
    gradient: float
    weights: float
    biases: float
    likeness: float
    scales: float
    shifts: float
    error: float = 0.0
    scatters: tuple[float, float] = (0.0, 0.0)


def normalises_batches(network: Network) -> bool:
    """Whether statistics of a batch couple its samples.

    Example:
        >>> from freeness.network import mlp
        >>> normalises_batches(mlp(2, 3))
        False
    """
    return any(isinstance(layer, Normalisation) and layer.kind == "batch" for layer in network.walk())


def bends_channels(network: Network) -> bool:
    """Whether an activation takes what depthwise weights make of a channel: of few taps that is not Gaussian.

    Behind ReLU it is 0 where all of a window is, and what comes back depends on the derivatives in front.

    Example:
        >>> from freeness.network import mlp
        >>> bends_channels(mlp(2, 3))
        False
    """
    alone: set[str] = set()
    for node in network.nodes:
        operation = node.operation
        if isinstance(operation, Weights):
            if operation.groups == operation.sizes[0] > 1:
                alone.add(node.name)
        elif alone.intersection(node.inputs):
            alone.add(node.name)
            if operation.bends:
                return True
    return False


def drawn_places(
    network: Network,
    points: Float[np.ndarray, "samples channels *positions"],
    cotangent: Float[np.ndarray, "samples outputs *places"] | None,
    *,
    rough: bool = False,
) -> dict[str, DrawnPlace] | None:
    """Every node, and the input; None where an operation cannot be followed channel by channel.

    Args:
        network: whose weights are drawn anew, Gaussian ones of the same gain.
        points: inputs, all of the batch.
        cotangent: ∂ℓ/∂f; independent entries over samples and positions, of squares that add to 1 for each sample, where None.
        rough: by the network's own channels, or fewer, in some six seconds at most.

    Raises:
        InputError: inputs that are the same, or a signal that vanishes or overflows.
    """
    channels, shapes = _channels_of(points), shapes_behind(network, points)
    if shapes is None:
        return None
    channels_out, samples, *positions = shapes[network.nodes[-1].name]
    wanted = (samples, channels_out, *positions)
    if cotangent is not None and cotangent.shape != wanted:
        raise InputError(f"expected a cotangent of the outputs' shape {wanted}, got {cotangent.shape}; correct it.")
    drawn, count = _few(network, shapes) if rough else (_counts(network, shapes, (_FEWEST, _MOST)), 0)
    held = sum(drawn[name] * _entries(shape) for name, shape in shapes.items())
    count = count or int(np.clip(_LIGHT // held, _RUNS, _OFTEN))
    if held > _HELD:
        raise LargeError(
            f"expected a batch of at most {_HELD:,} numbers in all signals where its channels are drawn, got {held:,}; give "
            "fewer or smaller inputs."
        )
    widths = {name: shape[0] for name, shape in shapes.items()} if rough else None
    runs = [
        _run(network, (channels, cotangent), drawn, widths, np.random.default_rng((_SEED, seed)))
        for seed in range(count)
    ]
    told = [run.noises for run in runs], [run.forms for run in runs]
    scatters = channel_scatters(network.nodes, *told) if rough else {}
    return {
        name: _mean_of([run.places[name] for run in runs], scatters.get(name, (0.0, 0.0))) for name in runs[0].places
    }


def _mean_of(runs: Sequence[DrawnPlace], scatters: tuple[float, float]) -> DrawnPlace:
    each = np.array([run[:_MEANS] for run in runs])
    mean = each.mean(axis=0)
    spread = float(each[:, 1].std(ddof=1) / max(abs(mean[1]), np.finfo(float).tiny))
    return DrawnPlace._make((*mean.tolist(), spread / len(runs) ** 0.5, scatters))


def shapes_behind(
    network: Network, points: Float[np.ndarray, "samples channels *positions"]
) -> dict[str, tuple[int, ...]] | None:
    """Channels, samples and positions of every signal; None where an operation is not followed so."""
    if any(node.shares or not node.inputs for node in network.nodes):
        return None
    own = {node.name: node.operation.sizes[1] for node in network.nodes if isinstance(node.operation, Weights)}
    try:
        values, _ = _forward(network, _channels_of(points[:_SHOWN]), own, np.random.default_rng(_SEED))
    except InputError:
        return None
    return {name: (len(value), len(points), *value.shape[2:]) for name, value in values.items()}


def _channels_of(points: np.ndarray) -> np.ndarray:
    return np.moveaxis(points, 1, 0).astype(np.float32)


def _few(network: Network, shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, int], int]:
    """The network's own channels, in as many runs as the work allows; else fewer channels."""
    widest = max((shapes[node.name][0] for node in network.nodes if isinstance(node.operation, Weights)), default=1)
    own, last = {name: shape[0] for name, shape in shapes.items()}, network.nodes[-1]
    if sums_channels(last):  # nobody reads them
        own[last.name] = max(own[last.name], _LEAST)
    runs = int(_WORK / max(sum(_work(node, shapes, own) for node in network.nodes), 1.0))
    if runs >= _RUNS:
        return own, min(runs, max(_OWN * _FEWEST // widest, _OWN), _OFTEN)
    work = 0.0
    for limits, runs in _ROUGH:
        drawn = _counts(network, shapes, limits)
        work = runs * sum(_work(node, shapes, drawn) for node in network.nodes)
        if work <= _WORK:
            return drawn, runs
    raise LargeError(
        f"expected at most {_WORK:,} numbers to move where channels are drawn, got {work:,.0f}; give fewer or "
        "smaller inputs, or go by the measured layers."
    )


def _work(node: Node, shapes: Mapping[str, tuple[int, ...]], drawn: Mapping[str, int]) -> float:
    """Numbers that weights move forward, back, and for their own gradient, at every tap."""
    operation = node.operation
    if not isinstance(operation, Weights):
        return 0.0
    (name,) = node.inputs
    taps, front, behind = operation.entries / operation.sizes[0], drawn[name], drawn[node.name]
    return 3.0 * taps * front * _entries(shapes[node.name]) * (1 + behind / _PRODUCTS)


def _counts(network: Network, shapes: Mapping[str, tuple[int, ...]], limits: tuple[int, int]) -> dict[str, int]:
    """How many channels are drawn of every node: as many wherever channels meet without weights between.

    Of nodes of several widths that meet, and of weights in groups of channels, as many for each channel. ``limits``: of them.
    """
    fewest, most = limits
    group = {INPUT: INPUT}
    for node in network.nodes:
        group[node.name] = node.name
        for name in () if sums_channels(node) else node.inputs:
            old = group[name]
            group = {key: node.name if value == old else value for key, value in group.items()}
    apart = {
        group[node.name] for node in network.nodes if isinstance(node.operation, Weights) and not sums_channels(node)
    }
    found: dict[str, int] = {}
    for one in set(group.values()):
        names = [name for name in group if group[name] == one]
        entries, widths = max(_entries(shapes[name]) for name in names), {name: shapes[name][0] for name in names}
        few = min(fewest, max(_FULL // entries, _LEAST))
        wanted, width = min(max(_NUMBERS // entries, few), most), max(widths.values())
        if one == group[INPUT]:
            found |= widths
        elif one not in apart and len(set(widths.values())) == 1:
            found |= dict.fromkeys(names, wanted)
        else:
            found |= {name: -(-wanted // width) * own for name, own in widths.items()}
    return found


def _entries(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape[1:]))


def _forward(
    network: Network, channels: np.ndarray, drawn: Mapping[str, int], rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, Back | ChannelWeights]]:
    """The channels of every signal, (channels, n, *positions), and the way back through every node."""
    values, ways = {INPUT: channels}, dict[str, "Back | ChannelWeights"]()
    for node in network.nodes:
        read = tuple(values[name] for name in node.inputs)
        if isinstance(node.operation, Weights):
            weights = ChannelWeights(node.operation, read[0].shape[2:], rng)
            values[node.name] = weights.ahead(read[0], drawn[node.name])
            ways[node.name] = weights
        else:
            values[node.name], ways[node.name] = passed(node.operation, read, Pass(False, rng))
        size = _square(values[node.name]) / values[node.name].size
        if not 0 < size < np.inf:
            raise InputError(
                f"expected a signal that stays finite and does not vanish, got variance {size:g} behind "
                f"{described(node.operation)}; change sigma_w, sigma_b or the inputs' norm."
            )
    return values, ways


class _Run(NamedTuple):
    """Every place by one draw of the channels, and what it says of other draws."""

    places: dict[str, DrawnPlace]
    noises: dict[str, Noise]
    forms: dict[str, Formed]


def _run(
    network: Network,
    ends: tuple[np.ndarray, np.ndarray | None],
    drawn: Mapping[str, int],
    widths: Mapping[str, int] | None,
    rng: np.random.Generator,
) -> _Run:
    """From the channels at the input and the cotangent; noises of networks of these widths, where they are given."""
    channels, cotangent = ends
    values, ways = _forward(network, channels, drawn, rng)
    samples, last = channels.shape[1], network.nodes[-1].name
    back = {last: _at_end(values[last], cotangent, rng)}
    reached, own = 0.0, dict.fromkeys(values, TrainedChannels(0.0, 0.0, (0.0, 0.0)))
    noises, forms = dict[str, Noise](), dict[str, Formed]()
    for node in reversed(network.nodes):
        way, gradient = ways[node.name], back[node.name]
        parts: tuple[np.ndarray | None, ...]
        if isinstance(way, ChannelWeights):
            (name,) = node.inputs
            own[node.name] = way.trained(values[name], gradient)
            if name == INPUT:  # few channels: in the mean over weights
                reached += way.reached(gradient)
            parts = (None if name == INPUT else way.back(gradient, len(values[name])),)
        else:
            parts = way(gradient)
        if widths is not None:
            noises[node.name] = channel_noise(node, _around(node, values, ways, (gradient, parts), widths))
            if isinstance(way, ChannelWeights):
                forms[node.name] = _formed(node, own[node.name], widths, given=node.name == last)
            else:
                scales = np.square(_of_scales(values[node.name], gradient))
                forms[node.name] = Formed(spread_of(scales) / widths[node.name])
        for name, part in zip(node.inputs, parts, strict=True):
            if part is not None:
                back[name] = back[name] + part if name in back else part
    places = {
        name: DrawnPlace(
            _square(value) / value.size,
            ((_square(back[name]) if name in back else 0.0) + (reached if name == INPUT else 0.0)) / samples,
            own[name].weights / samples,
            own[name].biases / samples,
            _likeness(value),
            *_of_affine(value, back.get(name), samples),
        )
        for name, value in values.items()
    }
    return _Run(places, noises, forms)


def _around(
    node: Node,
    values: Mapping[str, np.ndarray],
    ways: Mapping[str, Back | ChannelWeights],
    gradients: tuple[np.ndarray, tuple[np.ndarray | None, ...]],
    widths: Mapping[str, int],
) -> Channels:
    way, value = ways[node.name], values[node.name]
    if isinstance(way, ChannelWeights):
        through = () if sums_channels(node) else (way.back(value, len(values[node.inputs[0]])),)
    else:
        through = way(value)
    counts = widths[node.name], tuple(widths[name] for name in node.inputs)
    return Channels(tuple(values[name] for name in node.inputs), value, *gradients, through, counts)


def _formed(node: Node, trained: TrainedChannels, widths: Mapping[str, int], *, given: bool) -> Formed:
    """Inputs of the network are known, and a gradient that is ``given``."""
    if not node.inputs:
        return Formed()
    (ahead, back), name = trained.spreads, node.inputs[0]
    return Formed(0.0 if name == INPUT else ahead / widths[name], 0.0 if given else back / widths[node.name])


def _at_end(end: np.ndarray, cotangent: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """Channels of the gradient at the output."""
    if cotangent is not None:
        flat = np.moveaxis(cotangent, 1, 0).reshape(cotangent.shape[1], -1)
        field = field_of(flat.T @ flat, len(end), rng) if flat.shape[1] < len(flat) else mixed(flat, len(end), rng)
        return field.reshape(end.shape)
    drawn = rng.standard_normal(end.shape, dtype=np.float32)
    return drawn / np.sqrt(np.square(drawn).sum(axis=(0, *range(2, end.ndim)), keepdims=True))


def _square(array: np.ndarray) -> float:
    flat = array.ravel()
    return float(flat @ flat)


def _of_affine(value: np.ndarray, gradient: np.ndarray | None, samples: int) -> tuple[float, float]:
    """Of a scale 1 and a shift 0 of each channel: Σ (Σ g x)² and Σ (Σ g)², for one sample."""
    if gradient is None:
        return 0.0, 0.0
    shifts = gradient.reshape(len(gradient), -1).sum(axis=1)
    return _square(_of_scales(value, gradient)) / samples, _square(shifts) / samples


def _of_scales(value: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Σ g x of each channel."""
    return (gradient * value).reshape(len(value), -1).sum(axis=1)


def _likeness(value: np.ndarray) -> float:
    """Mean cosine of the signals of two positions."""
    flat = value.reshape(*value.shape[:2], -1)
    count = flat.shape[2]
    if count < 2:
        return np.nan
    unit = flat / np.maximum(np.sqrt(np.square(flat).sum(axis=0)), np.finfo(np.float32).tiny)
    total = np.square(unit.sum(axis=2)).sum(axis=0)
    return float(((total - count) / (count * (count - 1))).mean())
