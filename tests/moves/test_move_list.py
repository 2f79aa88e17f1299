"""One list of moves read in several ways: the readings know nothing of one another but what they must agree in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import Atoms, InputError, MarchenkoPastur, PointMass, Projection, Uniform, signals
from freeness.moves import (
    Entries,
    MoveList,
    Multiply,
    Resize,
    Scale,
    Shift,
    SymmetricRoot,
    end_of_walk,
    entries_after,
    gains_after,
    law_after,
    lower_end_after,
    mean_variance_after,
    steps_of,
    times,
    top_atom_after,
    upper_end_after,
    walked,
)
from freeness.network import mlp
from freeness.spectra import moves_of

FACTORS = [
    PointMass(1.7),
    Projection(0.8, 1.2),
    MarchenkoPastur(0.5),
    MarchenkoPastur(1.0),
    Atoms([0.2, 0.9, 1.5], [0.3, 0.3, 0.4]),
    Uniform(0.2, 1.4),
]


@st.composite
def lists(draw):
    moves = []
    for _ in range(draw(st.integers(1, 5))):
        moves += times(FACTORS[draw(st.integers(0, len(FACTORS) - 1))])
        moves += [Resize(draw(st.floats(0.3, 0.95)))] if draw(st.booleans()) else []
        moves += [Shift(draw(st.floats(0.1, 2.0)))] if draw(st.booleans()) else []
    return MoveList(draw(st.floats(0.3, 3.0)), tuple(moves))


@settings(max_examples=15)
@given(lists())
def test_mean_and_variance_are_those_of_the_law(listed):
    law, found = law_after(listed), mean_variance_after(listed)
    assert law.moments(2) == pytest.approx([found.mean, found.variance + found.mean**2], rel=1e-8)


@settings(max_examples=10)
@given(lists())
def test_the_walk_or_the_atom_ends_where_the_law_ends(listed):
    """A uniform factor is walked by its quantiles, which lie inside it."""
    smooth = any(isinstance(move, Multiply) and isinstance(move.law, Uniform) for move in listed.moves)
    assert upper_end_after(listed) == pytest.approx(law_after(listed).hull[1], rel=2e-2 if smooth else 1e-7)


@settings(max_examples=15)
@given(lists())
def test_the_lower_end_is_that_of_the_law(listed):
    assert lower_end_after(listed) == pytest.approx(law_after(listed).hull[0], rel=1e-9, abs=1e-9)


@given(lists())
def test_gains_give_every_summand_its_share_of_the_mean(listed):
    summands = [listed.start, *(move.constant for move in listed.moves if isinstance(move, Shift))]
    assert np.dot(gains_after(listed), summands) == pytest.approx(mean_variance_after(listed).mean, rel=1e-12)


def test_equal_factors_are_gathered_without_a_change():
    """Three square Gaussian matrices and twice the same atoms, beside the same factors one after the other."""
    atoms = Atoms([0.2, 0.9, 1.5], [0.3, 0.3, 0.4])
    moves = [*times(atoms), *times(MarchenkoPastur(1.0)), Scale(2.0)] * 2 + [*times(MarchenkoPastur(1.0))]
    gathered = law_after(MoveList(1.0, tuple(moves)))
    apart = [m for move in moves for m in (move, Shift(0.0))]  # nothing is gathered across a shift
    single = law_after(MoveList(1.0, tuple(apart)))
    x = np.array([0.1, 1.0, 5.0, 20.0])
    assert gathered.curve.size < single.curve.size
    assert gathered.cdf(x) == pytest.approx(single.cdf(x), abs=1e-10)


@pytest.mark.parametrize("depth", [200, 1000])
def test_first_layers_below_rounding_change_nothing_however_deep(depth):
    """The last 60 layers weigh their start 1e-47 and are solved whole; of more, the first would underflow in the curve."""
    layer = (Multiply(Projection(0.5)), Multiply(MarchenkoPastur(1.0)), Scale(1 / 3), Shift(1.0))
    long, short = MoveList(100.0, depth * layer), MoveList(1.2, 60 * layer)
    law, last, x = law_after(long), law_after(short), np.array([1.05, 1.2, 1.5, 2.0])
    assert law.hull == pytest.approx(last.hull, rel=1e-12)
    assert upper_end_after(long) == pytest.approx(last.hull[1], rel=1e-7)
    assert law.cdf(x) == pytest.approx(last.cdf(x), abs=1e-10)
    assert (law.mean, law.variance) == pytest.approx(mean_variance_after(long), rel=1e-12)


@pytest.mark.parametrize("last", [(), (Shift(-1e-50),), (Shift(0.0),)])
def test_a_small_law_to_which_nothing_greater_is_added_is_kept(last):
    listed = MoveList(1.0, (Multiply(Projection(0.5)), Shift(1.0), *times(MarchenkoPastur(0.5)), Scale(1e-90), *last))
    assert law_after(listed).variance == pytest.approx(mean_variance_after(listed).variance, rel=1e-12, abs=0)


def test_the_walk_is_the_curve_of_the_law():
    listed = MoveList(1.3, (*times(FACTORS[4]), Resize(0.7), Shift(0.4), Multiply(MarchenkoPastur(0.5)), Scale(2.0)))
    u = np.array([0.05, 0.01, 1e-4])
    z, u = walked(steps_of(listed.moves), (1.3 * (1 + u) / u, u))
    assert np.real(z * law_after(listed).cauchy(z) - 1) == pytest.approx(u, rel=1e-9)


def test_moves_of_a_network_share_the_factors_of_equal_layers():
    net = mlp(6, 40, "tanh", sigma_w=1.0)
    found = moves_of(net, signals(net, 0.5), "fisher")
    assert sum(isinstance(move, Shift) for move in found.moves) == 5 and found.start == pytest.approx(20.0)
    assert moves_of(net, signals(net, 0.5), "jacobian").start == 1.0


@pytest.mark.parametrize("read", [top_atom_after, end_of_walk])
def test_moves_that_a_reading_does_not_know_are_refused(read):
    with pytest.raises(InputError, match="expected scales, factors, shifts"):
        read(MoveList(1.0, (SymmetricRoot(),)))


def test_diagonal_factors_are_read_entry_by_entry():
    """Against matrices: 3·D₂(2·D₁ + ½)D₂, where D₁ and D₂ share their basis and are anything but free."""
    first, second = np.array([1.0, 0.5, 0.0]), np.array([0.0, 0.5, 2.0])
    listed = MoveList(1.0, (Entries(first), Scale(2.0), Shift(0.5), Entries(second), Scale(3.0)))
    root = np.diag(np.sqrt(second))
    matrix = 3 * root @ (2 * np.diag(first) + np.eye(3) / 2) @ root
    assert entries_after(listed) == pytest.approx(np.diag(matrix))
    assert law_after(listed).moments(2) == pytest.approx([np.trace(matrix) / 3, np.trace(matrix @ matrix) / 3])


@pytest.mark.parametrize("reading", [mean_variance_after, top_atom_after, end_of_walk, upper_end_after])
def test_readings_of_free_factors_refuse_diagonal_ones(reading):
    with pytest.raises(InputError, match=r"Entries|diagonal"):
        reading(MoveList(1.0, (Entries(np.array([1.0, 0.5])),)))


def test_free_factors_have_no_entries():
    with pytest.raises(InputError, match="turns the basis"):
        entries_after(MoveList(1.0, times(MarchenkoPastur(1.0))))
