"""An analysis: layers, spectra, freeness of the weights, verdict and learning rate."""

from __future__ import annotations

import re
from collections.abc import Sequence

from freeness.advice import CODE, NOT_ASKED, Analysis, Comparison, FreenessOutcome, LayerRow, ModuleRow, Verdict
from freeness.show.answer import (
    NOTHING,
    Answer,
    Part,
    Section,
    Sentence,
    Table,
    answer_of,
    brief_of,
    number,
    percent,
)
from freeness.show.answers.spectrum import COLUMNS, change, spectrum_table, top_told
from freeness.show.pointmass import heaviest
from freeness.spectra import Word
from freeness.training import Rate

_LAYERS = "Layers on the batch: measured beside theory"
_CHAINED = 2  # operations of an activation that are all named
_NAME = re.compile(r"'[^']*'")
_KINDS = 6  # of operation that are named in one sentence
_SHOWN = 15  # modules at either end that are shown
_ALWAYS = 5  # columns of the chain's table that every network has
_THEORY = (3, 5)  # columns of the layers' table that are theory
_PERCENT = 0.01
_PLUS_MINUS = "± is how far one random network of these widths scatters about theory (standard deviation)."


@answer_of.register
def _(record: Analysis) -> Answer:
    chain = (Section("Weight layers at the sample", (chain_table(record),)),) if record.chain else ()
    return Answer(
        record.title,
        (
            _opening(record),
            *_layers(record),
            *chain,
            *(_spectrum(name, comparison) for name, comparison in _spectra(record)),
            Section("Freeness of the weights: measured", _freeness(record)),
            Section("Verdict", tuple(Sentence(sentence, "point") for sentence in record.verdict.sentences)),
            *_missing(record),
        ),
    )


@brief_of.register
def _(record: Analysis) -> Answer:
    """Whether it trains, the start, the rate; a few numbers beside theory; the layers where one of them is at fault."""
    fault, departure = record.fault, record.layers.departure
    apart = (Sentence(departure, "warning"),) if departure else ()
    layers = (Section(_LAYERS, (*apart, *_table(record))),) if departure or (fault and fault.grave) else ()
    few, around = _few(record), _around(record)
    return Answer(
        record.title,
        (
            _opening(record),
            *([Section("Predicted beside measured", (few, *around))] if few.rows else []),
            *layers,
            *_missing(record),
        ),
    )


@answer_of.register
def _(record: Verdict) -> Answer:
    title = ", ".join(word for word in (record.phase or "phase not determined", record.isometry) if word)
    said = [Sentence(sentence, "point") for sentence in record.sentences]
    warned = [Sentence(warning, "warning") for warning in record.warnings]
    return Answer(title.capitalize(), (Section("", (*said, *_advised(record.advice), *warned)),))


@answer_of.register
def _(record: Rate) -> Answer:
    title = f"Learning rate for {record.loss}, {record.optimizer}, batches of {record.batch}"
    return Answer(title, (Section("", tuple(_rate(record))),))


def _spectra(record: Analysis) -> tuple[tuple[str, Comparison], ...]:
    return (("Jacobian JJᵀ", record.jacobian), ("Fisher dual Θ", record.fisher))


def _opening(record: Analysis) -> Section:
    """What a reader came for: whether it trains, what to change, the rate; then what speaks against trusting it."""
    weights = f"; weights: {record.weights}" if record.weights else ""
    facts = f"{record.parameters:,} parameters; data: {record.data}; sample {record.sample}{weights}"
    rate = record.learning_rate
    trained = Sentence(f"The rate is for {rate.optimizer} on {rate.loss}, in batches of {rate.batch}.", "point")
    return Section(
        "",
        (
            Sentence(facts),
            Sentence(record.headline, "strong"),
            *_changes(record),
            *_rate(rate),
            *([trained] if rate.known else []),
            *(Sentence(warning, "warning") for warning in record.verdict.warnings),
            *([Sentence(record.freeness.sentence, "warning")] if record.freeness.status == "not free" else []),
            *_uncovered(record),
        ),
    )


def _changes(record: Analysis) -> list[Sentence]:
    advice = record.verdict.advice
    if not advice and record.judged and not (record.fault is not None and record.fault.found):
        advice = ("Nothing to change: keep this initialisation.",)
    return _advised(advice)


def _advised(advice: Sequence[str]) -> list[Sentence]:
    return [
        Sentence(line.removeprefix(CODE), "code") if line.startswith(CODE) else Sentence(line, "change")
        for line in advice
    ]


def _uncovered(record: Analysis) -> list[Sentence]:
    known = record.jacobian.predicted is not None, record.fisher.predicted is not None
    part = "Covered in part" if all(known) else "No theory of Θ" if known[0] else "Not covered by theory"
    kinds: dict[str, list[str]] = {}
    alone = {record.jacobian.reason, record.fisher.reason} - {""}
    for line in record.uncovered:  # reasons that name other tensors are one
        kinds.setdefault(line if line in alone else _NAME.sub("''", line.partition(": ")[2]), []).append(line)
    if len(kinds) == 1 and alone == set(kinds) and not any(known):
        return [_lacking(f"No prediction of spectra: {record.uncovered[0]}")]
    return [Sentence(f"{part}: {_together(lines)}", "warning") for lines in kinds.values()]


