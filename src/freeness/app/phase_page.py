"""The phase diagram: where networks of one activation are ordered and chaotic, and where one of them settles."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from nicegui import ui
from nicegui.events import GenericEventArguments

from freeness.app.address import Choice, Number
from freeness.app.figure import Figure, Producer, csv_bytes, download_buttons
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame, number_table
from freeness.app.live import Live
from freeness.errors import InputError
from freeness.meanfield import (
    EdgeOfChaos,
    FixedPoint,
    LengthMap,
    PhaseDiagram,
    covariance,
    edge_of_chaos,
    fixed_point,
    phase_diagram,
)
from freeness.network import activation, activation_names
from freeness.show import map_picture, phase_picture, picture_bytes

_WEIGHTS, _BIASES = (0.05, 4.0), (0.0, 2.0)
FIELDS = {
    "activation": Choice("tanh", activation_names()),
    "sigma_w": Number(1.5, *_WEIGHTS),
    "sigma_b": Number(0.2, *_BIASES),
}
_GRID = np.linspace(*_WEIGHTS, 80), np.linspace(*_BIASES, 41)
_EDGE = np.geomspace(0.01, 100.0, 81)  # q* along the edge of chaos
_LENGTHS, _CORRELATIONS = 61, 21  # points of the maps

# The pointer is kept by the plot while it is pressed; data coordinates are plotly's.
_PRESS = "(e) => { if (e.button === 0) { e.currentTarget.setPointerCapture(e.pointerId); PLACE } }"
_MOVE = "(e) => { if (e.buttons & 1 && e.currentTarget.hasPointerCapture(e.pointerId)) { PLACE } }"
_PLACE = """
const plot = e.currentTarget, {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
emit(xaxis.p2d(e.clientX - box.left - xaxis._offset), yaxis.p2d(e.clientY - box.top - yaxis._offset));
"""


@dataclass(frozen=True, eq=False)
class _Layer:
    """What one layer does to lengths and correlations, and where that settles, or why it does not."""

    lengths: tuple[np.ndarray, np.ndarray]
    correlations: tuple[np.ndarray, np.ndarray] | None
    found: FixedPoint | None
    reason: str


def phase_page() -> None:
    """Build the page."""
    drawn: dict[str, str] = {}  # the activation of the diagram that is shown

    async def changed() -> None:
        await live.request()

    async def compute() -> None:
        name, at = str(form.values["activation"]), (float(form.values["sigma_w"]), float(form.values["sigma_b"]))
        if drawn.get("activation") != name:
            diagram, edge = await asyncio.to_thread(_diagram, name)
            figure.show(phase_picture(diagram, edge, at))
            drawn["activation"] = name
        else:
            figure.move(at)
        seen = await asyncio.to_thread(_layer, name, *at)
        figure.describe(_in_words(name, at, seen))
        settled = seen.found
        words = "Map of q, the variance of pre-activations" + (
            "" if settled is None else f": settles at {settled.q:.4g}"
        )
        lengths.show(map_picture(*seen.lengths, None if settled is None else settled.q, "q", words))
        if seen.correlations is not None and settled is not None:
            words = f"Map of c, the correlation of two inputs: settles at {settled.c:.4g}"
            correlations.show(map_picture(*seen.correlations, settled.c, "c", words))
        correlations.set_visible(seen.correlations is not None)
        numbers.set_content(number_table(_rows(seen)))

    async def placed(event: GenericEventArguments) -> None:
        x, y = event.args
        await form.put(sigma_w=round(float(x), 4), sigma_b=round(float(y), 4))

    def picture(kind: str) -> Producer:
        async def produce() -> bytes:
            return await asyncio.to_thread(_picture, str(form.values["activation"]), kind)

        return produce

    async def table() -> bytes:
        return await asyncio.to_thread(_csv, str(form.values["activation"]))

    lead = (
        "Blue: ordered, inputs grow alike and gradients vanish. Red: chaotic, inputs part and gradients explode. "
        "Drag the point, or use the sliders."
    )
    with frame("/phase", "Phase diagram", lead):
        form = Form("/phase", FIELDS, changed)
        with ui.element("div").classes("split"):
            with ui.element("div").classes("inputs"):
                form.choice("activation", "Activation")
                form.number("sigma_w", "σ_w, gain of the weights", 0.01)
                form.number("sigma_b", "σ_b, scale of the biases", 0.01)
                numbers = ui.html("", sanitize=False).props('aria-live="polite"')
            with ui.element("section").props('aria-label="Diagram"'):
                refusals = Refusals(form.complaints)
                panel = ui.element("div")
                with panel:
                    figure = Figure()
                    figure.plot.style("touch-action: none; cursor: crosshair")
                    figure.plot.on("pointerdown", placed, js_handler=_PRESS.replace("PLACE", _PLACE))
                    figure.plot.on("pointermove", placed, js_handler=_MOVE.replace("PLACE", _PLACE), throttle=0.05)
                    download_buttons(
                        "phase", {"png": picture("png"), "svg": picture("svg"), "csv": table}, refusals.say
                    )
                    with ui.element("div").classes("two"):
                        lengths, correlations = Figure(), Figure()
        live = Live(compute, panel, refusals)
    ui.timer(0.01, live.request, once=True)


@lru_cache(maxsize=64)
def _diagram(name: str) -> tuple[PhaseDiagram, EdgeOfChaos | None]:
    function = activation(name)
    try:
        edge = edge_of_chaos(function, _EDGE)
    except InputError:
        edge = None
    return phase_diagram(function, *_GRID), edge


def _layer(name: str, sigma_w: float, sigma_b: float) -> _Layer:
    function = activation(name)
    length_map = LengthMap(function, sigma_w, sigma_b)
    try:
        found, reason = fixed_point(function, sigma_w, sigma_b), ""
    except InputError as error:
        found, reason = None, str(error)
    q = np.linspace(0.0, max(2.0 * found.q, 1.0) if found is not None else 4.0, _LENGTHS)
    lengths = q, np.array([length_map(value) for value in q])
    if found is None or found.q == 0:
        return _Layer(lengths, None, found, reason)
    c = np.linspace(0.0, 1.0, _CORRELATIONS)
    following = (sigma_w**2 * covariance(function, found.q, found.q, c).value + sigma_b**2) / found.q
    return _Layer(lengths, (c, following), found, reason)


def _in_words(name: str, at: tuple[float, float], seen: _Layer) -> str:
    here = f"Phase diagram of {name}. At σ_w {at[0]:.4g}, σ_b {at[1]:.4g}: "
    found = seen.found
    if found is None:
        return here + seen.reason
    return here + f"{found.phase}, q* {found.q:.4g}, χ₁ {found.chi1:.4g}, c* {found.c:.4g}, ξ_c {_depth(found.xi_c)}."


def _rows(seen: _Layer) -> list[tuple[str, str]]:
    found = seen.found
    if found is None:
        return [("phase", "no fixed point"), ("why", seen.reason)]
    return [
        ("phase", found.phase),
        ("q*, variance of pre-activations", f"{found.q:.6g}"),
        ("χ₁, growth of squared gradients", f"{found.chi1:.6g}"),
        ("c*, correlation of two inputs", f"{found.c:.6g}"),
        ("ξ_q, layers until q settles by e", _depth(found.xi_q)),
        ("ξ_c, layers until c settles by e", _depth(found.xi_c)),
        ("trainable depth, 6 ξ_c (observed)", _depth(found.trainable_depth)),
    ]


def _depth(value: float) -> str:
    return "any" if math.isinf(value) else f"{value:.4g}"


def _picture(name: str, kind: str) -> bytes:
    diagram, edge = _diagram(name)
    return picture_bytes(phase_picture(diagram, edge, title=f"{name}: blue ordered, red chaotic"), kind)


def _csv(name: str) -> bytes:
    diagram, _ = _diagram(name)
    weights, biases = np.meshgrid(diagram.sigma_w, diagram.sigma_b)
    columns = {"sigma_w": weights, "sigma_b": biases, "q": diagram.q, "chi1": diagram.chi1}
    return csv_bytes(
        {name: [v if math.isfinite(v) else None for v in a.ravel().tolist()] for name, a in columns.items()}
    )
