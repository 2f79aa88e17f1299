"""One description, two back ends: what matplotlib draws is what plotly gets."""

import importlib

import numpy as np
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure

import freeness as fr
from freeness.meanfield import edge_of_chaos, phase_diagram
from freeness.network import activation
from freeness.show import (
    Appearance,
    Axis,
    Bars,
    HeatMap,
    Histogram,
    Picture,
    Rule,
    Series,
    Stems,
    Swatch,
    cdf_picture,
    draw,
    dynamics_picture,
    figure_of,
    law_picture,
    layer_accuracy_picture,
    layers_picture,
    likelihoods_picture,
    parts_picture,
    phase_picture,
    picture_bytes,
    spectrum_picture,
    to_plotly,
    trade_off_picture,
)

from . import cases


def _phase():
    function = activation("relu")
    diagram = phase_diagram(function, np.linspace(0.5, 3.0, 6), np.linspace(0.0, 1.0, 4))
    return phase_picture(diagram, edge_of_chaos(function, [0.05, 0.5, 2.0]), (1.5, 0.2))


STEPS = np.arange(5)
PICTURES = {
    "spectrum": lambda: spectrum_picture(cases.hardtanh().fisher),
    "long tail": lambda: spectrum_picture(cases.relu().jacobian),
    "cdf": lambda: cdf_picture(cases.hardtanh().fisher),
    "layers": lambda: layers_picture(cases.relu()),
    "law": lambda: law_picture(fr.MarchenkoPastur(2.0)),
    "phase": _phase,
    "trade-off": lambda: trade_off_picture(fr.design(10, 50, "tanh", 0.3).trade_off(points=9), 0.3),
    "dynamics": lambda: dynamics_picture(STEPS, np.exp(-STEPS), [(STEPS, np.exp(-2.0 * STEPS))]),
    "likelihoods": lambda: likelihoods_picture(np.random.default_rng(0).dirichlet(np.ones(6), 4), list("abcdef")),
    "accuracy": lambda: layer_accuracy_picture(np.array([0.2, 0.6]), np.array([0.1, 0.1]), np.array([1, 3])),
    "parts": lambda: parts_picture({"one": np.array([1.0, 0.0, 2.0])}),
}


def numbers(values):
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def shown(drawing, traces):
    """What plotly was given for one drawing, and what matplotlib would be."""
    (trace,) = traces
    if isinstance(drawing, Series):
        np.testing.assert_array_equal(numbers(trace["x"]), drawing.x)
        np.testing.assert_array_equal(numbers(trace["y"]), drawing.y)
    elif isinstance(drawing, Histogram) and drawing.filled:
        np.testing.assert_allclose(np.dot(trace["width"], trace["y"]), np.dot(np.diff(drawing.edges), drawing.heights))
    elif isinstance(drawing, Histogram):
        np.testing.assert_array_equal(trace["y"][:-1], drawing.heights)
    elif isinstance(drawing, Stems):
        np.testing.assert_array_equal(trace["y"][1::3], drawing.masses)
        np.testing.assert_array_equal(trace["x"][1::3], drawing.x)
    elif isinstance(drawing, HeatMap):
        np.testing.assert_array_equal([numbers(row) for row in trace["z"]], drawing.z)
    elif isinstance(drawing, Bars):
        np.testing.assert_array_equal(trace["y"], drawing.heights)


@pytest.mark.parametrize("name", PICTURES)
def test_plotly_gets_every_number_of_the_picture_and_knows_every_word(name):
    picture = PICTURES[name]()
    assert picture.sentence or name == "phase"  # whose page says where the network is
    figure = to_plotly(picture)
    go.Figure(data=figure["data"], layout=figure["layout"])  # plotly's own schema
    for drawing in picture.drawings:
        alone = to_plotly(Picture((drawing,), picture.x, picture.y, picture.right))
        if isinstance(drawing, Rule):
            assert alone["layout"]["shapes"][0][f"{drawing.axis}0"] == drawing.at
        else:
            shown(drawing, alone["data"])


@pytest.mark.parametrize("name", PICTURES)
def test_both_legends_name_the_same(name):
    picture = PICTURES[name]()
    legend = draw(picture).get_legend()
    named = [
        trace["name"] for trace in to_plotly(picture)["data"] if trace.get("showlegend", True) and trace.get("name")
    ]
    plain = [text.get_text().replace("$", "").replace("\\", "") for text in legend.get_texts()]
    assert len(plain) == len(named) == len([one for one in picture.drawings if getattr(one, "name", "")])


@pytest.mark.parametrize("name", PICTURES)
def test_matplotlib_draws_every_line_of_the_picture(name):
    picture = PICTURES[name]()
    drawn = [line.get_xydata() for ax in figure_of(draw(picture)).axes for line in ax.lines]
    for drawing in picture.drawings:
        if isinstance(drawing, Series):
            points = np.column_stack([drawing.x, drawing.y])
            assert any(one.shape == points.shape and np.array_equal(one, points, equal_nan=True) for one in drawn)


def test_a_rule_and_a_swatch_are_in_the_legend_of_both():
    picture = Picture(
        (Rule(2.0, "x", Appearance("#000000"), "here"), Swatch("#bbbbbb", "nothing")), Axis("x", 0.0, 3.0)
    )
    axes = draw(picture)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["here", "nothing"]
    assert axes.lines[0].get_xdata()[0] == 2.0
    figure = to_plotly(picture)
    assert [trace["name"] for trace in figure["data"]] == ["here", "nothing"]
    assert figure["layout"]["shapes"][0]["x0"] == figure["layout"]["shapes"][0]["x1"] == 2.0


def test_a_logarithmic_range_is_given_in_powers_of_ten():
    figure = to_plotly(Picture((), Axis("x", 0.01, 100.0, log=True)))
    assert figure["layout"]["xaxis"]["range"] == pytest.approx([-2.0, 2.0], rel=1e-15)


def test_what_is_no_drawing_is_refused():
    for back_end in (draw, to_plotly):
        with pytest.raises(TypeError, match="expected a drawing"):
            back_end(Picture(("a line",)))


def test_signs_of_money_in_names_are_no_formulas():
    axes = draw(Picture((Series(np.arange(2.0), np.arange(2.0), Appearance("#000000"), "$ 5 of q: σ_w"),)))
    assert axes.get_legend().get_texts()[0].get_text() == r"\$ 5 of $q$: $\sigma_w$"
    figure_of(axes).draw_without_rendering()


def test_a_picture_as_a_file_is_the_same_every_time():
    picture = law_picture(fr.Semicircle(1.0))
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        assert picture_bytes(picture, kind).startswith(start)
    assert picture_bytes(picture, "png") == picture_bytes(picture, "png")


@pytest.mark.parametrize("room", ["plots", "report"])
def test_old_rooms_say_where_their_names_are(room):
    old, new = importlib.import_module(f"freeness.{room}"), importlib.import_module("freeness.show")
    for name in old.__all__:
        home = "matplotlib.figure" if name == "Figure" else "freeness.show"
        with pytest.warns(DeprecationWarning, match=rf"freeness\.{room}\.{name} is deprecated; use {home}.{name}"):
            found = getattr(old, name)
        assert found is (Figure if name == "Figure" else getattr(new, name))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        old.nothing  # noqa: B018
