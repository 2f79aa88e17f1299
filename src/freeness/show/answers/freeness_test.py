"""Whether weights are free of activation derivatives."""

from __future__ import annotations

from typing import Any

from freeness.show.answer import NOTHING, Answer, Part, Section, Sentence, Table, answer_of
from freeness.show.json_values import document_of, picked
from freeness.spectra import FreenessTest, Word


@answer_of.register
def _(record: FreenessTest) -> Answer:
    header = ("weights", "word", "trace", "free: about", "score")
    rows = tuple(_word(word) for word in record.words)
    flagged = tuple(index for index, word in enumerate(record.words) if not word.free)
    parts: list[Part] = [
        _said(record),
        Table(header, rows, header[2:], flagged),
        Sentence("D°, E°: centred derivatives before and behind W. Score: departure in standard deviations; 5 reject."),
    ]
    if not all(word.tested for word in record.words):
        parts.append(Sentence("–: derivatives that differ from their mean at a few neurons only tell nothing."))
    return Answer("Freeness of the weights", (Section("", tuple(parts)),))


def _said(record: FreenessTest) -> Sentence:
    if record.free:
        return Sentence("No word departs from freeness: the weights may be taken for free of the derivatives.", "bold")
    names = ", ".join(dict.fromkeys(word.name for word in record.rejected))
    return Sentence(f"Not free: {names}. Predicted spectra assume what does not hold there; measure.", "warning")


def _word(word: Word) -> tuple[str, ...]:
    score = f"{word.score:.1f}" if word.tested else NOTHING
    return (word.name, word.word, f"{word.value:.2e}", f"{word.expected:.1e}±{word.deviation:.0e}", score)


@document_of.register
def _(record: FreenessTest) -> dict[str, Any]:
    return {
        "free": record.free,
        "words": [
            {"weights": word.name, "word": word.word, "trace": word.value}
            | picked(word, "expected deviation score free tested")
            for word in record.words
        ],
    }
