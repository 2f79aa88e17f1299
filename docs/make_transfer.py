"""docs/transfer.md and docs/transfer.png from the lines of docs/transfer/, which scripts/transfer_*.py wrote."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

from freeness.training.lengths import BY_BATCH, BY_STEPS

DOCS = Path(__file__).resolve().parent
CAP = 3.0  # of a regret in a mean; what diverged counts as this
GROWTH = 8  # of width, or depth, or both
BEYOND = math.erfc(2 / math.sqrt(2)) / 2  # chance of more than two standard errors above, of normal numbers
RULES = {
    "advised": "freeness, as advised",
    "groups": "freeness, by groups",
    "whole": "freeness, one rate",
    "outputs": "one rate by the outputs (1/D)",
    "flerm": "FLeRM, from the first step",
    "mup": "μP",
    "completep": "CompleteP (AdamW, branches)",
    "unchanged": "unchanged",
}
FAMILIES = {
    "MLP": "o",
    "residual MLP": "s",
    "ResNet-BN": "^",
    "GPT": "D",
    "ViT": "v",
    "CNN": "P",
    "Mixer": "X",
    "ReLU MLP": "<",
    "strided CNN": "*",
    "normalised MLP": "p",
    "GRU": "h",
    "ConvNeXt": "d",
    "batch-normalised MLP": "1",
    "post-norm MLP": "2",
    "dense MLP": "3",
    "plain residual MLP": "+",
    "post-norm ViT": "4",
}
NEW = ("GRU", "ConvNeXt", "dense MLP", "plain residual MLP", "post-norm ViT")  # families that nothing was chosen on
LATER = ("normalised MLP", "strided CNN")  # nor on their pairs of both sizes
PLAIN = ("MLP", "ReLU MLP", "CNN", "strided CNN", "GRU", "plain residual MLP")  # without normalisation
FLAT = 1.03  # losses over the least one that count as it, where the middle of an optimum is sought
NEAR = 0.15  # of exponents
COLOURS = {"sgd": "tab:blue", "momentum": "tab:green", "adamw": "tab:orange"}
HEAD = """\
# Tuned small, trained big

The best rate of a small network, carried to one eight times as wide, eight times as deep, or both. It is judged by the training
loss after 150 steps beside the best of a search on the big network itself. [How to use it](howto/transfer.md).

The families (`scripts/transfer_networks.py`) are MLPs: of tanh with orthogonal weights, of ReLU, of ReLU with layer norms, of
tanh with batch normalisation. Residual ones have norms in front or behind. Others are a ResNet with batch normalisation, a GPT,
a ViT, two CNNs without normalisation, a Mixer. The GPT reads letters of Python's own help, the others images of Fashion-MNIST.
They are 16 wide (convolutions 4 or 8) with one or two hidden layers or blocks at first.
Three optimisers: SGD, momentum 0.9, AdamW. The search is of 13 to 16 rates on a grid that becomes finer. Seeds and grid were
fixed before, with one start and one order of batches for all rates of a network. A GRU, a ConvNeXt and a post-norm
ViT stand there as well, which no search has seen whole.
"""
FRESH = """\
## How near each rule comes

The least loss of a search is partly luck: rates beside each other scatter by 1 to 6 %, and of 15 the luckiest is taken. So both
are trained anew, from two other starts and in other orders of batches: the rate that the search had found, and what each rule
tells there (`scripts/transfer_judged.py`). Losses are means of the two, over that of the searched rate.
"""


READING = """\
## How to read this

* **What was chosen where.** On thirty pairs of MLP, residual MLP, ResNet-BN and ViT what starts say became the geometric mean
  of two ways, and neither may exceed the small network's rate. Which of groups and one rate is advised was chosen there too.
  Later it was seen that η_c tells wider networks too low a rate where they missed. So D alone decides where only widths
  differ. Groups keep what the last layer reads, and not the outputs; that was chosen on 18 pairs. On 65 pairs the root of the
  number of neurons came beside the starts. Of these 86 % came within 5 %, and 94 % within 10 %. Of twelve that came later it
  was 58 % of either. They showed that depth is not one thing: chains lost up to 30 %.
