"""The old name of the rooms moves and expressions."""

import pytest

import freeness.calculus
from freeness import expressions, moves


@pytest.mark.parametrize("name", dir(freeness.calculus))
def test_old_names_are_the_new_ones_and_say_so(name):
    now = {"Chain": "MovedCurve"}.get(name, name)
    with pytest.warns(DeprecationWarning, match=rf"use freeness\.(moves|expressions)\.{now}\."):
        found = getattr(freeness.calculus, name)
    assert found is vars(moves).get(now, vars(expressions).get(now)) is not None


def test_what_was_never_there_is_not_there():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        freeness.calculus.nothing  # noqa: B018