def _together(lines: list[str]) -> str:
    """Kinds of operation that share a reason; where each stands is said of a single one, and of all in the details."""
    if len(lines) == 1:
        return lines[0]
    names = list(dict.fromkeys(line.partition(" in ")[0] for line in lines))
    more = f" and {len(names) - _KINDS} more" * (len(names) > _KINDS)
    reasons = list(dict.fromkeys(line.partition(": ")[2] for line in lines))
    alike = f", and {len(reasons) - 1} more like it" * (len(reasons) > 1)
    return f"{', '.join(names[:_KINDS])}{more}: {reasons[0]}{alike}"


def _few(record: Analysis) -> Table:
    """Mean and largest eigenvalue of both spectra, and the signal and gradient at their ends."""
    known: list[tuple[str, float | None, float | None]] = []
    told: dict[str, str] = {}
    for symbol, comparison in _spectra(record):
        mean, _, top = comparison.numbers
        names = f"{symbol}: mean", f"{symbol}: largest eigenvalue"
        known += [(names[0], mean[1], mean[2]), (names[1], top[1], top[2])]
        if comparison.predicted is not None:
            scatter = comparison.predicted.finite_width_error
            told |= {names[0]: _scattered(mean[1], scatter, 4), names[1]: top_told(comparison.predicted)}
    trained = [row for row in record.layers if row.trained]
    if trained:
        first, last = trained[0], next((row for row in reversed(trained) if row.signal is not None), trained[-1])
        known += [
            ("Signal of the last layer, mean square", last.signal_predicted, last.signal),
            ("Squared gradient of the first layer", first.gradient_predicted, first.gradient),
        ]
        for (name, theory, _), scatter in zip(known[-2:], (last.signal_scatter, first.scatter), strict=True):
            told[name] = _scattered(theory, scatter, 4)
    rows = [
        (name, told.get(name, number(theory)), number(seen), change(seen, theory))
        for name, theory, seen in known
        if theory is not None or seen is not None
    ]
    if all(theory is None for _, theory, _ in known):
        return Table(("", "measured"), tuple((name, seen) for name, _, seen, _ in rows), ("measured",))
    return Table(("", *COLUMNS), tuple(rows), COLUMNS)


def _lacking(said: str) -> Sentence:
    """Why something is not there; what nobody asked for is no reason for a warning."""
    return Sentence(said, "plain" if NOT_ASKED in said else "warning")


def _missing(record: Analysis) -> list[Section]:
    lines = tuple(Sentence(line, "warning") for line in record.missing)
    return [Section("Missing", lines)] if lines else []


def _spectrum(name: str, comparison: Comparison) -> Section:
    if comparison.measured is not None:
        return Section(f"{name}: predicted beside measured", (spectrum_table(comparison),))
    missing = _lacking(f"Not measured: {comparison.missing}.")
    known = () if comparison.predicted is None else (spectrum_table(comparison),)
    return Section(f"{name}: predicted", (missing, *known))


def _freeness(record: Analysis) -> tuple[Part, ...]:
    outcome: FreenessOutcome = record.freeness
    table = freeness_table(record)
    said = Sentence(outcome.sentence, "warning" if outcome.status == "not free" else "point")
    return (table, said) if table.rows else (said,)


def _rate(rate: Rate) -> list[Part]:
    if not rate.known:
        return [_lacking(rate.reason)]
    between = f", between {number(rate.low, 3)} and {number(rate.high, 3)}" if rate.wide else ""
    return [
        Sentence(f"Learning rate to start from: {number(rate.recommended, 3)}{between}.", "strong"),
        Sentence(rate.reason, "point"),
        *([Sentence(rate.trials, "code")] if rate.trials else []),
    ]


def _layers(record: Analysis) -> tuple[Section, ...]:
    """What every module with weights does on the batch, and where the fault is."""
    if record.fault is None:
        return ()
    said = Sentence(record.fault.sentence, "strong" if record.fault.place is None else "warning")
    told = record.layers.departure
    apart = (Sentence(told, "warning"),) if told else ()
    return (Section(_LAYERS, (said, *apart, *_table(record), *_around(record))),)


def _table(record: Analysis) -> tuple[Part, ...]:
    """The table of layers, and what its ± means where it has one."""
    table = layer_table(record)
    scattered = any("±" in cell for row in table.rows for cell in row)
    return (table, Sentence(_PLUS_MINUS, "point")) if scattered else (table,)