* **So layers took the place of neurons.** C was the sum alone at first, L in a chain and √L in a stream: of the 77 pairs 96 %
  came within 10 %. Of 18 pairs that came then 56 % came within 5 %, and 78 % within 10 %. They are of chains of tanh with
  batch normalisation and of post-norm MLPs, and were told too low a rate over depth: all layers agree at one end only. With
  the mean of both ends 16 of the 18 come within 5 %. Nothing in C or in the powers of the width is fitted. That starts are
  left out where something is normalised was seen there. Only pairs that came later judge it: the second table. Most of these are
  of MLPs in which each layer reads all before it, and of residual ones without norms.
* **The bars** were 80 % within 5 % and 95 % within 10 %. Where the rule was chosen the first is met,
  and the second missed by one or two pairs; on what came later as well.
  Nothing that is advised diverged, and its mean is the smallest of all rules where the rule was chosen.
* **Chains with norms** and nothing that skips had been told 3 to 9 times too high a rate over depth, and lost 14 to 30 %. Their
  best rates fall to an eighth and a nineteenth. They are told about a ninth now, and lose at most 3 %. A residual MLP of eight
  times the width and depth had lost 19 % under AdamW, and loses 9 %; a CNN had lost 18 %, and loses 13 %.
* **What still misses.** Wide ReLU MLPs are told 4 to 7 times too low a rate under gradient descent, and lose 30 and 25 %; by
  groups, as advised, 14 and 17 %. Chains of tanh with batch normalisation, eight times as deep, are told a fourteenth.
  With momentum and AdamW the best rates are three tenths and two fifths, and they lose 18 and 31 %. Rates by groups come to
  0.8 of the searched rate's loss there. Of those that came later, MLPs whose layers read all before them lose
  11 % with momentum eight times as wide and deep, and 34 % under AdamW. There the told rate is 4.6 times too high.
* **Other sums do worse**, read between trials where something is normalised (62 pairs). By the sum alone 74 % come within 10 %,
  with the starts beside it 81 %, by the mean of both ends 82 %. Best rates scatter about these by 2.28, 2.13 and 1.98.
  The curvature that is learned in lies between gradients along the weights, as Euler's theorem demands, and gradients that are
  spread over all entries. The middle of both, on 44 pairs, brings 70 %, and scatters by 2.25 where the mean of both ends does
  by 1.68. One random direction tells as much as four.
* **Starts differ by more than what is learned in.** λ_max of a ViT under SGD with momentum is 1.7 at its start, and 7.5 eight
  times as deep. Behind 64 and 149 steps at their best rates it is 12 and 6, and 14 and 14. So the start asks for a rate that
  is too low. One start of each was looked at.
* **Why the CNN failed.** CNN, GPT and Mixer had judged an earlier rule, by which none of the CNN's six pairs came within 10 %.
  The best rate of the small CNN is the critical rate of its start, within a factor of 1.7, where momentum counts in full. In
  other families but the strided CNN η_c is 2.6 to 33 times the rate. So the loss rises first, from 2.5 to 9 (SGD), and the
  curvature falls until the rate is stable. η·λ_max is 16 at the start and 1.3 at the end. In the CNN eight times as wide it
  falls from 42 to 1.1. The deep one begins far below, with a signal that decays: η_c falls from 56 to 2 times its best rate
  within 16 steps. All three learn at about 1.3, wherever they began. So the start is no measure, in either direction.
* **What is done there.** Where a rate, times 1/(1 - momentum), is above half the small network's η_c, it goes as the inverse
  degree of the outputs in all weights. The degree is measured by one forward pass. By Euler's theorem each of k layers has ⟨W,
  ∂f/∂W⟩ = f, and under gradient flow the squared norms of homogeneous layers grow alike. So the curvature that is learned in
  goes as k. The condition holds for the small CNN under all three optimisers, for the strided CNN under SGD and momentum, and
  for no other of the 27 small networks. All six pairs of the CNN that had missed are so named, and besides them four of the
  strided CNN. It was chosen on these six. By the degree five came within 5 %, with layers beside it all six do.
