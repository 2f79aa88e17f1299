"""Inputs of a page, each with a label, and its state in the address, so that a view can be shared."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.value_element import ValueElement

from freeness.app.address import Choice, Field, Number, Value, read_query, written_query
from freeness.errors import InputError

_SLID = "(event) => emit(Number(event.target.value))"
_LINE = 0.5  # seconds after the last key before a line of text counts as written


class Form:
    """Values of a page's fields, read from the address and kept in it."""

    def __init__(self, path: str, fields: Mapping[str, Field], changed: Callable[[], Awaitable[None]]) -> None:
        self._path, self._fields, self._changed = path, fields, changed
        self._client = ui.context.client
        self.values, self.complaints = read_query(fields, ui.context.client.request.query_params)
        self._inputs: dict[str, ValueElement[Any]] = {}
        self._sliders: dict[str, ui.element] = {}

    def number(self, name: str, label: str, step: float, *, slider: bool = True) -> None:
        """An input of a number, with a slider below it."""
        field = self._fields[name]
        assert isinstance(field, Number)
        value = float(self.values[name])
        check = self._check(name, label)
        box = ui.number(
            label,
            value=value,
            validation=check,
            on_change=lambda event: self._took(name, event.value),
        )
        box.props('step="any" outlined dense hide-bottom-space')
        self._inputs[name] = box
        if slider:
            self._sliders[name] = handle = ui.element("input").classes("slider")
            handle.props(f'type=range min={field.low:g} max={field.high:g} step={step:g} aria-label="{label}"')
            handle.props["value"] = value
            handle.on("input", lambda event: self._slid(name, event.args), js_handler=_SLID, throttle=0.05)

    def choice(self, name: str, label: str, words: Mapping[str, str] | None = None) -> None:
        """A choice among the words of a field."""
        field = self._fields[name]
        assert isinstance(field, Choice)
        options = {word: (words or {}).get(word, word) for word in field.words}
        box = ui.select(
            options,
            label=label,
            value=self.values[name],
            on_change=lambda event: self._took(name, event.value),
        )
        self._inputs[name] = box.props("outlined dense options-dense")

    def text(self, name: str, label: str, hint: str = "") -> None:
        """A line of text."""
        box = ui.input(
            label,
            value=str(self.values[name]),
            placeholder=hint,
            validation=self._check(name, label),
            on_change=lambda event: self._took(name, event.value),
        )
        box.props(
            f'debounce={int(1000 * _LINE)} outlined dense hide-bottom-space spellcheck=false autocapitalize="off"'
        )
        self._inputs[name] = box

    def show(self, shown: bool, *names: str) -> None:
        """Show or hide inputs; their values stay."""
        for name in names:
            self._inputs[name].set_visibility(shown)

    async def put(self, **values: Value) -> None:
        """Set fields as if they were typed, and tell of the change once; what is out of range goes to its end."""
        for name, value in values.items():
            field = self._fields[name]
            if isinstance(field, Number):
                within = min(max(float(value), field.low), field.high)
                value = int(within) if field.whole else within
            self.values[name] = value
            self._show(name)
        await self._tell()

    async def keep(self, **values: Value) -> None:
        """Set fields that have no input here: what stands for them on the page is shown by the page itself."""
        self.values.update(values)
        await self._tell()

    def query(self) -> str:
        """The state as it stands in the address."""
        return written_query(self._fields, self.values)

    def _check(self, name: str, label: str) -> Callable[[object], str | None]:
        def refusal(value: object) -> str | None:
            try:
                self._fields[name].read(label, _as_text(self._fields[name], value))
            except InputError as error:
                return f"{error} The page still shows {self._shown(name)}."
            return None

        return refusal

    def _shown(self, name: str) -> str:
        value = self.values[name]
        return f"{value:g}" if isinstance(value, float) else str(value) or "what stood here last"

    async def _took(self, name: str, value: object) -> None:
        field = self._fields[name]
        try:
            read = field.read(name, _as_text(field, value))
        except InputError:  # said at the input itself
            return
        if read != self.values[name]:
            self.values[name] = read
            self._show(name)
            await self._tell()

    async def _slid(self, name: str, value: float) -> None:
        self._sliders[name].props["value"] = value  # which it has already: nothing is sent back while it is dragged
        await self._took(name, value)

    def _show(self, name: str) -> None:
        box, value = self._inputs[name], self.values[name]
        if box.value != value:
            box.set_value(value)
        if name in self._sliders and self._sliders[name].props["value"] != value:
            self._sliders[name].props["value"] = value
            self._sliders[name].update()

    async def _tell(self) -> None:
        query = self.query()
        address = self._path + (f"?{query}" if query else "")
        self._client.run_javascript(f"history.replaceState(null, '', {json.dumps(address)})")
        await self._changed()


def _as_text(field: Field, value: object) -> str:
    """As it would stand in the address: an input of a whole number gives 3.0."""
    whole = isinstance(field, Number) and field.whole and isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole and isinstance(value, float) else "" if value is None else str(value)
