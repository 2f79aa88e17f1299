"""Whether weights are free of activation derivatives."""

from __future__ import annotations

from typing import Any

from freeness.show.answer import NOTHING, Answer, Part, Section, Sentence, Table, answer_of
from freeness.show.json_values import document_of, picked
from freeness.spectra import FreenessTest, Word


@answer_of.register
def _(record: FreenessTest) -> Answer:
    header = ("layer", "word", "trace", "if random, about", "score")
    rows = tuple(_word(word) for word in record.words)
    flagged = tuple(index for index, word in enumerate(record.words) if not word.free)
    parts: list[Part] = [
        _said(record),
        Table(header, rows, header[2:], flagged),
        Sentence(
            "A word is a product of the weights W with D° and E°, the slopes of the activations before and behind it, less their "
            "mean. Score: how far its trace is from that of random weights, in standard deviations; 5 reject."
        ),
    ]
    if not all(word.tested for word in record.words):
        parts.append(Sentence("–: derivatives that differ from their mean at a few neurons only tell nothing."))
    return Answer("Freeness of the weights", (Section("", tuple(parts)),))


def _said(record: FreenessTest) -> Sentence:
    if record.free:
        return Sentence("The weights pass: they are as random as predictions need.", "bold")
    names = ", ".join(dict.fromkeys(word.name for word in record.rejected))
    return Sentence(
        f"Not as random as predictions need: {names}. Trust measured spectra, not predicted ones.", "warning"
    )


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