* **Over depth it holds** where nothing was fitted: the strided CNN under SGD and momentum. By the degree alone it came to 1.07
  and 0.93 times the searched rate's loss, where an unchanged rate comes to 2.4 and 2.3. **Over width it did not**: told to
  stay, rates were two and four times the best, and lost 11 and 24 %. By D they would be four and two times too low, and lose
  20 and 15 %. The mean with layers lies between.
* **Plain chains over depth.** Groups of ReLU MLPs and CNNs blew up, whose last layer starts with nearly nothing to read and
  got up to 55 times the small network's rate. None is above it now where nothing is normalised; tanh MLPs do as well with it.
* **It is no smaller change that helps.** Read so, what starts say to the power ½ brings 59 % of 65 pairs within 10 %, and
  to the power ¾ 68 %. The mean with neurons brought 80 %.
* **Other measurements of the start do no better**, read so. D was taken on other samples than the step's, and over their mean
  or spread. It was taken of a step of one batch, of the difference of two batches' steps, and of random ones. In place of D
  they bring 55 to 65 % within 10 %, D itself 64 %. In the mean with neurons it was 76 to 80 % for all of them.
* **Where small networks learn.** At its best rate under SGD each of nine small networks ends at the edge of stability: η·λ_max
  is 0.8 to 2.4 behind 149 steps, 1.1 to 2.4 behind 128. At its start it is 0.5 to 16, and of a Mixer negative. Under AdamW,
  preconditioned, it is 1.1 to 3.1 in the end. So what limits the rate is sharpness that comes with training, and the start
  does not say how much comes. To keep the small network's rate until the big one's η_c comes as near as twice the rate brings
  44 % within 10 %.
* **The interval** is a factor of 2.75 on both sides. Where nothing is normalised, and where the start is no measure, it is 1.5
  times as far. Before, it reached over both ways and beyond: it held the best rate of 121 of 130 starts, and now of 120. In
  the median it was a factor of 24 wide, and is one of 7.6.
* **Wide ReLU MLPs** under gradient descent miss: unchanged rates are as good as a search there, and starts and layers ask
  for a fifth to two fifths. They do not start at the edge, and why they bear so much is open.
* **Tanh chains under gradient descent** miss most by one rate. With orthogonal weights of gain 1 the signal shrinks from layer
  to layer and grows while they learn, so the first step knows little. A rate for each group mends that: there no single rate
  does as well, over depth least of all.
* **Deep networks with batch normalisation** miss by groups, whose features move far in the first step; why is open.
* **η_c scatters** by factors of 2 to 8 between starts of networks that are 4 or 16 wide, D by 20 %. So three starts of the
  small network are averaged here. On the first thirty pairs one rate then came within 30 % in 93 %, from one start in 87 %
  (losses read between trials of the search).
* **Along the small network's training** both ways were measured as well. Averaged over its first 1 to 16 steps, one rate came
  within 30 % in 77 to 80 % of these pairs. The start alone is better, so `transfer` does not train.
* **μP and CompleteP** have a base 16 wide here, and an output layer that starts smaller, beside the best of a search on the
  network as it was. FLeRM's rule sees the first step only, where its authors go on adapting.
* Searches have one start and one order of batches, and 150 steps: the last few per cent are the noise of a run.
"""
HALVES = """\
## What starts say, and what layers say

