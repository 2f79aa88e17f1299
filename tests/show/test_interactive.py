import numpy as np
import plotly.graph_objects as go
import pytest

from freeness.laws import FussCatalan, MarchenkoPastur, Projection, Semicircle
from freeness.meanfield import edge_of_chaos, phase_diagram
from freeness.network import activation
from freeness.show import (
    Appearance,
    Axis,
    Picture,
    Series,
    SweptDesign,
    drawn_law,
    drawn_law_picture,
    drawn_values,
    heat_map_picture,
    lines_picture,
    map_picture,
    phase_picture,
    to_plotly,
)


def checked(figure):
    """Plotly's own schema refuses a name or a value that it does not know."""
    return go.Figure(data=figure["data"], layout=figure["layout"])


def trace(figure, name):
    return next(found for found in figure["data"] if found["name"] == name)


@pytest.mark.parametrize("law", [Semicircle(2.0), MarchenkoPastur(4.0), Projection(0.3)])
def test_line_and_stems_hold_the_whole_mass(law):
    figure = to_plotly(drawn_law_picture(drawn_law(law, 400)))
    checked(figure)
    mass = 0.0
    for found in figure["data"]:
        if found["name"] == "theory, continuous part":
            mass += float(np.trapezoid(found["y"], found["x"]))
        else:
            mass += sum(y for y in found["y"] if y)
    assert mass == pytest.approx(1.0, abs=5e-3)


def test_wide_spectrum_is_drawn_per_decade():
    law = FussCatalan(12)
    drawn = drawn_law(law, 200)
    assert drawn.log
    np.testing.assert_allclose(drawn.density, law.density(drawn.x) * drawn.x * np.log(10), rtol=1e-9)
    same = drawn_values(drawn.x, law.density(drawn.x), [], law.hull, law.mean)
    np.testing.assert_allclose(same.density, drawn.density, rtol=1e-9)
    assert checked(to_plotly(drawn_law_picture(drawn))).layout.xaxis.type == "log"


def test_progress_does_not_change_the_values():
    shares = []
    plain, reported = drawn_law(Semicircle(1.0), 100), drawn_law(Semicircle(1.0), 100, shares.append)
    np.testing.assert_array_equal(plain.density, reported.density)
    assert shares == sorted(shares) and shares[0] == 0.0 and len(shares) == 10


def test_equal_sampled_eigenvalues_are_a_stem_and_the_rest_bars():
    sampled = np.concatenate([np.zeros(50), np.random.default_rng(0).uniform(1, 3, 50)])
    figure = to_plotly(drawn_law_picture(drawn_law(MarchenkoPastur(2.0)), sampled))
    checked(figure)
    assert max(y for y in trace(figure, "sampled, mass at atoms")["y"] if y is not None) == 0.5
    bars = trace(figure, "sampled (100 eigenvalues)")
    assert np.dot(bars["width"], bars["y"]) == pytest.approx(0.5)


def test_words_say_ends_mean_and_atoms():
    words = drawn_law_picture(drawn_law(MarchenkoPastur(2.0))).sentence
    assert words == "Spectrum from 0 to 5.828, mean 1, atoms: 50 % at 0."


def test_phase_diagram_colours_the_sign_of_the_growth():
    function = activation("tanh")
    diagram = phase_diagram(function, [0.5, 1.0, 2.0], [0.0, 0.5])
    figure = to_plotly(phase_picture(diagram, edge_of_chaos(function, np.geomspace(0.1, 5, 20)), (1.5, 0.2)))
    checked(figure)
    heat = np.array(figure["data"][0]["z"], dtype=float)
    assert heat.shape == (2, 3) and (heat[:, 0] < 0).all() and (heat[:, 2] > 0).all()
    assert (figure["data"][-1]["x"], figure["data"][-1]["y"]) == ([1.5], [0.2])


def test_signal_that_diverges_is_left_blank():
    diagram = phase_diagram(activation("relu"), [1.0, 3.0], [0.5])
    assert to_plotly(phase_picture(diagram, None, (1.0, 0.5)))["data"][0]["z"][0][1] is None


def test_map_without_a_fixed_point_shows_none():
    x = np.linspace(0, 1, 5)
    assert len(checked(to_plotly(map_picture(x, 2 * x + 1, None, "q"))).data) == 2


def test_every_depth_of_a_sweep_has_its_own_rates():
    rates = np.array([[0.4, 0.1, 0.2], [0.02, 0.01, 0.04]])  # in any order
    accuracy = np.array([[0.1, 0.5, 0.7], [0.6, 0.3, np.nan]])
    line = np.array([1.0, 0.5])
    lines = {"two_over_depth": line, "one_sample_bound": line / 2}
    figure = to_plotly(heat_map_picture(SweptDesign([2, 4], rates, accuracy, lines, np.array([np.nan, 0.03]))))
    checked(figure)
    first, second = figure["data"][:2]
    assert first["z"] == [[0.5], [0.7], [0.1]] and second["z"] == [[0.3], [0.6], [None]]
    assert all(
        low < rate < high for low, rate, high in zip(first["y"][:-1], [0.1, 0.2, 0.4], first["y"][1:], strict=True)
    )
    assert figure["data"][-1]["y"] == [None, 0.03]


def test_lines_are_told_apart_without_colour():
    figure = to_plotly(lines_picture({"a": ([0, 1], [0, 1]), "b": ([0, 1], [1, 0])}, Axis(), Axis()))
    checked(figure)
    assert figure["data"][0]["line"]["dash"] != figure["data"][1]["line"]["dash"]


@pytest.mark.parametrize(("most", "step"), [(2.0, 1), (8.0, 1), (9.0, 2), (47.0, 10), (1000.0, 200)])
def test_axes_of_whole_numbers_have_ticks_at_these_only(most, step):
    line = Series(np.array([0.0, most]), np.array([0.5, 1.0]), Appearance("black"), "one")
    figure = to_plotly(Picture((line,), Axis("depth", form="whole"), Axis("layer", form="whole")))
    checked(figure)
    assert figure["layout"]["xaxis"]["dtick"] == step and figure["layout"]["yaxis"]["dtick"] == 1
