"""What was added is taken out again, what was not is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import (
    Atoms,
    Bernoulli,
    ConvergenceError,
    InputError,
    KestenMcKay,
    MarchenkoPastur,
    PointMass,
    Projection,
    Semicircle,
    Uniform,
    free_deconvolution,
    free_poisson,
    free_power,
    free_product,
    free_sum,
    scale,
    shift,
)

SMOOTH = [
    MarchenkoPastur(0.5),
    MarchenkoPastur(2.0),
    Semicircle(0.7),
    shift(scale(MarchenkoPastur(1.0), 0.3), -1.0),
    free_product(MarchenkoPastur(0.5), Projection(0.6)),
    free_sum(Atoms([-1.0, 0.0, 2.0], [0.2, 0.5, 0.3]), Semicircle(0.05)),
    free_sum(MarchenkoPastur(0.3), Projection(0.5)),
]
PARTS = [Semicircle(0.3), MarchenkoPastur(0.4), scale(MarchenkoPastur(0.4), 0.5), Bernoulli(0.6), Projection(0.3, 2.0)]


@pytest.mark.parametrize(
    ("law", "part"),
    [
        pytest.param(
            law, part, id=f"{i}-{part!r}", marks=[pytest.mark.slow] * ((i + j) % 3 > 0)
        )  # each law and each part twice or thrice in the fast tests
        for i, law in enumerate(SMOOTH)
        for j, part in enumerate(PARTS)
    ],
)
def test_a_summand_is_taken_out_whatever_came_after_it(law, part):
    """The part is hidden under another summand, so that it cannot be stripped from the chain."""
    total = free_sum(law, part, Semicircle(0.1))
    found, expected = free_deconvolution(total, part), free_sum(law, Semicircle(0.1))
    x = expected.quantile(np.linspace(0.02, 0.97, 25))
    density, cdf = found.density(x, throw=False), found.cdf(x, throw=False)
    known = ~np.isnan(density)
    assert np.count_nonzero(known) >= 24  # one may lie on the way past a branch point, and is marked
    assert np.allclose(density[known], expected.density(x[known]), rtol=1e-9, atol=1e-10)
    assert np.allclose(cdf[known], expected.cdf(x[known]), atol=1e-11)
    assert found.hull == pytest.approx(expected.hull, abs=1e-9)
    assert found.atoms == ()


@settings(max_examples=8)
@given(
    st.lists(st.floats(-3, 3), min_size=2, max_size=6, unique=True).filter(lambda x: min(np.diff(np.sort(x))) > 0.1),
    st.sampled_from(["semicircle", "mp"]),
    st.floats(0.1, 2.0),
)
def test_atoms_are_found_under_noise(positions, kind, size):
    part = Semicircle(size) if kind == "semicircle" else MarchenkoPastur(size)
    weights = np.arange(1, len(positions) + 1) / (len(positions) * (len(positions) + 1) / 2)
    law = Atoms(positions, weights)
    found = free_deconvolution(free_power(free_sum(law, part), 1.0), part)
    assert np.array(found.atoms) == pytest.approx(np.array(law.atoms), abs=1e-7)
    halves = free_sum(law, Semicircle(0.2), Semicircle(0.3))
    again = free_deconvolution(halves, Semicircle(0.5))
    assert np.array(again.atoms) == pytest.approx(np.array(law.atoms), abs=1e-6)


def test_parts_of_known_sums():
    assert free_deconvolution(Semicircle(2.0), Semicircle(0.7)).hull == pytest.approx((-2 * 1.3**0.5, 2 * 1.3**0.5))
    arcsine = free_sum(Bernoulli(), Bernoulli())
    assert np.array(free_deconvolution(arcsine, Bernoulli()).atoms) == pytest.approx(np.array([(-1, 0.5), (1, 0.5)]))
    assert free_deconvolution(MarchenkoPastur(0.5), PointMass(1.0)).mean == 0.0
    assert free_deconvolution(shift(Semicircle(1.0), 2.0), Semicircle(1.0)) == PointMass(2.0)
    uniform = free_deconvolution(free_sum(Uniform(-1.0, 1.0), Semicircle(0.2)), Semicircle(0.2))
    assert uniform.density([-0.5, 0.0, 0.9]) == pytest.approx([0.5, 0.5, 0.5], rel=1e-9)


def test_what_was_not_added_is_refused():
    with pytest.raises(InputError, match="negative variance"):
        free_deconvolution(Semicircle(1.0), Semicircle(2.0))
    for total, part in [
        (MarchenkoPastur(0.5), Semicircle(0.3)),  # R = 1/(1 - g/2) - 0.3 g: κ₂ of a Poisson law without it
        (Semicircle(1.0), Bernoulli(0.7)),
        (Uniform(-1.0, 1.0), Semicircle(0.1)),
    ]:
        with pytest.raises(InputError, match="no such law"):
            free_deconvolution(total, part)
    for total, part in [(Atoms([1.0, 2.0, 5.0]), Semicircle(1.0)), (Bernoulli(), Bernoulli(0.5))]:
        with pytest.raises(InputError, match="no such law"):
            free_deconvolution(total, part)
    with pytest.raises(ConvergenceError, match="lower half-plane"):
        free_deconvolution(free_poisson(2.0), free_poisson(1.5))  # exists; the potential changes its branch on the way
    with pytest.raises(ConvergenceError, match="summand"):
        free_deconvolution(Atoms(np.random.default_rng(0).normal(size=20)), Semicircle(0.02))
    with pytest.raises(ConvergenceError, match="its curve ends there"):
        free_deconvolution(KestenMcKay(6), KestenMcKay(3))  # exists; its curve is known outside the support only
