"""A learning rate that short trials found."""

from __future__ import annotations

from freeness.show.answer import Answer, Part, Section, Sentence, Table, answer_of, number
from freeness.training import FoundRate


@answer_of.register
def _(record: FoundRate) -> Answer:
    setting = record.setting
    title = (
        f"Learning rate {record.recommended:.3g} for {setting.optimizer}, from {record.low:.2g} to {record.high:.2g}"
    )
    spent = (
        f"The trials took {record.cost:.2f} runs of {setting.schedule.steps} steps, of {record.budget:g} that were allowed"
        + (", and were ended early." if record.interrupted else ".")
    )
    parts: list[Part] = [
        Sentence(record.reason),
        Sentence(record.warmup.reason),
        *([] if set(setting.groups) <= {1.0} else [Sentence(_groups(record))]),
        *(Sentence(note) for note in setting.notes),
        Sentence(spent),
    ]
    trained = f"{setting.loss}, batches of {setting.batch}, {setting.schedule}"
    return Answer(title, (Section("", tuple(parts)), Section(f"Trials: {trained}", (_table(record),))))


def _groups(record: FoundRate) -> str:
    rates = ", ".join(f"{share * record.recommended:.3g}" for share in record.setting.groups)
    return f"The rates of the parameter groups: {rates}."


def _table(record: FoundRate) -> Table:
    rows = [
        (f"{trial.rate:.3g}", str(trial.steps), "diverged" if trial.stopped else number(trial.score))
        for trial in record.trials
    ]
    header = ("rate", "steps", "loss at the end")
    return Table(header, tuple(rows), header)
