"""A model's report: a bundled architecture or a model of whoever started the server, with weights that may be uploaded."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from nicegui import ui
from nicegui.events import UploadEventArguments

from freeness.app.address import Choice, Number
from freeness.app.background import Background
from freeness.app.figure import Producer, download_buttons
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame
from freeness.app.worker import Worker
from freeness.errors import FreenessError, InputError
from freeness.network import activation_names
from freeness.training import loss_names, optimizer_names

MOST_BYTES = 64 * 2**20  # of an upload
_BUNDLED = "bundled"
_NAME_INPUT = "document.querySelector('input[type=file]')?.setAttribute('aria-label', 'Trained weights')"
_BUILT = ("activation", "weights", "depth", "width", "sigma_w", "sigma_b")  # of the bundled architecture
_NONE = "No weights loaded: the model is analysed as it is made."
_LONGEST = 60  # characters of a file's name
_ENDINGS = (".safetensors", ".pt")


def report_page(heavy: Worker, checking: Worker, models: Sequence[str]) -> None:
    """Build the page.

    Args:
        heavy: where models are analysed.
        checking: where uploads are looked at, with a limit.
        models: FILE.py:FACTORY of whoever started the server; the page opens on the first.
    """
    fields = {
        "model": Choice(models[0] if models else _BUNDLED, (*models, _BUNDLED)),
        "activation": Choice("hardtanh", activation_names()),
        "weights": Choice("haar", ("haar", "gaussian")),
        "depth": Number(6, 1, 50, whole=True),
        "width": Number(200, 4, 1000, whole=True),
        "sigma_w": Number(1.0, 0.05, 4.0),
        "sigma_b": Number(0.0, 0.0, 2.0),
        "data": Choice("fashion-mnist", ("fashion-mnist", "gaussian")),
        "loss": Choice("cross_entropy", loss_names()),
        "optimizer": Choice("sgd", optimizer_names()),
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
        self._file: tuple[Path, str] | None = None  # and its name
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
        self._loaded = ui.label(_NONE).props('role="status"').classes("quiet")
        self._remove = ui.button("Remove the weights", color=None, on_click=self._removed).props("outline dense")
        self._remove.set_visibility(False)
        self._show_fields()

    async def _changed(self) -> None:
        self._panel.classes(add="stale")
        self._show_fields()

    def _show_fields(self) -> None:
        """A model of one's own has its architecture already."""
        self._form.show(self._form.values["model"] == _BUNDLED, *_BUILT)

    def _removed(self) -> None:
        self._take(None, _NONE)
        self._panel.classes(add="stale")

    def _take(self, file: tuple[Path, str] | None, words: str, *, refused: bool = False) -> None:
        """The weights of the next analysis, and what is said of them until others are."""
        self._file = file
        self._loaded.set_text(words)
        self._loaded.classes(replace="refused" if refused else "quiet")
        self._remove.set_visibility(file is not None)

    async def _uploaded(self, event: UploadEventArguments) -> None:
        """Keep the file if it holds weights of this architecture; a refused one leaves none, and that stays said."""
        self._upload.reset()
        name, ending = _shown(event.file.name), Path(event.file.name).suffix
        try:
            if ending not in _ENDINGS:
                raise InputError(f"expected weights as {' or '.join(_ENDINGS)}, got another ending; save them as one.")
            if event.file.size() > MOST_BYTES:
                raise InputError(_too_large())
            path = Path(self._folder.name) / f"{secrets.token_hex(8)}{ending}"  # the name that was sent is not used
            path.write_bytes(await event.file.read())
            found = await self._checking.run("report", self._asked((path, name)) | {"data": ""})
        except FreenessError as error:
            self._refusals.say(str(error))
            words = f"{name} was refused and no weights are loaded: Analyse takes the model as it is made."
            self._take(None, words, refused=True)
            return
        self._refusals.say()
        self._panel.classes(add="stale")
        self._take(
            (path, name),
            f"Weights taken: {found['tensors']} tensors, {found['numbers']} numbers of {name}. Press Analyse.",
        )

    async def _analyse(self) -> None:
        self._panel.classes(add="stale")
        of = "no weights loaded" if self._file is None else f"weights of {self._file[1]}"
        try:
            self._answer = await self._background.run("report", self._asked(self._file))
        except FreenessError as error:
            self._refusals.say(str(error))
            return
        self._refusals.say()
        answer = self._answer
        self._words.set_text(f"{of}: {answer['phase']}; {answer['start']}; {answer['parameters']} parameters.")
        self._panel.clear()
        with self._panel:
            page = escape(answer["html"], quote=True)
            ui.html(
                f'<iframe class="report" title="Report" sandbox="" srcdoc="{page}"></iframe>', sanitize=False
            ).classes("w-full")
        self._panel.classes(remove="stale")

    def _asked(self, weights: tuple[Path, str] | None) -> dict[str, Any]:
        values = self._form.values
        bundled = values["model"] == _BUNDLED
        return {
            "model": {name: values[name] for name in _BUILT} if bundled else values["model"],
            "weights": None if weights is None else (str(weights[0]), weights[1]),
        } | {name: values[name] for name in ("data", "loss", "optimizer")}

    def _part(self, kind: str) -> Producer:
        async def produce() -> bytes:
            if not self._answer:
                raise InputError("expected a report, got none yet; press Analyse first.")
            return self._answer[kind].encode()

        return produce


def _shown(name: str) -> str:
    """A file's name as it may stand in a sentence."""
    plain = "".join(character for character in Path(name).name if character.isprintable())
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def _too_large() -> str:
    return f"expected at most {MOST_BYTES // 2**20} MB and one of {', '.join(_ENDINGS)}, got another file; choose one of these."
