"""Shapes in types are held in all tests: what is planted here is seen."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
from beartype.roar import BeartypeDoorHintViolation
from jaxtyping import Float

from freeness.meanfield import Kernels, Trajectory, derivative_spread, kernels
from freeness.network import activation, mlp
from tests.shapes import CALLS, hold_shapes


@pytest.fixture(autouse=True)
def all_calls_are_first_ones():
    CALLS.clear()


def test_wrong_shapes_and_numbers_are_seen():
    square, wide = np.eye(2), np.ones((2, 3))
    assert Kernels(square, square, 2).depth == 2
    with pytest.raises(BeartypeDoorHintViolation, match="n n"):
        Kernels(wide, square, 2)
    with pytest.raises(BeartypeDoorHintViolation, match="places"):  # one length for all
        Trajectory(np.ones(3), np.ones(3), np.ones(2), np.ones(3))
    with pytest.raises(BeartypeDoorHintViolation, match="int64"):
        derivative_spread(activation("relu"), np.array([1, 2]))
    with pytest.raises(BeartypeDoorHintViolation, match="dimensions"):
        Trajectory(wide, wide, wide, wide)


def test_what_a_function_returns_is_held_and_what_it_refuses_is_not():
    found = kernels(mlp(2, [3, 4, 1], "relu"), np.eye(3))
    assert found.drawn_outputs(5, np.random.default_rng(0)).shape == (3, 5)

    @hold_shapes
    def doubled(x: 'Float[np.ndarray, " n"]') -> 'Float[np.ndarray, " n"]':
        if x.ndim != 1:
            raise ValueError("expected a vector")
        return np.append(x, x)

    with pytest.raises(BeartypeDoorHintViolation, match="n"):
        doubled(np.ones(2))
    with pytest.raises(ValueError, match="a vector"):
        doubled(np.eye(2))


def test_named_tuples_and_dataclasses_are_held():
    @hold_shapes
    class Pair(NamedTuple):
        first: 'Float[np.ndarray, " n"]'
        second: 'Float[np.ndarray, " n"]'

    @hold_shapes
    @dataclass(frozen=True)
    class Both:
        first: 'Float[np.ndarray, " n"]'
        second: 'Float[np.ndarray, " n"] | None' = None

    for kind in (Pair, Both):
        assert kind(np.ones(2), np.ones(2)).first.shape == (2,)
        with pytest.raises(BeartypeDoorHintViolation, match="n"):
            kind(np.ones(2), np.ones(3))
    assert Both(np.ones(2)).second is None
