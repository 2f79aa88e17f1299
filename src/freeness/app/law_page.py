"""The law calculator: an expression in free variables, its spectrum."""

from __future__ import annotations

import base64
from typing import Any

from nicegui import ui

from freeness.app.address import Choice, Text
from freeness.app.figure import Figure, download_buttons, pictures
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame, halves
from freeness.app.live import Live
from freeness.app.worker import Worker
from freeness.errors import InputError
from freeness.show import csv_bytes, drawn_law_picture, drawn_values, json_text

_LONGEST = 1000  # characters of an expression
_VARIABLES = ("x", "y", "z")
FIELDS = {
    "expression": Text("x + y", _LONGEST),  # quick, so that the page opens with an answer
    "x": Text("semicircle", _LONGEST),
    "y": Text("mp:1", _LONGEST),
    "z": Text("", _LONGEST),
    "sample": Choice("0", ("0", "200", "500", "1000")),
}
_HELP = (
    "Laws: semicircle:VARIANCE, mp:RATIO, projection:TRACE, bernoulli, arcsine, uniform:LOW,HIGH, point:X, "
    "atoms:X@WEIGHT,X@WEIGHT, fuss_catalan:ORDER, kesten_mckay:DEGREE, wachter:FIRST,SECOND; haar, circular:VARIANCE. "
    "Each is a fresh free variable; x, y, z are one variable wherever they stand. Combine by + - * / ** and brackets, "
    "adjoint(p), inverse(p), commutator(p, q), anticommutator(p, q), i."
)


def law_page(worker: Worker) -> None:
    """Build the page."""
    answer: dict[str, Any] = {}

    async def changed() -> None:
        await live.request()

    async def compute() -> None:
        answer.clear()
        answer.update(await worker.run("law", _arguments(form)))
        drawn = drawn_values(
            [float(value) for value in answer["x"]],
            [float("nan") if value is None else value for value in answer["density"]],
            answer["atoms"],
            answer["hull"],
            answer["mean"],
        )
        figure.show(drawn_law_picture(drawn, answer["sampled"]))
        numbers.set_content(answer["answer"])

    async def picture(kind: str) -> bytes:
        found = await worker.run("law", _arguments(form) | {"picture": kind})
        return base64.b64decode(found["picture"])

    async def table() -> bytes:
        _require(answer)
        return csv_bytes({name: answer[name] for name in ("x", "density", "cdf")})

    async def document() -> bytes:
        _require(answer)
        numbers = {name: value for name, value in answer.items() if name != "answer"}
        return json_text({"schema_version": 1} | _arguments(form) | numbers).encode()

    with frame("/law", "Law calculator", "The spectrum of any expression in free random variables."):
        form = Form("/law", FIELDS, changed)
        left, right = halves("Spectrum")
        with left:
            form.text("expression", "Expression", "x*y + y*x")
            for name in _VARIABLES:
                form.text(name, f"Law of {name}", "unused")
            form.choice(
                "sample", "Matrix laid over it", {"0": "none"} | {n: f"{n}×{n}" for n in ("200", "500", "1000")}
            )
            with ui.element("details"):
                with ui.element("summary"):
                    ui.label("What can be written").classes("inline")
                ui.label(_HELP).classes("quiet")
        with right:
            refusals = Refusals(form.complaints)
            panel = ui.element("div")
            with panel:
                figure = Figure()
                numbers = ui.html("", sanitize=False).classes("wide").props('aria-live="polite"')
            download_buttons(
                "law",
                pictures(picture) | {"csv": table, "json": document},
                refusals.say,
            )
        live = Live(compute, panel, refusals)
    ui.timer(0.01, live.request, once=True)


def _arguments(form: Form) -> dict[str, Any]:
    """What the job takes; variables that are not used would be refused as unused, and are left out."""
    expression = str(form.values["expression"])
    variables = {name: str(form.values[name]) for name in _VARIABLES if form.values[name]}
    return {"expression": expression, "variables": variables, "sample": int(form.values["sample"])}


def _require(answer: dict[str, Any]) -> None:
    if not answer:
        raise InputError("expected an expression that was computed, got none; correct it first.")
