"""Sweeps: accuracy over depth and learning rate with the lines of theory, also while a sweep runs."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nicegui import ui
from nicegui.events import GenericEventArguments

from freeness.app.address import Choice, Number, Text
from freeness.app.figure import Figure, download_buttons, pictures
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame, halves
from freeness.app.live import Live
from freeness.app.worker import Worker
from freeness.errors import InputError
from freeness.show import Axis, Row, SweptDesign, csv_bytes, heat_map_picture, lines_picture, parts_html

_PERIOD = 2.0  # seconds between looks at the store
_MOST = 10_000
_CELL = "(event) => emit(event.points[0].curveNumber, event.points[0].pointNumber)"


def sweep_page(worker: Worker, stores: Mapping[str, Path]) -> None:
    """Build the page."""
    with frame("/sweeps", "Sweeps", "Where learning breaks, by depth: trained networks beside the lines of theory."):
        if not stores:
            ui.html(
                "No store is open. Train one by <code>freeness sweep --preset tiny</code>, then show it by "
                "<code>freeness app --store tiny.sqlite</code>.",
                sanitize=False,
            )
            return
        _Page(worker, stores)


class _Page:
    """One view of one store."""

    def __init__(self, worker: Worker, stores: Mapping[str, Path]) -> None:
        self._worker, self._stores = worker, stores
        self._answer: dict[str, Any] = {}
        self._seen: tuple[object, ...] = ()
        self._chosen: dict[str, Any] = {"design": None, "depth": None, "rate": None}
        fields = {
            "store": Choice(next(iter(stores)), tuple(stores)),
            "design": Text("", 200),
            "depth": Number(0, 0, _MOST, whole=True),
            "rate": Number(0, 0, _MOST, whole=True),
        }
        self._form = Form("/sweeps", fields, self._changed)
        left, right = halves("Heat map")
        with left:
            self._form.choice("store", "Store")
            self._design = self._select("Design", "design")
            self._depth = self._select("Depth of the curves", "depth")
            self._rate = self._select("Learning rate of the curves", "rate")
            self._numbers = ui.html("", sanitize=False).props('aria-live="polite"')
        with right:
            refusals = Refusals(self._form.complaints)
            panel = ui.element("div")
            with panel:
                self._map = Figure()
                self._map.plot.on("plotly_hover", self._hovered, js_handler=_CELL, throttle=0.1)
                self._curves = Figure()
            files = pictures(self._picture) | {"csv": self._table}
            download_buttons("sweep", files, refusals.say)
        self._live = Live(self._compute, panel, refusals)
        ui.timer(_PERIOD, self._look, immediate=True)

    def _select(self, label: str, name: str) -> ui.select:
        async def chosen(event: Any) -> None:
            if event.value != self._chosen[name]:
                await self._form.keep(**{name: event.value})

        return ui.select({}, label=label, on_change=chosen).props("outlined dense options-dense")

    async def _changed(self) -> None:
        if self._seen and self._seen[0] == self._form.values["store"]:
            self._show()
        else:
            await self._look()

    async def _look(self) -> None:
        """Read the store again if it has changed."""
        name = str(self._form.values["store"])
        path = self._stores[name]
        files = (path, path.with_name(path.name + "-wal"))
        stamps = tuple((file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None for file in files)
        if (name, stamps) != self._seen:
            self._seen = (name, stamps)
            await self._live.request()

    async def _compute(self) -> None:
        path = self._stores[str(self._form.values["store"])]
        self._answer = await self._worker.run("sweep", {"store": str(path)})
        self._show()

    async def _hovered(self, event: GenericEventArguments) -> None:
        curve, place = event.args
        if curve < len(self._answer["depths"]) and isinstance(place, list):
            order = np.argsort(self._part()["rates"][curve])
            await self._form.keep(depth=self._answer["depths"][curve], rate=int(order[place[0]]))

    def _name(self) -> str:
        wanted = str(self._form.values["design"])
        return wanted if wanted in self._answer["designs"] else next(iter(self._answer["designs"]))

    def _part(self) -> dict[str, Any]:
        return self._answer["designs"][self._name()]

    def _place(self) -> tuple[int, int]:
        """Indices of the depth and the rate whose curves are shown; the last depth, and its best rate, at first."""
        part, depths = self._part(), self._answer["depths"]
        wanted = self._form.values["depth"]
        depth = depths.index(wanted) if wanted in depths else len(depths) - 1
        last = [look[-1] for look in part["accuracy"][depth]]
        best = max(range(len(last)), key=lambda index: -1.0 if last[index] is None else last[index])
        rate = int(self._form.values["rate"]) if wanted in depths else best
        return depth, min(rate, len(last) - 1)

    def _show(self) -> None:
        answer, part = self._answer, self._part()
        depth, rate = self._place()
        arrays = {name: np.array(part[name], dtype=float) for name in part}
        accuracy = arrays["accuracy"][:, :, -1]
        swept = SweptDesign(
            answer["depths"],
            arrays["rates"],
            accuracy,
            {name: arrays[name] for name in ("two_over_depth", "one_sample_bound")},
            arrays["boundary"],
        )
        state = f"{answer['finished']} of {answer['cells']} cells are finished"
        best = f", best accuracy {np.nanmax(accuracy):.3f}" if np.isfinite(accuracy).any() else ""
        said = f"Sweep {answer['name']}, {self._name()}: {state}{best}."
        self._map.show(heat_map_picture(swept, sentence=said))
        eta = arrays["rates"][depth, rate]
        lines = {name: (answer["steps"], arrays[name][depth, rate]) for name in ("accuracy", "loss")}
        words = f"Along training at depth {answer['depths'][depth]}, learning rate {eta:.3g}"
        last = arrays["accuracy"][depth, rate, -1]
        said = f"{words}: accuracy {last:.3f} at the end." if np.isfinite(last) else f"{words}: not finished."
        self._curves.show(lines_picture(lines, Axis("step"), Axis("test accuracy, loss"), sentence=said))
        self._numbers.set_content(
            parts_html([Row("sweep", answer["name"]), Row("finished", state), Row("curves", words)])
        )
        self._chosen = {"design": self._name(), "depth": answer["depths"][depth], "rate": rate}
        self._design.set_options(list(answer["designs"]), value=self._name())
        self._depth.set_options(answer["depths"], value=answer["depths"][depth])
        rates = {index: f"{value:.4g}" for index, value in enumerate(arrays["rates"][depth])}
        self._rate.set_options(rates, value=rate)

    async def _picture(self, kind: str) -> bytes:
        store = str(self._stores[str(self._form.values["store"])])
        asked = {"store": store, "design": str(self._form.values["design"]), "picture": kind}
        return base64.b64decode((await self._worker.run("sweep", asked))["picture"])

    async def _table(self) -> bytes:
        if not self._answer:
            raise InputError("expected a sweep that was read, got none; choose another store.")
        part = self._part()
        rows = [
            (depth, rate, look[-1], self._answer["steps"][-1])
            for depth, rates, looks in zip(self._answer["depths"], part["rates"], part["accuracy"], strict=True)
            for rate, look in zip(rates, looks, strict=True)
        ]
        depths, rates, accuracies, steps = zip(*rows, strict=True)
        return csv_bytes({"depth": depths, "rate": rates, "accuracy": accuracies, "step": steps})
