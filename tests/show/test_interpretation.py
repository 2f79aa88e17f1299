import numpy as np

from freeness.show import figure_of, plot_layer_accuracy, plot_likelihoods, plot_maps, plot_parts


def test_accuracy_and_settling_are_drawn_as_given():
    accuracy, settled = np.array([0.2, 0.5, 0.8]), np.array([1, 3, 6])
    axes = plot_layer_accuracy(accuracy, np.full(3, 0.01), settled, title="a & b")
    assert [bar.get_height() for bar in axes.patches] == [0.1, 0.3, 0.6]
    np.testing.assert_array_equal(axes.containers[1].lines[0].get_ydata(), accuracy)
    assert len(plot_layer_accuracy(accuracy, np.zeros(3)).patches) == 0


def test_every_class_has_a_line_and_the_final_one_is_named_first():
    likelihoods = np.random.default_rng(0).dirichlet(np.ones(10), 6)
    axes = plot_likelihoods(likelihoods, [f"class {k}" for k in range(10)])
    lines = {line.get_gid(): line.get_ydata() for line in axes.lines}
    for k in range(10):
        np.testing.assert_array_equal(lines[f"likelihood-{k}"], likelihoods[:, k])
    named = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(named) == 4 and f"class {likelihoods[-1].argmax()}" in named


def test_two_classes_are_enough():
    assert len(plot_likelihoods(np.array([[0.4, 0.6]]), ["a", "b"]).lines) == 2


def test_zeros_are_left_out_of_the_parts():
    axes = plot_parts({"one": np.array([1.0, 0.0, 2.0]), "none": np.zeros(3)})
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1, np.nan, 2])
    assert np.isnan(axes.lines[1].get_ydata()).all() and axes.get_yscale() == "log"
    assert plot_parts({"none": np.zeros(2)}).get_yscale() == "linear"


def test_maps_are_drawn_beside_the_input_with_their_own_scales():
    values = np.array([[1.0, -3.0], [0.0, 2.0]])
    figure = plot_maps(np.ones((1, 2, 2)), [("a", values), ("b", np.zeros((2, 2))), ("c", values[None])], columns=2)
    pictures = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(pictures) == 4 and pictures[1].get_clim() == (-3, 3)
    np.testing.assert_array_equal(pictures[1].get_array(), values)
    assert figure.axes[2].get_title() == "b\n0"


def test_vectors_are_rows_and_colours_are_averaged():
    figure = plot_maps(np.arange(5.0), [("a", np.ones(5))])
    assert figure.axes[0].images[0].get_array().shape == (1, 5)
    figure = plot_maps(np.ones((3, 4, 4)), [])
    assert figure.axes[0].images[0].get_array().shape == (4, 4)
    assert figure_of(figure.axes[0]) is figure