Change every tensor by the same share of its size, in a random direction: how far do the outputs move, beside themselves? Looked
at is what tells samples apart. Of tensors that agree these movements add up, of independent ones their squares do. C is the
geometric mean of both: L^¾ in a chain of L layers, about L^¼ in a residual stream. What a layer with n neurons gives moves,
relatively, by a power of n between the same two ends ([Everett et al. 2024](https://arxiv.org/abs/2407.05872)). For Adam these
are ½ and 1. For gradients they are 0 and ½ in hidden layers, ½ and 1 in the last. So layers ask for 1/(C n^½) under gradient
descent, and 1/(C n^¾) under AdamW. Starts are η_c and D. Read between the trials of the searches, of pairs on which the rule
was chosen:
"""
LENGTHS = """\
Best rate ∝ steps^a · batch^b, of the MLP and the residual MLP at their smallest, mean of two seeds. Steps go from 75 to 600 at
batch 64, batches from 16 to 256 at 150 steps (`scripts/transfer_length.py`). Rates were √2 apart; the interval is that of the two
families, and half a step beyond. `transfer(…, steps=, batch=)` uses these exponents and says where they are extrapolated.
"""


def lengths() -> list[str]:
    """The exponents that are used."""
    rows = ["| optimiser | a, steps | b, batch |", "|---|---|---|"]
    for name in BY_STEPS:
        told = [f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})" for one in (BY_STEPS[name], BY_BATCH[name])]
        rows.append(f"| {name} | {told[0]} | {told[1]} |")
    return rows


def read(name: str) -> list[dict[str, Any]]:
    """The lines of a store."""
    path = DOCS / "transfer" / name
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def means(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Over seeds, of pairs that have two of them; a rule that lost the numbers once is infinite."""
    by_pair: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_pair.setdefault(line["member"], []).append(line)

    def mean(values: list[float | None]) -> float | None:
        return None if None in values else sum(value for value in values if value is not None) / len(values)

    return [
        {
            "member": member,
            "best": mean([one["best"] for one in both]),
            "losses": {rule: mean([one["losses"][rule] for one in both]) for rule in both[0]["losses"]},
        }
        for member, both in by_pair.items()
        if len(both) == 2
    ]


def two_tables(lines: list[dict[str, Any]]) -> list[str]:
    """What was there when the rule was chosen, and what came later."""
    later = [line for line in lines if unseen(line["member"])]
    return [
        "Pairs on which the rule was chosen:\n",
        *table([line for line in lines if not unseen(line["member"])]),
        *(["\nPairs that came later:\n", *table(later)] if later else []),
        "",
    ]


def regrets(lines: list[dict[str, Any]], rule: str) -> np.ndarray:
    """Loss over the best of the search, infinite where a run left the numbers."""
    found = [line["losses"][rule] for line in lines if rule in line["losses"]]
    bests = [line["best"] for line in lines if rule in line["losses"]]
    return np.array([math.inf if loss is None else loss / best for loss, best in zip(found, bests, strict=True)])


def table(lines: list[dict[str, Any]]) -> list[str]:
    """One row a rule."""
    rows = [
        "| rule | pairs | within 5 % | within 10 % | within 30 % | median | mean, at most 3 |",
        "|---|---|---|---|---|---|---|",
    ]
    for rule, name in RULES.items():
        found = regrets(lines, rule)
        if len(found):
            within = " | ".join(f"{np.mean(found <= 1 + share):.0%}" for share in (0.05, 0.1, 0.3))
            mean = np.minimum(found, CAP).mean()
            rows.append(f"| {name} | {len(found)} | {within} | {np.median(found):.3f} | {mean:.3f} |")
    return rows


def pairs(lines: list[dict[str, Any]]) -> list[str]:
    """One row a pair: loss over the best, by rule."""
    shown = [rule for rule in RULES if len(regrets(lines, rule))]
    rows = ["| big network | " + " | ".join(RULES[rule] for rule in shown) + " |", "|---|" + "---|" * len(shown)]
    for line in lines:
        cells = []
        for rule in shown:
            loss = line["losses"].get(rule, math.nan)
            ratio = math.inf if loss is None else loss / line["best"]
            cells.append("" if math.isnan(ratio) else f"{ratio:.2f}" if ratio < 100 else "diverged")
        rows.append(f"| {line['member']} | " + " | ".join(cells) + " |")
    return rows


def picture(lines: list[dict[str, Any]], best: dict[str, float]) -> None:
    """Carried beside found rates, of each start; and how many pairs each rule brings how near."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), constrained_layout=True)
    for line in lines:
        rest = line["member"].rpartition(" width")[0].rpartition(" ")[2]
        ratio = line["whole"] / line["rate"], best[line["member"]] / line["rate"]
        left.plot(*ratio, FAMILIES[family_of(line["member"])], color=COLOURS[rest], markersize=6)
    ends = [0.01, 3]
    left.plot(ends, ends, "k-", linewidth=1, label="carried = best")
    left.set(
        xscale="log",
        yscale="log",
        xlabel="carried rate / rate of the small network",
        ylabel="best rate of the big network / rate of the small one",
    )
    there = {family_of(line["member"]) for line in lines}
    for family, marker in ((family, marker) for family, marker in FAMILIES.items() if family in there):
        left.plot([], [], marker, color="0.4", label=family)
    for optimizer, colour in COLOURS.items():
        left.plot([], [], "-", color=colour, label=optimizer)
    left.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for rule, name in RULES.items():
        found = np.sort(np.minimum(regrets(means(lines), rule), 10))
        if len(found):
            right.step(found, np.arange(1, len(found) + 1) / len(found), where="post", label=name)
    right.set(
        xscale="log",
        xlim=(0.8, 3),
        ylim=(0, 1),
        xlabel="loss / loss of the searched rate",
        ylabel="share of pairs that come so near",
    )
    right.set_xticks([0.8, 1, 1.1, 1.3, 2, 3], ["0.8", "1", "1.1", "1.3", "2", "3"])
    right.minorticks_off()
    right.axvline(1.05, color="0.5", linewidth=1, linestyle=":", label="5 % above the best")
    right.legend(fontsize=7)
    figure.savefig(DOCS / "transfer.png", dpi=120)


def spread(lines: list[dict[str, Any]], best: dict[str, float]) -> str:
    """Where the best rate lies beside the carried one."""
    ratios = np.array([best[line["member"]] / line["whole"] for line in lines])
    agreed = sum(line["verdict"] != "uncertain" for line in lines)
    inside = sum(line["interval"][0] <= best[line["member"]] <= line["interval"][1] for line in lines)
    low, centre, high = np.quantile(ratios, [0.05, 0.5, 0.95])
    return (
        f"Of {len(lines)} starts of big networks the best rate was {centre:.2f} times the one rate in the median, and\n"
        f"{low:.2f} to {high:.2f} times in nine of ten. It lay in the interval in {inside}; in {agreed} the ways agreed."
    )


def unseen(member: str) -> bool:
    """Whether a pair was trained after the rule was chosen."""
    family = family_of(member)
    return family in NEW or (family in LATER and member.endswith("width×8 depth×8"))


def both_halves(lines: list[dict[str, Any]], best: dict[str, float]) -> str:
    """What starts say and what layers say, each alone and as their mean, read between the trials of the searches."""
    normed = [line for line in lines if family_of(line["member"]) not in PLAIN]
    plain = [line for line in lines if family_of(line["member"]) in PLAIN]
    rows = [
        "| one rate | within 5 % | within 10 % | within 30 % | scatter about the best rate |",
        "|---|---|---|---|---|",
    ]
    weights = []
    for kind, chosen, told in (("normalised", normed, "layers"), ("plain", plain, "mean of both")):
        ways, wanted = ways_of(chosen), np.array([math.log(best[line["member"]]) for line in chosen])
        for name, rates in ways.items():
            within = " | ".join(f"{share:.0%}" for share in near(chosen, rates))
            scatter = math.exp(np.sqrt(np.mean((rates - wanted) ** 2)))
            rows.append(f"| {kind}: {name}{', as told' if name == told else ''} | {within} | ×{scatter:.2f} |")
        found = left_out(chosen, ways, wanted)
        weights.append(f"{min(found):.2f} to {max(found):.2f}")
    rows.append(
        f"\nWhichever family is left out, the best weight of the starts is {weights[0]} where something is normalised,\n"
        f"and {weights[1]} where nothing is."
    )
    return "\n".join(rows)


def ways_of(lines: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Logarithms of the rates by each way, none above the small network's."""
    rates = np.log([line["rate"] for line in lines])
    starts = np.log([line["starts"] for line in lines])
    layers = np.minimum(np.log([line["layers"] for line in lines]), 0.0)
    neurons = 0.5 * np.log([line["neurons"][0] / line["neurons"][1] for line in lines])
    named = {"starts": starts, "layers": layers, "mean of both": (starts + layers) / 2}
    return {name: rates + way for name, way in (named | {"mean of starts and neurons": (starts + neurons) / 2}).items()}


def left_out(lines: list[dict[str, Any]], ways: dict[str, np.ndarray], wanted: np.ndarray) -> list[float]:
    """The weight of the starts beside layers that comes nearest to the best rates, a family left out at a time."""
    families = np.array([family_of(line["member"]) for line in lines])
    weights = np.linspace(0, 1, 21)
    missed = np.array([(w * ways["starts"] + (1 - w) * ways["layers"] - wanted) ** 2 for w in weights])
    return [weights[np.argmin(missed[:, families != family].mean(1))] for family in dict.fromkeys(families)]


def middles(name: str) -> dict[str, float]:
    """Of every network of a store of searches the logarithm of the middle of its flat optimum."""
    return {line["member"]: middle(line["trials"]) for line in read(name)}


def middle(trials: list[list[float | None]]) -> float:
    """Of the rates around the best whose losses, interpolated, are about the least one."""
    rates = np.log([rate or math.nan for rate, _ in trials])
    losses = np.log([loss or 1e3 for _, loss in trials])
    best, bar = int(np.argmin(losses)), losses.min() + math.log(FLAT)
    ends = []
    for order in (slice(best, None, -1), slice(best, None)):
        beyond = np.flatnonzero(losses[order] > bar)
        if not len(beyond):
            ends.append(rates[order][-1])
            continue
        k = beyond[0]
        ends.append(np.interp(bar, losses[order][k - 1 : k + 1], rates[order][k - 1 : k + 1]))
    return float(np.mean(ends))


def exponents(lines: list[dict[str, Any]]) -> str:
    """Told beside fitted exponents of the growth, of pairs and of families; and those of a second search."""
    growing = [line for line in lines if not line["member"].endswith("width×8 depth×8")]
    told: dict[str, list[float]] = {}
    for line in growing:
        told.setdefault(line["member"], []).append(math.log(line["whole"] / line["rate"]) / math.log(GROWTH))
    first, second = (fitted(middles(name)) for name in ("sweeps.jsonl", "seeds.jsonl"))
    pairs = {member: (float(np.mean(both)), first[member]) for member, both in told.items()}
    again = {member: (second[member], first[member]) for member in second if member in first}
    (off, by_told), (noise, by_again) = (
        (np.array([one - other for one, other in found.values()]), by_family(found)) for found in (pairs, again)
    )
    of_pairs, of_families = (f"{np.mean(np.abs(found) <= NEAR):.0%} of {len(found)}" for found in (off, by_told))
    text = (
        f"Told exponents of the growth are within {NEAR} of fitted ones in {of_pairs} pairs over width or\n"
        f"depth, and in {of_families} families, as optimisers' means. Fitted is the middle of the rates within\n"
        f"{FLAT - 1:.0%} of the least loss. Told ones scatter about these by {np.sqrt(np.mean(off**2)):.2f}."
    )
    if not len(noise):
        return text
    again_near, searched = (f"{np.mean(np.abs(found) <= NEAR):.0%} of {len(found)}" for found in (noise, by_again))
    return (
        f"{text} A second search, from other starts and in\nother orders of batches, is within {NEAR} of the first in "
        f"{again_near} pairs, and in {searched} families.\n"
        f"Exponents of one search scatter by {np.sqrt(np.mean(noise**2) / 2):.2f}.\n"
        "To be there in 80 % of pairs asks for more than a second search gives."
    )


def fitted(middles: dict[str, float]) -> dict[str, float]:
    """The exponents of those networks whose smallest has been searched as well."""
    found = {}
    for member, here in middles.items():
        small = f"{member.rpartition(' width')[0]} width×1 depth×1"
        if small in middles and member != small and not member.endswith("width×8 depth×8"):
            found[member] = (here - middles[small]) / math.log(GROWTH)
    return found


def by_family(pairs: dict[str, tuple[float, float]]) -> np.ndarray:
    """Differences of the means over optimisers."""
    found: dict[tuple[str, str], list[float]] = {}
    for member, (one, other) in pairs.items():
        found.setdefault((family_of(member), member.rpartition(" width")[2]), []).append(one - other)
    return np.array([np.mean(differences) for differences in found.values()])


def near(lines: list[dict[str, Any]], logs: np.ndarray) -> list[float]:
    """Which share of rates comes within 5, 10 and 30 % of the least loss, read between the trials of the searches."""
    trials = {line["member"]: line["trials"] for line in read("sweeps.jsonl")}
    found = []
    for line, log in zip(lines, logs, strict=True):
        rates, losses = zip(*((math.log(rate), loss or 1e3) for rate, loss in trials[line["member"]]), strict=True)
        found.append(np.interp(log, rates, np.log(losses)) - np.log(losses).min())
    return [float(np.mean(np.array(found) <= math.log(1 + bar))) for bar in (0.05, 0.1, 0.3)]


def family_of(member: str) -> str:
    """The name of the family in that of a network."""
    return member.rpartition(" width")[0].rpartition(" ")[0]


def advised(line: dict[str, Any]) -> float:
    """Loss over that of the searched rate, of what is advised."""
    loss = line["losses"]["advised"]
    return math.inf if loss is None else loss / line["best"]


def noise(lines: list[dict[str, Any]]) -> str:
    """What two seeds of one pair tell of the misses."""
    by_pair: dict[str, list[float]] = {}
    for line in lines:
        by_pair.setdefault(line["member"], []).append(advised(line))
    both = np.array([pair for pair in by_pair.values() if len(pair) == 2])
    single = math.sqrt(np.mean(np.diff(np.log(both))[:, 0] ** 2) / 2)
    mean = both.mean(1)
    beyond = 1 + 2 * single / math.sqrt(2)
    missed, sure = np.sum(mean > 1.05), np.sum(mean > beyond)
    sides = sum(min(pair) <= 1.05 for pair in both if np.mean(pair) > beyond)
    return (
        f"A ratio of two such losses scatters by {single:.1%} between seeds, the mean of two by {single / math.sqrt(2):.1%}\n"
        f"(as advised, {len(both)} pairs). Beyond 5 % are {missed} pairs, and {sure} of them beyond {beyond - 1:.1%}, which is\n"
        f"twice that error. Seeds alone would bring about {len(both) * BEYOND:.1f}, so most of these are told a wrong rate.\n"
        f"In {sides} of them one seed is within 5 %, so which they are is not sure."
    )


def verdicts(lines: list[dict[str, Any]]) -> str:
    """How often "uncertain" is said, and of what."""
    missed, near = [], []
    for line in lines:
        (missed if advised(line) > 1.05 else near).append(line["verdict"] == "uncertain")
    return (
        f'The verdict is "uncertain" in {sum(missed)} of the {len(missed)} starts beyond 5 %, and in {sum(near)} of\n'
        f"the {len(near)} others. It says that the ways disagree, and hardly where the rate is wrong."
    )


def main() -> None:
    """Write both."""
    lines = read("judged.jsonl")
    for line in lines:
        line["losses"]["advised"] = line["losses"]["groups" if line["advised"] == "groups" else "whole"]
    best = {line["member"]: line["rate"] for line in read("sweeps.jsonl")}
    judged = means(lines)
    picture(lines, best)
    parts = [
        HEAD,
        f"**{len(judged)} pairs so far**; `scripts/transfer_sweep.py` and `scripts/transfer_judged.py` go on where they ended.\n",
        "![Carried beside best rates, and shares of pairs by how near each rule comes](transfer.png)\n",
        FRESH,
        *two_tables(judged),
        f"{noise(lines)}\n",
        f"{verdicts(lines)}\n",
        f"{spread(lines, best)}\n",
        exponents(lines),
        "",
        HALVES,
        both_halves([line for line in lines if not unseen(line["member"])], best),
        "",
        READING,
        "## Length and batch\n",
        LENGTHS,
        *lengths(),
        "",
        "## Every pair\n\nLoss over that of the searched rate; below 1 where rates by group do what no single rate does.\n",
        *pairs(judged),
        "",
    ]
    (DOCS / "transfer.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
