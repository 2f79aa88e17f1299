"""Predictions from realised signals of models in which something stands before the first weights."""

import numpy as np
import pytest
from scipy.stats import t as t_distribution

from freeness.spectra import fisher_law, jacobian_law
from freeness.torch import realised_neurons, realised_signals, trace
from freeness.torch.measured.measure import measure_fisher, measure_jacobian

from .arranged import Arrangement

FEW = (4, 5, 6, 9, 14, 16, 18, 20, 22, 26)
SEEDS = range(20)


def ratios(seed: int, fisher: bool, draws: int, moments: int) -> np.ndarray:
    """Measured over predicted moments from the first on, of every draw."""
    arranged, found = Arrangement(seed), []
    law_of, measure = (fisher_law, measure_fisher) if fisher else (jacobian_law, measure_jacobian)
    for draw in range(draws):
        traced = trace(arranged.drawn(draw), arranged.x[None])
        signals = (realised_signals if traced.is_chain else realised_neurons)(traced, arranged.x)
        law, values = law_of(traced.network, realised=signals), measure(traced, arranged.x).eigenvalues
        found.append([(values**k).mean() / law.moment(k) for k in range(1, moments + 1)])
    return np.array(found)


@pytest.mark.parametrize("seed", FEW)
def test_means_are_those_of_the_mean_over_draws(seed):
    for fisher in (False, True):
        found = ratios(seed, fisher, draws=4, moments=1)[:, 0]
        assert abs(found.mean() - 1) <= 0.03 + 3 * found.std(ddof=1) / 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("fisher", [False, True])
def test_second_moments_are_those_of_the_mean_over_draws(seed, fisher):
    draws = 16
    found = ratios(seed, fisher, draws, moments=2)
    error = found.std(axis=0, ddof=1) / draws**0.5
    # of forty cases with two moments each hardly one may miss by chance: a Student quantile, for few draws know their error badly
    allowed = np.array([0.02, 0.06]) + t_distribution.ppf(1 - 1e-4, draws - 1) * error
    assert (np.abs(found.mean(axis=0) - 1) <= allowed).all()


def test_every_prefix_is_drawn():
    kinds = {kind for seed in SEEDS for kind in Arrangement(seed).described}
    assert kinds == {"skip", "activation", "layer norm", "group norm", "pooling", "weights"}
