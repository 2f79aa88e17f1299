"""What isometry costs: nonlinearity and capacity along the edge of chaos."""

from __future__ import annotations

from freeness.advice import Design, TradeOff
from freeness.show import style
from freeness.show.picture import Appearance, Axis, Drawing, Picture, Rule, Series

_LEAST, _MOST = 1e-2, 100.0  # of the spread that is shown


def trade_off_picture(curve: TradeOff, spread: float | None = None, *, title: str = "") -> Picture:
    """The nonlinear share of the whole network and its capacity against σ_JJ², both between 0 and 1.

    Args:
        curve: isometry and nonlinearity of designs along the edge of chaos.
        spread: σ_JJ² ≥ 0 of a design, marked by a line.
        title: above the picture.
    """
    shown = curve.spread > 0
    x = curve.spread[shown]
    capacity = f"capacity at signal-to-noise {curve.snr:g} (of an isometry: 1)"
    share = "nonlinear share of what depends on the input"
    drawn: list[Drawing] = [
        Series(x, curve.nonlinearity[shown], Appearance(style.THEORY), share, "nonlinearity"),
        Series(x, curve.capacity[shown], Appearance(style.RED, dash="dash"), capacity, "capacity"),
    ]
    if spread is not None and spread > 0:
        drawn.append(Rule(spread, "x", Appearance(style.GREY, 1.5, "dot"), "this design"))
    low = max(x.min(), _LEAST)
    return Picture(
        tuple(drawn),
        Axis("spread σ_JJ² of the Jacobian", low, max(min(x.max(), _MOST), 10 * low), True),
        Axis("share", 0.0, 1.02),
        title=title,
        sentence="Trade-off" + ("." if spread is None else f": this design has σ_JJ² {spread:.4g}."),
        columns=1,
    )


def design_picture(design: Design, *, title: str = "") -> Picture:
    """The trade-off of a design's activation, with the design marked."""
    named = title or f"{design.named.name}, {design.depth - 1} activations: isometry against nonlinearity"
    return trade_off_picture(design.trade_off(), design.isometry, title=named)
