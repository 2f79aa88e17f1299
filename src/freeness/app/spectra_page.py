"""Spectra of networks: of the Jacobian and of the Fisher information, beside a drawn network."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from nicegui import ui

from freeness.app.address import Choice, Number
from freeness.app.background import Background
from freeness.app.figure import Figure, download_buttons, pictures
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame, halves
from freeness.app.live import Live
from freeness.app.spectrum_job import law_read
from freeness.app.worker import Worker
from freeness.errors import FreenessError, InputError
from freeness.network import activation_names
from freeness.show import (
    DrawnLaw,
    Row,
    answer_of,
    csv_bytes,
    drawn_law,
    drawn_law_picture,
    page_parts,
    parts_html,
    plain_numbers,
)
from freeness.spectra import SettledNetwork

POINTS = 200
KINDS = {"mlp": "fully connected", "resnet": "residual, x + βWφ(x)", "cnn": "convolutional, 3 taps on a circle of 6"}
_SYMBOLS = {"jacobian": "JJᵀ", "fisher": "Θ"}
FIELDS = {
    "spectrum": Choice("jacobian", ("jacobian", "fisher")),
    "kind": Choice("mlp", tuple(KINDS)),
    "activation": Choice("hardtanh", activation_names()),
    "weights": Choice("haar", ("haar", "gaussian")),
    "depth": Number(10, 2, 100, whole=True),
    "width": Number(256, 16, 1024, whole=True),
    "inputs": Number(256, 1, 8192, whole=True),
    "outputs": Number(256, 2, 8192, whole=True),
    "q": Number(0.2, 0.01, 5.0),
    "chi": Number(1.0, 0.5, 2.0),
}


class _Shown:
    """The answer that is on the page: a law, and the eigenvalues laid over it."""

    law: DrawnLaw | None = None
    sampled: list[float] | None = None


def spectra_page(worker: Worker) -> None:
    """Build the page."""
    shown = _Shown()

    async def changed() -> None:
        background.cancel()
        shown.sampled = None
        _show_inputs(form, button)
        if form.values["kind"] == "mlp":
            await live.request()
        else:
            panel.classes(add="stale")

    async def compute() -> None:
        asked = _architecture(form)
        show(await asyncio.to_thread(predicted, asked, fisher=_fisher(form)))

    async def compute_beside() -> None:
        await beside(drawn=False)

    async def lay_over() -> None:
        await beside(drawn=True)

    async def beside(*, drawn: bool) -> None:
        asked = {"architecture": vars(_architecture(form)), "fisher": _fisher(form), "drawn": drawn}
        if not drawn:
            panel.classes(add="stale")
        try:
            answer = await background.run("spectrum", asked)
        except FreenessError as error:
            refusals.say(str(error))
            return
        refusals.say()
        if drawn:
            shown.sampled = answer["eigenvalues"]
        show(shown.law if drawn else law_read(answer))

    def show(law: DrawnLaw | None) -> None:
        shown.law = law
        if law is None:
            return
        name = f"eigenvalue of {_SYMBOLS[str(form.values['spectrum'])]}"
        over = f" A drawn network with {len(shown.sampled)} eigenvalues lies over it." if shown.sampled else ""
        picture = drawn_law_picture(law, shown.sampled, xlabel=name)
        figure.show(replace(picture, sentence=picture.sentence + over))
        numbers.set_content(_numbers(law, _architecture(form)))
        panel.classes(remove="stale")

    async def table() -> bytes:
        if shown.law is None:
            raise InputError("expected a spectrum that was computed, got none; press Compute first.")
        return csv_bytes({"x": plain_numbers(shown.law.x), "density": plain_numbers(shown.law.density)})

    lead = (
        "Eigenvalues of the input–output Jacobian and of the one-sample Fisher information of wide networks, from theory. Single "
        "eigenvalues outside these laws, as GELU and SiLU have, are not looked for here; freeness analyze looks for them."
    )
    with frame("/spectra", "Spectra", lead):
        form = Form("/spectra", FIELDS, changed)
        left, right = halves("Spectrum")
        with left:
            _inputs(form)
        with right:
            refusals = Refusals(form.complaints)
            with ui.element("div").classes("row-of-buttons"):
                button = ui.button("Compute", on_click=compute_beside).props("dense unelevated")
                ui.button("Lay a drawn network over it", on_click=lay_over, color=None).props("outline dense")
            background = Background(worker)
            panel = ui.element("div")
            with panel:
                figure = Figure()
                numbers = ui.html("", sanitize=False).classes("wide").props('aria-live="polite"')
            download_buttons("spectrum", pictures(figure.exported) | {"csv": table}, refusals.say)
        live = Live(compute, panel, refusals)
    _show_inputs(form, button)
    ui.timer(0.01, live.request if form.values["kind"] == "mlp" else compute_beside, once=True)


def predicted(architecture: SettledNetwork, *, fisher: bool) -> DrawnLaw:
    """The law as it is drawn.

    Example:
        >>> predicted(SettledNetwork("mlp", "relu", "haar", 4, 64, 1.0, 1.0), fisher=False).atoms
        ((0.0, 0.5),)
    """
    return drawn_law(architecture.law(fisher=fisher), POINTS)


def _inputs(form: Form) -> None:
    form.choice("spectrum", "Spectrum of", {"jacobian": "the Jacobian, JJᵀ", "fisher": "the Fisher information, Θ"})
    form.choice("kind", "Architecture", KINDS)
    form.choice("activation", "Activation")
    form.choice("weights", "Weights", {"haar": "orthogonal (Haar)", "gaussian": "Gaussian"})
    form.number("depth", "Depth, weight matrices or blocks", 1)
    form.number("q", "q, variance of pre-activations", 0.01)
    form.number("chi", "χ₁, growth of squared gradients", 0.01)
    form.number("inputs", "Inputs", 1, slider=False)
    form.number("width", "Width of the hidden layers", 1, slider=False)
    form.number("outputs", "Outputs", 1, slider=False)


def _show_inputs(form: Form, button: ui.button) -> None:
    """A chain follows the inputs at once and may have ends of another width."""
    chain = form.values["kind"] == "mlp"
    button.set_visibility(not chain)
    form.show(chain, "inputs", "outputs")


def _architecture(form: Form) -> SettledNetwork:
    values = form.values
    return SettledNetwork(
        str(values["kind"]),
        str(values["activation"]),
        str(values["weights"]),
        int(values["depth"]),
        int(values["width"]),
        float(values["q"]),
        float(values["chi"]),
        (int(values["inputs"]), int(values["outputs"])) if values["kind"] == "mlp" else None,
    )


def _fisher(form: Form) -> bool:
    return form.values["spectrum"] == "fisher"


def _numbers(law: DrawnLaw, architecture: SettledNetwork) -> str:
    sigma_w, sigma_b = architecture.gains
    return parts_html([*page_parts(answer_of(law)), Row("σ_w, σ_b", f"{sigma_w:.6g}, {sigma_b:.6g}")])
