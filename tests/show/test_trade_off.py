import numpy as np

from freeness import design
from freeness.advice import trade_off
from freeness.network import activation
from freeness.show import plot_trade_off


def test_both_curves_and_the_design_are_drawn():
    found = design(20, 100, "tanh", 0.3)
    curve = found.trade_off(snr=2.0, points=9)
    axes = plot_trade_off(curve, found.isometry, title="tanh")
    nonlinear, capacity, mark = axes.lines
    np.testing.assert_allclose(nonlinear.get_xydata(), np.column_stack([curve.spread, curve.nonlinearity]))
    np.testing.assert_allclose(capacity.get_ydata(), curve.capacity)
    assert mark.get_xdata()[0] == found.isometry
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "signal-to-noise 2" in labels[1] and labels[2] == "this design"
    assert axes.get_xscale() == "log" and axes.get_title(loc="left") == "tanh"


def test_an_activation_with_one_spread_is_drawn_as_well():
    axes = plot_trade_off(trade_off(activation("relu"), 10, [0.5, 1.0]))
    low, high = axes.get_xlim()
    assert low < high and len(axes.lines) == 2
