"""A rate that was carried from a small network to a big one, and the code that uses it. These records come with torch."""

from __future__ import annotations

from typing import Any

from freeness.show.answer import Answer, Row, Section, Sentence, Table, answer_of, number
from freeness.show.json_values import document_of, picked
from freeness.torch import GroupRate, Transfer

_FEW = 3  # parameters of a group that are all named


@answer_of.register
def _(record: Transfer) -> Answer:
    low, high = record.interval
    rows = (
        Row("rate of the small network", record.given, 4),
        Row("rate of the big network", record.rate, 4),
        Row("expected between", f"{number(low, 3)} and {number(high, 3)}"),
        Row("verdict", record.verdict),
        Row("advised", "one rate" if record.advised == "rate" else "the rates by group"),
    )
    parts = [(part.role, number(part.rate), number(part.decay, 3), ", ".join(_named(part))) for part in record.parts]
    groups = Table(("group", "rate", "decay", "parameters"), tuple(parts), ("rate", "decay"))
    matched = Sentence(f"Parameters of the two networks were matched {record.matched}.")
    code = tuple(Sentence(line, "code") for line in code_of(record))
    return Answer(
        "Learning rate, carried to the big network",
        (
            Section("", (*rows, Sentence(record.reason))),
            Section("Rates by group", (groups, matched)),
            Section("Code", code),
        ),
    )


def _named(part: GroupRate) -> tuple[str, ...]:
    """A few parameters by their names, many by patterns."""
    return part.names if len(part.names) <= _FEW else part.patterns


def code_of(record: Transfer) -> list[str]:
    """Lines of Python that make the optimiser: with one rate, and with a rate for each group."""
    kind, numbers = record.called
    lines = [
        "# one rate",
        f"optimizer = {kind}(model.parameters(), lr={record.rate:.4g}{numbers})",
        "# or a rate for each group",
        "named = dict(model.named_parameters())",
        "groups = [",
    ]
    for part in record.parts:
        numbered = f'"lr": {part.rate:.4g}' + ("" if part.decay is None else f', "weight_decay": {part.decay:.3g}')
        lines.append(f'    {{"params": [named[name] for name in {list(part.names)!r}], {numbered}}},')
    return [*lines, "]", f"optimizer = {kind}(groups{numbers})"]


@document_of.register
def _(record: Transfer) -> dict[str, Any]:
    names = "rate interval verdict advised reason given critical outputs matched gradients passes optimizer"
    groups = [picked(part, "role rate decay names") for part in record.parts]
    return picked(record, names, groups=groups, code="\n".join(code_of(record)))