def _around(record: Analysis) -> tuple[Sentence, ...]:
    """What realised predictions of gradients rest on, or why nothing is predicted of layers."""
    if record.layers.refused and record.layers.refused not in record.uncovered:
        return (Sentence(f"No prediction of the layers: {record.layers.refused}", "warning"),)
    return (Sentence(record.layers.assumption, "point"),) if record.layers.assumption else ()


# --- tables -------------------------------------------------------------------------------------------------------


def freeness_table(analysis: Analysis) -> Table:
    """One row a weight matrix and the derivatives D_l = φ'(h^l) beside it: the word with the largest score, measured.

    Without rows where the test was left out.
    """
    test = analysis.freeness.test
    labels = {row.name: row for row in analysis.chain}
    rows = [_pair(word, labels.get(word.name)) for word in (test.strongest if test else ())]
    return Table(("weights", "derivatives", "strongest word", "score", "verdict"), tuple(rows), ("score",))


def _pair(word: Word, row: LayerRow | None) -> tuple[str, ...]:
    beside = "" if row is None else f"D{row.index - 1}" + (f", D{row.index}" if row.activation else "")
    label = word.name if row is None else _label(row)
    if not word.tested:
        return (label, beside, NOTHING, NOTHING, "too few neurons differ")
    return (label, beside, word.word, f"{word.score:.1f}", "free" if word.free else "not free")


def layer_table(analysis: Analysis) -> Table:
    """One row a module with weights: mean square of its output and squared loss gradient of its weights, in theory and measured.

    Beside each prediction stands the scatter of one network, in percent. Of many modules the first and last, and those between
    that depart from theory, which are flagged. Columns of theory are left out where it has nothing to say.
    """
    named = "realised" if analysis.layers.around else "theory "
    header = ("layer", "kind", "signal", "theory", "gradient", named, "gradient / weight")
    told = (
        any(row.signal_predicted is not None for row in analysis.layers),
        any(row.gradient_predicted is not None for row in analysis.layers),
    )
    kept = [place for place in range(len(header)) if place not in _THEORY or told[_THEORY.index(place)]]
    rows = list(analysis.layers)
    shown = [number for number, row in enumerate(rows) if not _SHOWN <= number < len(rows) - _SHOWN or row.departs]
    lines, flagged, before = [], [], -1
    for place in shown:
        if place > before + 1:
            lines.append((f"{place - before - 1} more", *[NOTHING] * (len(header) - 1)))
        if rows[place].departs:
            flagged.append(len(lines))
        lines.append(_module(rows[place]))
        before = place
    names = tuple(header[place] for place in kept)
    return Table(names, tuple(tuple(line[p] for p in kept) for line in lines), names[2:], tuple(flagged))


def _module(row: ModuleRow) -> tuple[str, ...]:
    ratio = max((tensor.ratio for tensor in row.tensors if tensor.weight > 0), default=None)
    gradient = row.gradient if row.trained else None
    told = _scattered(row.signal_predicted, row.signal_scatter), _scattered(row.gradient_predicted, row.scatter)
    return (
        row.name or NOTHING,
        row.kind,
        number(row.signal, 3),
        told[0],
        number(gradient, 3),
        told[1],
        number(ratio, 3),
    )


def _scattered(value: float | None, scatter: float | None, digits: int = 3) -> str:
    """A prediction, and by which share one network is off."""
    if value is None or scatter is None:
        return number(value, digits)
    return f"{number(value, digits)} ± {f'{scatter:.0%}' if scatter >= _PERCENT else '<1%'}"


def chain_table(analysis: Analysis) -> Table:
    """One row a weight layer: its size, weights, the signals q̂, q, φ, χ₁, δ, and the atoms of D² = φ'(h)².

    Of these last four only those that some layer has.
    """
    header = (
        "layer",
        "size",
        "weights, σ_w",
        "input q̂",
        "signal q",
        "activation",
        "gain χ₁",
        "spread δ",
        "D² at its atoms",
    )
    rows = [_layer(row) for row in analysis.chain]
    kept = [place for place in range(len(header)) if place < _ALWAYS or any(row[place] != NOTHING for row in rows)]
    return Table(tuple(header[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows))


def _label(row: LayerRow) -> str:
    return str(row.index) if not row.name or row.name.isdigit() else f"{row.index} {row.name}"


def _function(name: str | None) -> str:
    """The activation; of a long chain of torch's operations the last and the first that runs."""
    parts = (name or NOTHING).split("∘")
    return "∘".join(parts) if len(parts) <= _CHAINED else f"{parts[0]}∘…∘{parts[-1]}"


def _layer(row: LayerRow) -> tuple[str, ...]:
    return (
        _label(row),
        f"{row.fan_in}→{row.fan_out}",
        f"{row.weights} {number(row.sigma_w, 3)}",
        number(row.qhat, 3),
        number(row.q, 3),
        _function(row.activation),
        number(row.chi, 3),
        number(row.delta, 3),
        ", ".join(f"{percent(atom.mass)} at {number(atom.position, 3)}" for atom in heaviest(row.atoms)) or NOTHING,
    )
