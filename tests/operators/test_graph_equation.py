"""The environment of a graph's fields: what it answers, against differences and against the inverse of the pencil."""

import numpy as np

from freeness.operators import GraphEquation, RandomMatrix, Segment


def test_slopes_of_responses_are_their_differences_also_where_links_vanish():
    """By central differences; two matrices leave one node, and one node has none."""
    rng = np.random.default_rng(3)
    nodes, neurons, points = 5, 7, 3
    links = rng.standard_normal((nodes - 1, neurons)) * (rng.random((nodes - 1, neurons)) < 0.6)
    segment = Segment(rng.random((nodes, neurons)), links, neurons)
    ends = [((0, 0), (0, 1)), ((0, 0), (0, 3)), ((0, 1), (0, 4)), ((0, 3), (0, 4))]
    d_source, d_target = rng.standard_normal((2, neurons))
    matrices = [RandomMatrix(*pair, d_source, d_target, 1.0, "gaussian") for pair in ends]
    equation = GraphEquation([segment], matrices, 1.0)
    fields = rng.standard_normal((8, points)) - 1j * rng.random((8, points))
    zeta = rng.standard_normal(points) - 1j
    slopes = equation.responses(fields, zeta, slopes=True, logarithm=False).slopes
    assert slopes is not None
    step = 1e-5
    for port in range(9):
        sides = []
        for sign in (1.0, -1.0):
            moved = np.concatenate([fields, zeta[None]])
            moved[port] += sign * step
            sides.append(equation.responses(moved[:-1], moved[-1], slopes=False, logarithm=False).values)
        np.testing.assert_allclose(slopes[:, port], (sides[0] - sides[1]) / (2 * step), rtol=1e-7, atol=1e-8)
