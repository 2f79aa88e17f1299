"""The Gram matrix between the outputs of a network, which finite widths leave uneven: eigenvalues of one sample's Fisher dual."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from freeness.advice.largest import LargestEigenvalue, largest_eigenvalue
from freeness.laws import MarchenkoPastur
from freeness.meanfield import Signals
from freeness.network import Network
from freeness.spectra import fisher_moments

_SHARP = 1e-9  # relative spread of a law that is rounding


def output_gram(
    network: Network, found: Signals, weighted: Signals | None = None, largest: LargestEigenvalue | None = None
) -> Float[np.ndarray, " outputs"]:
    """The eigenvalues of F, ascending, of mean 1: those of Σ_l s_l Θ_l of one sample over their mean.

    Quantiles of a Marchenko–Pastur law with the variance of that sample's law, stretched to its end: few of many outputs see no
    more of it (within 3 % of its own quantiles for 10 outputs and up to 10 layers), and its quantiles would take seconds. A
    single eigenvalue outside the law is the largest of them.

    Source: Hayase, Karakida (AISTATS 2021) for the law; tested against drawn networks.

    Example:
        >>> from freeness.meanfield import signals
        >>> from freeness.network import mlp
        >>> network = mlp(6, [200] * 6 + [3], "relu", "gaussian", sigma_w=2**0.5)
        >>> output_gram(network, signals(network)).round(2).tolist()
        [0.75, 0.99, 1.26]
    """
    count = network.dense[-1].fan_out
    if count == 1:
        return np.ones(1)
    known = fisher_moments(network, realised=weighted or found)
    top = largest or largest_eigenvalue(network, found, weighted=weighted)
    spread, end = known.relative_variance, top.end / known.mean
    values = np.ones(count)
    if spread > _SHARP and end > 1 + _SHARP:
        usual = MarchenkoPastur(spread)
        stretched = (usual.quantile((np.arange(count) + 0.5) / count) - 1) * (end - 1) / (usual.hull[1] - 1)
        values = np.maximum(1 + stretched, 0.0)
        values[-1] = max(values[-1], _SHARP)  # all mass at 0: one neuron, outputs are multiples of one another
    values *= count / values.sum()
    if top.single is not None and top.single / known.mean > values[-1]:
        values[-1] = min(top.single / known.mean, float(count))
        rest = values[:-1].sum()
        values[:-1] *= (count - values[-1]) / rest if rest > 0 else 0.0
    return values
