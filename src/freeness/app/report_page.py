"""A model's report: a bundled architecture or a model of whoever started the server, with weights that may be uploaded."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, get_args

from nicegui import ui
from nicegui.events import UploadEventArguments

from freeness.advice.learning_rate import Loss, Optimizer
from freeness.app.address import Choice, Number
from freeness.app.background import Background
from freeness.app.figure import Producer, download_buttons
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame
from freeness.app.worker import Worker
from freeness.errors import FreenessError, InputError
from freeness.network import activation_names

MOST_BYTES = 64 * 2**20  # of an upload
_BUNDLED = "bundled"
_NAME_INPUT = "document.querySelector('input[type=file]')?.setAttribute('aria-label', 'Trained weights')"
_ENDINGS = (".safetensors", ".pt")


def report_page(heavy: Worker, checking: Worker, models: Sequence[str]) -> None:
    """Build the page.

    Args:
        heavy: where models are analysed.
        checking: where uploads are looked at, with a limit.
        models: FILE.py:FACTORY of whoever started the server.
    """
    fields = {
        "model": Choice(_BUNDLED, (_BUNDLED, *models)),
        "activation": Choice("hardtanh", activation_names()),
        "weights": Choice("haar", ("haar", "gaussian")),
        "depth": Number(6, 1, 50, whole=True),
        "width": Number(200, 4, 1000, whole=True),
        "sigma_w": Number(1.0, 0.05, 4.0),
        "sigma_b": Number(0.0, 0.0, 2.0),
        "data": Choice("fashion-mnist", ("fashion-mnist", "gaussian")),
        "loss": Choice("cross_entropy", get_args(Loss)),
        "optimizer": Choice("sgd", get_args(Optimizer)),
    }
    lead = "Predicted and measured spectra, verdict and learning rate of a model, as freeness analyze writes them."
    with frame("/report", "Report", lead):
        _Page(heavy, checking, fields)


class _Page:
    """One model, its weights, its report."""

    def __init__(self, heavy: Worker, checking: Worker, fields: dict[str, Any]) -> None:
        self._checking = checking
        self._answer: dict[str, Any] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="freeness-")
        self._file: Path | None = None
        ui.context.client.on_delete(self._folder.cleanup)
        self._form = Form("/report", fields, self._changed)
        with ui.element("div").classes("split"):
            with ui.element("div").classes("inputs"):
                self._inputs(self._form)
            with ui.element("section").props('aria-label="Report"'):
                self._refusals = Refusals(self._form.complaints)
                with ui.element("div").classes("row-of-buttons"):
                    ui.button("Analyse", on_click=self._analyse).props("dense unelevated")
                self._background = Background(heavy)
                self._panel = ui.element("div").classes("w-full")
                self._words = ui.label("").props('role="status"')
                files = {"html": self._part("html"), "json": self._part("json")}
                download_buttons("report", files, self._refusals.say)

    def _inputs(self, form: Form) -> None:
        form.choice("model", "Model", {_BUNDLED: "fully connected, built here"})
        form.choice("activation", "Activation")
        form.choice("weights", "Weights", {"haar": "orthogonal (Haar)", "gaussian": "Gaussian"})
        for name, label in (("depth", "Depth, weight matrices"), ("width", "Width of hidden layers")):
            form.number(name, label, 1, slider=False)
        for name, label in (("sigma_w", "σ_w, gain of the weights"), ("sigma_b", "σ_b, scale of the biases")):
            form.number(name, label, 0.01, slider=False)
        form.choice("data", "Data")
        form.choice("loss", "Loss")
        form.choice("optimizer", "Optimiser")
        upload = ui.upload(
            label="Trained weights, .safetensors or .pt",
            auto_upload=True,
            max_files=1,
            max_file_size=MOST_BYTES,
            on_upload=self._uploaded,
            on_rejected=lambda: self._refusals.say(_too_large()),
        )
        ui.timer(0.5, lambda: ui.run_javascript(_NAME_INPUT), once=True)
        upload.props(f'accept="{",".join(_ENDINGS)}" flat bordered').classes("w-full")
        self._upload = upload

    async def _changed(self) -> None:
        self._panel.classes(add="stale")

    async def _uploaded(self, event: UploadEventArguments) -> None:
        """Keep the file if it holds weights of this architecture."""
        self._upload.reset()
        ending = Path(event.file.name).suffix
        try:
            if ending not in _ENDINGS:
                raise InputError(f"expected weights as {' or '.join(_ENDINGS)}, got another ending; save them as one.")
            if event.file.size() > MOST_BYTES:
                raise InputError(_too_large())
            path = Path(self._folder.name) / f"{secrets.token_hex(8)}{ending}"  # the name that was sent is not used
            path.write_bytes(await event.file.read())
            found = await self._checking.run("report", self._asked(path) | {"data": ""})
        except FreenessError as error:
            self._refusals.say(str(error))
            return
        self._file = path
        self._refusals.say()
        self._words.set_text(f"Weights taken: {found['tensors']} tensors, {found['numbers']} numbers. Press Analyse.")

    async def _analyse(self) -> None:
        self._panel.classes(add="stale")
        try:
            self._answer = await self._background.run("report", self._asked(self._file))
        except FreenessError as error:
            self._refusals.say(str(error))
            return
        self._refusals.say()
        answer = self._answer
        self._words.set_text(
            f"{answer['phase']}; largest stable learning rate {answer['bound']:.4g}; {answer['parameters']} parameters."
        )
        self._panel.clear()
        with self._panel:
            page = escape(answer["html"], quote=True)
            ui.html(
                f'<iframe class="report" title="Report" sandbox="" srcdoc="{page}"></iframe>', sanitize=False
            ).classes("w-full")
        self._panel.classes(remove="stale")

    def _asked(self, weights: Path | None) -> dict[str, Any]:
        values = self._form.values
        names = ("activation", "weights", "depth", "width", "sigma_w", "sigma_b")
        bundled = values["model"] == _BUNDLED
        return {
            "model": {name: values[name] for name in names} if bundled else values["model"],
            "weights": None if weights is None else str(weights),
        } | {name: values[name] for name in ("data", "loss", "optimizer")}

    def _part(self, kind: str) -> Producer:
        async def produce() -> bytes:
            if not self._answer:
                raise InputError("expected a report, got none yet; press Analyse first.")
            return self._answer[kind].encode()

        return produce


def _too_large() -> str:
    return f"expected at most {MOST_BYTES // 2**20} MB and one of {', '.join(_ENDINGS)}, got another file; choose a smaller one."
