"""The phase diagram: where networks of one activation are ordered and chaotic, and where one of them settles."""

from __future__ import annotations

import asyncio
from functools import lru_cache

import numpy as np
from nicegui import ui
from nicegui.events import GenericEventArguments

from freeness.app.address import Choice, Number
from freeness.app.figure import Figure, download_buttons, pictures
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame, halves
from freeness.app.live import Live
from freeness.gaussian import activation, activation_names
from freeness.meanfield import LayerMaps, PhasePortrait, Settled, layer_maps, phase_portrait
from freeness.show import answer_of, layers_text, map_pictures, parts_html, phase_csv, phase_picture, picture_bytes

_WEIGHTS, _BIASES = (0.05, 4.0), (0.0, 2.0)
FIELDS = {
    "activation": Choice("tanh", activation_names()),
    "sigma_w": Number(1.5, *_WEIGHTS),
    "sigma_b": Number(0.2, *_BIASES),
}
_GRID = np.linspace(*_WEIGHTS, 80), np.linspace(*_BIASES, 41)

# The pointer is kept by the plot while it is pressed; data coordinates are plotly's.
_PRESS = "(e) => { if (e.button === 0) { e.currentTarget.setPointerCapture(e.pointerId); PLACE } }"
_MOVE = "(e) => { if (e.buttons & 1 && e.currentTarget.hasPointerCapture(e.pointerId)) { PLACE } }"
_PLACE = """
const plot = e.currentTarget, {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
emit(xaxis.p2d(e.clientX - box.left - xaxis._offset), yaxis.p2d(e.clientY - box.top - yaxis._offset));
"""


def phase_page() -> None:
    """Build the page."""
    drawn: dict[str, str] = {}  # the activation of the diagram that is shown

    async def changed() -> None:
        await live.request()

    async def compute() -> None:
        name, at = str(form.values["activation"]), (float(form.values["sigma_w"]), float(form.values["sigma_b"]))
        if drawn.get("activation") != name:
            portrait = await asyncio.to_thread(_portrait, name)
            figure.show(phase_picture(portrait.diagram, portrait.edge, at, named="this network (drag it)"))
            drawn["activation"] = name
        else:
            figure.move(at)
        maps = await asyncio.to_thread(_layer, name, *at)
        figure.describe(_in_words(name, maps.settled))
        for place, shown in zip((lengths, correlations), map_pictures(maps), strict=False):
            place.show(shown)
        correlations.set_visible(maps.correlations is not None)
        numbers.set_content(parts_html(answer_of(maps.settled).sections[0].parts))

    async def placed(event: GenericEventArguments) -> None:
        x, y = event.args
        await form.put(sigma_w=round(float(x), 4), sigma_b=round(float(y), 4))

    async def picture(kind: str) -> bytes:
        return await asyncio.to_thread(_picture, str(form.values["activation"]), kind)

    async def table() -> bytes:
        return phase_csv((await asyncio.to_thread(_portrait, str(form.values["activation"]))).diagram)

    lead = (
        "Blue: ordered, inputs grow alike and gradients vanish. Orange: chaotic, inputs part and gradients explode. "
        "Deep networks train near the edge between them. Drag the point, or use the sliders."
    )
    with frame("/phase", "Phase diagram", lead):
        form = Form("/phase", FIELDS, changed)
        left, right = halves("Diagram")
        with left:
            form.choice("activation", "Activation")
            form.number("sigma_w", "σ_w, gain of the weights", 0.01)
            form.number("sigma_b", "σ_b, scale of the biases", 0.01)
            numbers = ui.html("", sanitize=False).props('aria-live="polite"')
        with right:
            refusals = Refusals(form.complaints)
            panel = ui.element("div")
            with panel:
                figure = Figure()
                figure.plot.style("touch-action: none; cursor: crosshair")
                figure.plot.on("pointerdown", placed, js_handler=_PRESS.replace("PLACE", _PLACE))
                figure.plot.on("pointermove", placed, js_handler=_MOVE.replace("PLACE", _PLACE), throttle=0.05)
                download_buttons("phase", pictures(picture) | {"csv": table}, refusals.say)
                with ui.element("div").classes("two"):
                    lengths, correlations = Figure(), Figure()
        live = Live(compute, panel, refusals)
    ui.timer(0.01, live.request, once=True)


@lru_cache(maxsize=64)
def _portrait(name: str) -> PhasePortrait:
    return phase_portrait(activation(name), *_GRID)


def _layer(name: str, sigma_w: float, sigma_b: float) -> LayerMaps:
    return layer_maps(activation(name), sigma_w, sigma_b)


def _in_words(name: str, where: Settled) -> str:
    here = f"Phase diagram of {name}. At σ_w {where.sigma_w:.4g}, σ_b {where.sigma_b:.4g}: "
    found = where.found
    if found is None:
        return here + where.reason
    numbers = f"q* {found.q:.4g}, χ₁ {found.chi1:.4g}, c* {found.c:.4g}, ξ_c {layers_text(found.xi_c)}."
    return f"{here}{found.phase}, {numbers}"


def _picture(name: str, kind: str) -> bytes:
    portrait = _portrait(name)
    title = f"{name}: blue ordered, orange chaotic"
    return picture_bytes(phase_picture(portrait.diagram, portrait.edge, title=title), kind)
