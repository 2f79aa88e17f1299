"""Free entropy against closed forms and its scaling law."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import Atoms, MarchenkoPastur, Semicircle, free_product, free_sum, scale
from freeness.laws.entropy import free_entropy


def test_a_law_with_an_atom_has_none():
    assert free_entropy(Atoms([0.0, 1.0])) == -np.inf
    assert free_entropy(MarchenkoPastur(2.0)) == -np.inf


LAW = free_sum(Semicircle(1.0), Atoms([-1.0, 1.0]))


@pytest.fixture(scope="module")
def entropy():
    return free_entropy(LAW)


@settings(max_examples=1)
@given(st.floats(0.05, 20.0))
def test_scaling_adds_the_logarithm(entropy, factor):
    assert free_entropy(scale(LAW, factor)) == pytest.approx(entropy + np.log(factor), abs=1e-6)


def test_the_semicircle_has_the_largest_entropy_of_its_variance():
    assert free_entropy(free_sum(Semicircle(0.5), Semicircle(0.5))) == pytest.approx(np.log(2 * np.pi * np.e) / 2)
    product = free_product(MarchenkoPastur(0.3), MarchenkoPastur(0.2))
    bound = np.log(2 * np.pi * np.e * product.variance) / 2
    assert free_entropy(product) < bound - 0.01


def test_marchenko_pastur_by_double_sum_over_quantiles():
    law, n = MarchenkoPastur(0.5), 1500
    x = law.quantile((np.arange(n) + 0.5) / n)
    gaps = np.abs(x[:, None] - x[None]) + np.eye(n)
    double = np.sum(np.log(gaps)) / n**2
    assert free_entropy(law) == pytest.approx(double + 0.75 + np.log(2 * np.pi) / 2, abs=0.01)
