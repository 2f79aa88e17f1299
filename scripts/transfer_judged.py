"""Rates carried to the big networks of scripts/transfer_sweep.py by several rules, judged: ``python scripts/transfer_judged.py``.

Every rule sees the rate that was best for the smallest network of the family. A line of JSON a big network and seed holds, for
each rule, the loss after all steps. The big networks start from other seeds than in sweeps.jsonl and see other batches, and the
rate that the search found is trained anew beside the rules: the least loss of a noisy search is no rule's to reach. With
``--again`` ours are told anew in every line, and what is told otherwise now is trained. Rules: the rate unchanged; ours as a
whole, and by groups, from three starts of the smallest network; 1/D, D the movement of the outputs by the first step; μP with its
smaller output layer; the exponents of CompleteP, with branches over depth (Adam); FLeRM's, tensor by tensor, from the first step.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from itertools import product
from typing import Any

import torch
from torch import nn

from freeness.torch import Transfer, transfer
from freeness.torch.rate.critical import OptimizerFactory, gradients_step
from freeness.torch.rate.first_step import StepOptions, first_step, optimizer_factory
from freeness.torch.request.batch import Batch
from freeness.torch.start.roles import GroupRole, neurons
from transfer_networks import Added, Member, members
from transfer_sweep import read, rewrite, write
from transfer_training import DECAY, Rates, Runs

STARTS = 3  # of the smallest network
_SAME = 0.1  # relative difference of rates up to which they are one: half a step of the finest grid of a search
FRESH = (1, 2)  # seeds of big networks that no search has seen
_SHORT = {"sgd": 1e-3, "momentum": 1e-3, "adamw": 1e-5}


def optimizer_of(member: Member) -> str | OptimizerFactory:
    """As the runs have it."""
    if member.optimizer != "adamw":
        return member.optimizer
    return lambda parameters: torch.optim.AdamW(parameters, 1e-3, weight_decay=DECAY)


def first_batch(member: Member) -> Batch:
    """The first samples, as many as a step has."""
    x, y = member.kind.data()
    size = 4 * member.kind.batch  # as transfer looks at
    return Batch((x[:size],), targets=y[:size], count=size, size=member.kind.batch)


def ours(member: Member, told: Transfer, seed: int) -> dict[str, tuple[nn.Module, Rates]]:
    """The whole rate, the groups', that by 1/D, and the rate unchanged."""
    big = member.started(seed)
    names = [name for name, _ in big.named_parameters()]
    by_name = {name: part.rate for part in told.parts for name in part.names}
    outputs = told.given * told.outputs[0] / told.outputs[1]
    return {
        "whole": (big, dict.fromkeys(names, told.rate)),
        "groups": (big, {name: by_name[name] for name in names}),
        "outputs": (big, dict.fromkeys(names, outputs)),
        "unchanged": (big, dict.fromkeys(names, told.given)),
    }


def _roles(member: Member) -> dict[str, GroupRole]:
    with first_step(member.started(), first_batch(member), StepOptions("cross_entropy")) as step:
        return dict(step.roles)


