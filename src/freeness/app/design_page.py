"""The design: targets in, an initialisation with its reasons and its code out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields, replace
from html import escape
from typing import Any, get_args

from nicegui import ui

from freeness.advice import Design, DesignOptions, TradeOff, Training, design
from freeness.advice import Form as ActivationForm
from freeness.app.address import Choice, Number, Value
from freeness.app.figure import Figure, download_buttons, pictures
from freeness.app.form import Form
from freeness.app.frame import Refusals, frame, halves
from freeness.app.live import Live
from freeness.errors import InputError
from freeness.network import activation_names
from freeness.show import (
    BESIDE,
    WHY,
    Answer,
    Picture,
    Row,
    Sentence,
    answer_of,
    csv_bytes,
    json_text,
    list_html,
    parts_html,
    picture_bytes,
    trade_off_picture,
)
from freeness.training import loss_names, optimizer_of

FIELDS = {
    "depth": Number(50, 1, 200, whole=True),  # deeper ones take longer than a page may; the command has no limit
    "width": Number(512, 2, 8192, whole=True),
    "inputs": Number(784, 1, 1_000_000, whole=True),
    "outputs": Number(10, 1, 100_000, whole=True),
    "activation": Choice("tanh", activation_names()),
    "isometry": Number(0.0, 0.0, 100.0),  # the nearest to 0.25, which ReLU cannot reach
    "weights": Choice("haar", ("haar", "gaussian")),
    "form": Choice("plain", get_args(ActivationForm)),
    "loss": Choice("cross_entropy", loss_names()),
    "optimizer": Choice("sgd", ("sgd", "momentum", "nesterov")),
}

_LEAD = (
    "How to start a deep network so that gradients neither vanish nor explode, from theory alone, and the learning rate that "
    "follows."
)


@dataclass(frozen=True, eq=False)
class _Answer:
    """A design, its trade-off where it has one, and what the page says of it."""

    plan: Design
    shown: Answer
    curve: TradeOff | None
    code: str


def design_page() -> None:
    """Build the page."""
    found: list[_Answer] = []

    async def changed() -> None:
        await live.request()

    async def compute() -> None:
        answer = await asyncio.to_thread(_answered, dict(form.values))
        found[:] = [answer]
        numbers.set_content(parts_html(answer.shown.section("").parts))
        beside.set_content(parts_html(answer.shown.section(BESIDE).parts))
        code.set_content(f'<pre class="code" tabindex="0" aria-label="Code">{escape(answer.code)}</pre>')
        reasons.set_content(list_html(answer.shown.section(WHY).parts))
        lines = tuple(Sentence(line, "point") for line in answer.plan.learning_rate.details)
        details.set_content(f"<details><summary>How the rate was found</summary><ul>{list_html(lines)}</ul></details>")
        figure.set_visible(answer.curve is not None)
        if answer.curve is not None:
            figure.show(_drawn(answer.plan, answer.curve))

    def required() -> _Answer:
        if not found:
            raise InputError("expected a design, got none; correct the targets first.")
        return found[0]

    async def picture(kind: str) -> bytes:
        answer = required()
        if answer.curve is None:
            raise InputError("expected a nonlinear network, got a linear one, which has no trade-off; choose another.")
        title = f"{answer.plan.named.name}, {answer.plan.depth} layers: isometry against nonlinearity"
        drawn = trade_off_picture(answer.curve, answer.plan.isometry, title=title)
        return await asyncio.to_thread(picture_bytes, drawn, kind)

    async def gains() -> bytes:
        layers = required().plan.layers
        names = ("fan_in", "fan_out", "sigma_w", "sigma_b", "gain")
        return csv_bytes({name: [getattr(layer, name) for layer in layers] for name in names})

    async def document() -> bytes:
        answer = required()
        numbers = {row.label: row.text for row in answer.shown.section("").parts if isinstance(row, Row)}
        rows = {"schema_version": 1, "code": answer.code, "reasons": answer.plan.reasons}
        return json_text(rows | {"targets": form.values, "numbers": numbers}).encode()

    with frame("/design", "Design", _LEAD):
        form = Form("/design", FIELDS, changed)
        left, right = halves("Design")
        with left:
            _inputs(form)
        with right:
            refusals = Refusals(form.complaints)
            panel = ui.element("div")
            with panel:
                numbers = ui.html("", sanitize=False).classes("wide").props('aria-live="polite"')
                ui.html("<h2>Code</h2>", sanitize=False)
                code = ui.html("", sanitize=False)
                ui.html("<h2>Beside the usual starts</h2>", sanitize=False)
                beside = ui.html("", sanitize=False).classes("wide")
                ui.html("<h2>Isometry against nonlinearity</h2>", sanitize=False)
                figure = Figure()
                ui.html("<h2>Why</h2>", sanitize=False)
                reasons = ui.html("", sanitize=False, tag="ul")
                details = ui.html("", sanitize=False)
            files = pictures(picture) | {"csv": gains, "json": document}
            download_buttons("design", files, refusals.say)
        live = Live(compute, panel, refusals)
    ui.timer(0.01, live.request, once=True)


def _inputs(form: Form) -> None:
    form.number("depth", "Depth, weight matrices", 1, slider=False)
    form.number("width", "Width of the hidden layers", 1, slider=False)
    form.number("inputs", "Inputs", 1, slider=False)
    form.number("outputs", "Outputs", 1, slider=False)
    form.choice("activation", "Activation")
    form.number("isometry", "Spread of the Jacobian, σ_JJ² (0: the nearest to 0.25)", 0.01, slider=False)
    form.choice("weights", "Weights", {"haar": "orthogonal (Haar)", "gaussian": "Gaussian"})
    form.choice("form", "Form of the activation")
    form.choice("loss", "Loss")
    form.choice("optimizer", "Optimiser")


def _answered(values: dict[str, Value]) -> _Answer:
    taken: Any = values  # the library says which words it takes
    isometry = float(taken["isometry"]) or None
    options = DesignOptions(taken["weights"], taken["form"])
    training = Training(taken["loss"], taken["optimizer"])
    plan = design(taken["depth"], _shape(taken), taken["activation"], isometry, options, training)
    curve = plan.trade_off() if plan.depth > 1 else None
    bent = curve is not None and bool((curve.spread > 0).any())  # a linear network pays nothing
    return _Answer(plan, answer_of(plan), curve if bent else None, _code(values, plan))


def _shape(values: dict[str, Any]) -> tuple[int, ...]:
    """Inputs, hidden and outputs; of one matrix there are no hidden ones."""
    ends = values["inputs"], values["outputs"]
    return ends if values["depth"] == 1 else (ends[0], values["width"], ends[1])


def _code(values: dict[str, Value], plan: Design) -> str:
    """What gives the same design, and puts it into a model."""
    options = f'DesignOptions(weights="{values["weights"]}", form="{values["form"]}")'
    training = f'Training("{values["loss"]}", "{values["optimizer"]}")'
    isometry = f"{values['isometry']:g}" if values["isometry"] else "None"
    return "\n".join(
        (
            "import torch",
            "import freeness as fr",
            "from freeness.advice import DesignOptions, Training",
            "from freeness.torch import initialize_",
            "",
            f'plan = fr.design({values["depth"]}, {_shape(values)}, "{values["activation"]}", isometry={isometry},',
            f"                 options={options},",
            f"                 training={training})",
            "initialize_(model, plan)  # your nn.Module, in place",
            f"optimizer = torch.optim.SGD(model.parameters(), lr={plan.learning_rate.recommended:.4g}{_momentum(values)})",
        )
    )


def _momentum(values: dict[str, Value]) -> str:
    """The numbers of the optimiser that are not torch's own; the record has torch's names for them."""
    descent: Any = optimizer_of(values["optimizer"])
    own = {one.name: getattr(descent, one.name) for one in fields(descent) if getattr(descent, one.name) != one.default}
    return "".join(f", {name}={value!r}" for name, value in own.items())


def _drawn(plan: Design, curve: TradeOff) -> Picture:
    said = f"Trade-off of {plan.named.name}: this design has σ_JJ² {plan.isometry:.4g}, σ_w {plan.sigma_w:.6g}."
    return replace(trade_off_picture(curve, plan.isometry), sentence=said)
