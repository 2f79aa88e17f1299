import numpy as np

from freeness.meanfield import edge_of_chaos, phase_diagram
from freeness.network import activation
from freeness.show import plot_phase


def drawn(name):
    function = activation(name)
    diagram = phase_diagram(function, np.linspace(0.5, 3.0, 11), np.linspace(0.0, 1.0, 6))
    return diagram, plot_phase(diagram, edge_of_chaos(function, [0.05, 0.5, 2.0, 10.0]), title=name)


def test_colours_are_the_growth_of_gradients():
    diagram, axes = drawn("tanh")
    (mesh,) = axes.collections
    np.testing.assert_allclose(np.asarray(mesh.get_array()).reshape(6, 11), np.clip(np.log(diagram.chi1), -1, 1))
    assert axes.get_legend() is not None and axes.get_title(loc="left") == "tanh"


def test_stable_and_unstable_parts_of_the_edge_are_told_apart():
    _, axes = drawn("gelu")
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["edge of chaos", "edge, fixed point unstable", "signal diverges (from q = 1)"]


def test_an_edge_of_one_point_is_a_marker():
    _, axes = drawn("relu")
    assert [line.get_marker() for line in axes.lines] == ["o"]
