"""A model's report: a network built here or a model of whoever started the server, on data and with weights of one's own."""

from __future__ import annotations

import tempfile
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from nicegui import ui

from freeness.app.address import Choice, Number
from freeness.app.background import Background
from freeness.app.figure import download_buttons
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame, halves
from freeness.app.upload import FileInput, FileKind
from freeness.app.worker import Worker
from freeness.errors import FreenessError, InputError
from freeness.network import activation_names
from freeness.training import loss_names, optimizer_names

_BUNDLED = "bundled"
_BUILT = ("activation", "weights", "depth", "width", "inputs", "outputs", "sigma_w", "sigma_b")
_WEIGHTS = FileKind(
    "trained weights", (".safetensors", ".pt"), "No weights loaded: the model is analysed as it is made."
)
_DATA = FileKind(
    "data", (".npz", ".npy", ".pt"), "Your own: a file with arrays inputs and targets, as numpy.savez writes it."
)
_MODEL = FileKind("model file", (".py",), "A file with a function that returns your nn.Module; Analyse runs it.")
_OWN = "For a model of your own, start the explorer by <code>freeness app --model mymodel.py:build</code>."


def report_page(heavy: Worker, checking: Worker, models: tuple[str, ...], run_uploads: bool) -> None:
    """Build the page."""
    fields = {
        "model": Choice(models[0] if models else _BUNDLED, (*models, _BUNDLED)),
        "activation": Choice("hardtanh", activation_names()),
        "weights": Choice("haar", ("haar", "gaussian")),
        "depth": Number(6, 1, 50, whole=True),
        "width": Number(200, 4, 1000, whole=True),
        "inputs": Number(784, 1, 65536, whole=True),
        "outputs": Number(10, 1, 10000, whole=True),
        "sigma_w": Number(1.0, 0.05, 4.0),
        "sigma_b": Number(0.0, 0.0, 2.0),
        "data": Choice("fashion-mnist", ("fashion-mnist", "gaussian")),
        "loss": Choice("cross_entropy", loss_names()),
        "optimizer": Choice("sgd", optimizer_names()),
    }
    lead = "Does a model train, how should it start, how fast may it learn? The same report as freeness analyze writes."
    with frame("/report", "Report", lead):
        _Page(heavy, checking, fields, run_uploads)


