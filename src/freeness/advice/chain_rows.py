"""The per-layer table of an analysis."""

from __future__ import annotations

from freeness.advice.analysis import LayerRow
from freeness.laws import Atom
from freeness.meanfield import ActivationSignal, DenseSignal, Signals, variance_gain
from freeness.network import Dense, Network
from freeness.spectra import weight_spread

_LISTED = 0.01  # atoms of D² below this mass are not listed
_SEVERAL = 1.5  # neurons, of which one alone makes none


def layer_rows(network: Network, found: Signals) -> tuple[LayerRow, ...]:
    """The per-layer table: each weight layer with the activation that follows it, and χ from the weights behind that back to it.

    Example:
        >>> from freeness.meanfield import signals
        >>> from freeness.network import mlp
        >>> net = mlp(2, 100, "relu", "gaussian", sigma_w=2**0.5)
        >>> [row.chi and round(row.chi, 12) for row in layer_rows(net, signals(net))]
        [1.0, None]
    """
    rows: list[LayerRow] = []
    weights = iter(network.dense[1:])
    pairs = list(zip(network.chain(), found.layers, strict=True))
    for (layer, signal), (following, seen) in zip(pairs, [*pairs[1:], (None, None)], strict=True):
        if not isinstance(layer, Dense) or not isinstance(signal, DenseSignal):
            continue
        active = seen if isinstance(seen, ActivationSignal) else None
        behind = next(weights, None)
        rows.append(
            LayerRow(
                index=len(rows) + 1,
                name=layer.name,
                fan_in=layer.fan_in,
                fan_out=layer.fan_out,
                weights=type(layer.weights).__name__.lower(),
                sigma_w=layer.weights.sigma_w,
                sigma_b=layer.sigma_b,
                qhat=signal.qhat,
                q=signal.q,
                activation=None if following is None or isinstance(following, Dense) else following.function.name,
                chi=_gain(behind) * active.mu1 if active else None,
                delta=active.delta if active and active.mu1 > 0 else None,
                atoms=_listed(active.derivative_law.atoms, layer.fan_out) if active else (),
                weight_spread=weight_spread(layer.weights, layer.fan_in, layer.fan_out),
            )
        )
    return tuple(rows)


def _gain(layer: Dense | None) -> float:
    """By how much weights multiply squared gradients: E‖Wᵀδ‖²/‖δ‖² = ‖W‖²/fan_out, which they do to mean squares forward, too."""
    return 1.0 if layer is None else variance_gain(layer.weights, layer.fan_in, layer.fan_out)


def _listed(atoms: tuple[Atom, ...], neurons: int) -> tuple[Atom, ...]:
    """Those that hold a hundredth of the neurons, and more than one of them."""
    return tuple(atom for atom in atoms if atom.mass >= max(_LISTED, _SEVERAL / neurons))