def mup(member: Member, rate: float, seed: int, completed: bool = False) -> tuple[nn.Module, Rates]:
    """Yang et al. 2022, table 3, with the smallest network as base; with CompleteP's branches over depth (Dey et al. 2025).

    Under gradient descent input layer and vectors get the rate times the growth of the width, the output layer divided by it;
    under Adam hidden and output layers divided by it. The output layer starts smaller by its root.
    """
    model, roles = member.started(seed), _roles(member)
    grown = float(member.wider)
    shares = (
        {"hidden": 1 / grown, "output": 1 / grown}
        if member.optimizer == "adamw"
        else {"input": grown, "embeddings": grown, "norms and biases": grown, "output": 1 / grown}
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if roles[name] == "output":
                parameter.div_(math.sqrt(grown))
    if completed:
        for module in model.modules():
            if isinstance(module, Added):
                module.scale /= member.deeper
    return model, {name: rate * shares.get(role, 1.0) for name, role in roles.items()}


def flerm(member: Member, rate: float, seed: int) -> tuple[nn.Module, Rates]:
    """Milsom, Anson, Aitchison 2025, from the first step: each tensor moves the outputs as in the small network.

    A tensor of a deeper network stands for that at the same share of the depth, and the tensors that share one share its
    movement equally.
    """
    there, here = _movements(member.small, seed), _movements(member, seed)
    small, big = list(there), list(here)
    partner = {name: _partner(name, member, small) for name in big}
    sharing = {name: sum(other == name for other in partner.values()) for name in small}
    rates = {name: rate * there[partner[name]] / sharing[partner[name]] / max(here[name], 1e-12) for name in big}
    return member.started(seed), rates


def _partner(name: str, member: Member, small: list[str]) -> str:
    """The name in the small network: numbers of blocks, or of layers of a chain, divided by the growth in depth."""
    if name in small and member.deeper == 1:
        return name
    kinds = [[part for part in one.split(".") if not part.isdigit()] for one in (name, *small)]
    alike = [one for one, kind in zip(small, kinds[1:], strict=True) if kind == kinds[0]]
    order = [one for one in _names(member) if [p for p in one.split(".") if not p.isdigit()] == kinds[0]]
    return alike[order.index(name) * len(alike) // len(order)]


def _names(member: Member) -> list[str]:
    return [name for name, _ in member.started().named_parameters()]


def _movements(member: Member, seed: int) -> dict[str, float]:
    """Root mean square change of the outputs per unit rate along each tensor's first step, by differences."""
    model, batch = member.started(seed), first_batch(member)
    named = dict(model.named_parameters())
    outputs = batch.outputs(model)
    loss = nn.functional.cross_entropy(outputs.flatten(0, -2), batch.targets.flatten())
    slopes = torch.autograd.grad(loss, list(named.values()))
    given = optimizer_factory(optimizer_of(member))
    steps = dict(zip(named, gradients_step(list(named.values()), slopes, given), strict=True))
    start = {name: value.detach() for name, value in named.items()}
    short = _SHORT[member.optimizer]

    def moved(name: str) -> float:
        pushed = start | {name: start[name] + short * steps[name]}
        change = torch.func.functional_call(model, pushed, batch.args) - outputs
        return float(change.double().square().mean().sqrt()) / short

    with torch.no_grad():
        return {name: moved(name) for name in named}


def still_told(line: Mapping[str, Any], told: Transfer) -> dict[str, float | None]:
    """Losses of a line, without those of what is told otherwise now."""
    parts = {part.role: part.rate for part in told.parts}
    same = {
        "whole": math.isclose(line["whole"], told.rate, rel_tol=_SAME),
        "groups": all(math.isclose(line["groups"][role], rate, rel_tol=_SAME) for role, rate in parts.items()),
    }
    return {"search": line["best"]} | {rule: loss for rule, loss in line["losses"].items() if same.get(rule, True)}


def judged(
    member: Member, seed: int, rate: float, searched: float, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Loss by rule and of the rate that a search found, and what ours said.

    ``before``: a line whose losses are kept where rates are the same.
    """
    told = transfer(
        [member.small.started(seed) for seed in range(STARTS)],
        member.started(seed),
        rate,
        first_batch(member),
        loss="cross_entropy",
        optimizer=optimizer_of(member),
    )
    found = ours(member, told, seed)
    found["search"] = (member.started(seed), dict.fromkeys(found["whole"][1], searched))
    found["mup"] = mup(member, rate, seed)
    if member.optimizer == "adamw" and any(isinstance(part, Added) for part in member.started().modules()):
        found["completep"] = mup(member, rate, seed, completed=True)
    losses = dict[str, float | None]() if before is None else still_told(before, told)
    if "flerm" not in losses:
        found["flerm"] = flerm(member, rate, seed)
    found = {rule: one for rule, one in found.items() if rule not in losses}
    plain = {name: rates for name, (_, rates) in found.items() if name not in ("mup", "completep")}
    trained = dict(zip(plain, Runs(member, seed).losses(list(plain.values())), strict=True))
    for name in found.keys() - plain.keys():
        model, rates = found[name]
        trained[name] = Runs(member, seed, model).losses([rates])[0]
    losses |= {name: loss if math.isfinite(loss) else None for name, loss in trained.items()}
    return {
        "member": member.key,
        "seed": seed,
        "best": losses.pop("search"),
        "rate": rate,
        "whole": told.rate,
        "outputs": rate * told.outputs[0] / told.outputs[1],
        "starts": told.asked[0],
        "layers": told.asked[1],
        "neurons": [sum(neurons(one.started(), _roles(one))) for one in (member.small, member)],
        "groups": {part.role: part.rate for part in told.parts},
        "verdict": told.verdict,
        "advised": told.advised,
        "interval": list(told.interval),
        "losses": losses,
    }


def main() -> None:
    """Every big network that has been searched, and whose smallest has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--until", type=float, default=math.inf, help="seconds of this process after which none begins")
    parser.add_argument("--again", action="store_true", help="tell anew, and train what is told otherwise")
    given = parser.parse_args()
    torch.set_num_threads(1)
    searched = {line["member"]: line["rate"] for line in read("sweeps.jsonl")}
    lines = read("judged.jsonl")
    places = {(line["member"], line["seed"]): place for place, line in enumerate(lines)}
    for member, seed in product(members(), FRESH):
        place = places.get((member.key, seed))
        known = member.key in searched and member.small.key in searched
        if member == member.small or not known or (place is None) == given.again:
            continue
        if time.process_time() > given.until:
            break
        rates = searched[member.small.key], searched[member.key]
        if place is None:
            write("judged.jsonl", judged(member, seed, *rates))
        else:
            lines[place] |= judged(member, seed, *rates, before=lines[place])
            rewrite("judged.jsonl", lines)


if __name__ == "__main__":
    main()