class _Page:
    """One model, its data, its weights, its report."""

    def __init__(self, heavy: Worker, checking: Worker, fields: dict[str, Any], run_uploads: bool) -> None:
        self._checking = checking
        self._answer: dict[str, Any] = {}
        folder = tempfile.TemporaryDirectory(prefix="freeness-")
        self._folder = Path(folder.name)
        ui.context.client.on_delete(folder.cleanup)
        self._form = Form("/report", fields, self._changed)
        left, right = halves("Report")
        with right:
            self._refusals = Refusals(self._form.complaints)
            with ui.element("div").classes("row-of-buttons"):
                ui.button("Analyse", on_click=self._analyse).props("dense unelevated")
            self._background = Background(heavy)
            self._words = ui.label("").props('role="status"')
            files = {kind: partial(self._part, kind) for kind in ("html", "json")}
            download_buttons("report", files, self._refusals.say)
            self._panel = ui.element("div").classes("w-full")
        with left:
            self._inputs(self._form, run_uploads)
        self._show_fields()

    def _inputs(self, form: Form, run_uploads: bool) -> None:
        form.choice("model", "Model", {_BUNDLED: "fully connected, built here"})
        self._model: FileInput | None = None
        self._factory = ui.select([], label="What makes the model").props("outlined dense options-dense")
        if run_uploads:
            self._model = self._file(_MODEL, self._check_model)
        else:
            ui.html(_OWN, sanitize=False).classes("quiet")
        form.choice("activation", "Activation")
        form.choice("weights", "Weights", {"haar": "orthogonal (Haar)", "gaussian": "Gaussian"})
        widths = {"inputs": "Inputs", "width": "Width of the hidden layers", "outputs": "Outputs"}
        for name, label in ({"depth": "Depth, weight matrices"} | widths).items():
            form.number(name, label, 1, slider=False)
        for name, label in (("sigma_w", "σ_w, gain of the weights"), ("sigma_b", "σ_b, scale of the biases")):
            form.number(name, label, 0.01, slider=False)
        form.choice("data", "Data")
        self._data = self._file(_DATA, self._check_data)
        form.choice("loss", "Loss")
        form.choice("optimizer", "Optimiser")
        self._weights = self._file(_WEIGHTS, self._check_weights)

    def _file(self, asked: FileKind, check: Any) -> FileInput:
        given = FileInput(asked, self._folder, check, self._refusals)
        given.on_change(self._another_file)
        return given

    def _another_file(self) -> None:
        self._panel.classes(add="stale")
        self._show_fields()

    async def _changed(self) -> None:
        self._another_file()

    def _show_fields(self) -> None:
        """A model of one's own has its architecture already; a file takes the place of a choice."""
        uploaded = self._model is not None and self._model.file is not None
        self._factory.set_visibility(uploaded)
        self._form.show(not uploaded, "model")
        self._form.show(not uploaded and self._form.values["model"] == _BUNDLED, *_BUILT)
        self._form.show(self._data.file is None, "data")

    async def _check_weights(self, path: Path, name: str) -> str:
        found = await self._looked_at("weights", path, model=self._asked_model())
        return f"Weights taken: {found['tensors']} tensors, {found['numbers']} numbers of {name}. Press Analyse."

    async def _check_data(self, path: Path, name: str) -> str:
        model = self._asked_model()
        found = await self._looked_at("data", path, model=model, loss=self._form.values["loss"])
        if isinstance(model, dict):
            await self._form.put(inputs=found["inputs"], outputs=found["outputs"] or model["outputs"])
        shape = "×".join(map(str, found["shape"]))
        targets = "with targets" if found["outputs"] else "without targets, for which random ones stand"
        return f"Data taken: {found['samples']} samples of {shape} numbers of {name}, {targets}. Press Analyse."

    async def _check_model(self, path: Path, name: str) -> str:
        names = (await self._looked_at("model", path))["names"]
        self._factory.set_options(names, value=names[-1])
        self._weights.remove()
        return f"Model taken: {name}. Press Analyse to run it as you."

    async def _looked_at(self, kind: str, path: Path, **how: Any) -> dict[str, Any]:
        return await self._checking.run("upload", {"kind": kind, "path": str(path)} | how)

    async def _analyse(self) -> None:
        self._panel.classes(add="stale")
        of = "No weights loaded" if self._weights.file is None else f"Weights of {self._weights.file[1]}"
        try:
            self._answer = await self._background.run("report", self._asked())
        except FreenessError as error:
            self._refusals.say(str(error))
            return
        self._refusals.say()
        self._words.set_text(f"{of}. {self._answer['answer']}")
        self._panel.clear()
        with self._panel:
            page = escape(self._answer["html"], quote=True)
            ui.html(
                f'<iframe class="report" title="Report" sandbox="" srcdoc="{page}"></iframe>', sanitize=False
            ).classes("w-full")
        self._panel.classes(remove="stale")

    def _asked_model(self) -> Any:
        """As the jobs take it."""
        values = self._form.values
        if self._model is not None and self._model.file is not None:
            path, name = self._model.file
            return f"{path}:{self._factory.value}", f"{name}:{self._factory.value}"
        if values["model"] == _BUNDLED:
            return {name: values[name] for name in _BUILT}
        return values["model"], values["model"]

    def _asked(self) -> dict[str, Any]:
        values = self._form.values
        weights, data = self._weights.file, self._data.file
        return {
            "model": self._asked_model(),
            "weights": None if weights is None else (str(weights[0]), weights[1]),
            "data": (values["data"], values["data"]) if data is None else (str(data[0]), data[1]),
        } | {name: values[name] for name in ("loss", "optimizer")}

    async def _part(self, kind: str) -> bytes:
        if not self._answer:
            raise InputError("expected a report, got none yet; press Analyse first.")
        return self._answer[kind].encode()
