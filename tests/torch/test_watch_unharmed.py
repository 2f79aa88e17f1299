"""Whatever a training is made of, a watch neither breaks nor changes it."""

import random
from collections import UserDict
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from freeness.advice import WatchWarning, read_run
from freeness.errors import InputError
from freeness.torch import JsonLines, Watch, WatchLog, find_rate


def plain(drop=0.0):
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(drop), nn.Linear(8, 3))


def frozen():
    model = plain()
    return model.requires_grad_(False)


def half_frozen():
    model = plain()
    model[0].requires_grad_(False)
    return model


class Stateful(nn.Module):
    """Draws noise from generators of its own and writes on itself."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls, self.memory = nn.Linear(6, 3), 0, torch.zeros(6)
        self.noise, self.other = torch.Generator().manual_seed(0), np.random.default_rng(0)
        self.third = random.Random(0)

    def forward(self, x):
        self.calls += 1
        self.memory.add_(x.detach().mean(0))
        scale = 1 + 0.1 * self.other.random() + 0.1 * self.third.random() + 0.01 * self.calls
        return self.layer(scale * x + 0.1 * torch.randn(x.shape, generator=self.noise) + self.memory)


class Brittle(nn.Module):
    """Fails in every pass that is not the training's."""

    def __init__(self):
        super().__init__()
        self.layer, self.mine = nn.Linear(6, 3), False

    def forward(self, x):
        if not self.mine:
            raise KeyError("an extra pass")
        return self.layer(x)


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x, mask=None):
        return {"logits": self.layer(x)}


def autocast(model, optimizer, loss, step):
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss()
    value.backward()
    optimizer.step()
    return value


def scaled(model, optimizer, loss, step):
    value = loss()
    optimizer.zero_grad()
    scaler = model.scaler = vars(model).get("scaler") or torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(value * (torch.inf if step == 3 else 1.0)).backward()
    scaler.step(optimizer)  # which skips the third step
    scaler.update()
    return value


def closed(model, optimizer, loss, step):
    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return optimizer.step(closure)


def accumulated(model, optimizer, loss, step):
    value = loss()
    value.backward()
    if step % 2:
        optimizer.step()
    return value


def silent(model, optimizer, loss, step):
    return loss().detach()


def without(model, optimizer, loss, step):
    value = usual(model, optimizer, loss, step)
    optimizer.zero_grad(set_to_none=True)
    return value


def changing(model, optimizer, loss, step):
    model.train(step not in (3, 4))
    return usual(model, optimizer, loss, step)


def usual(model, optimizer, loss, step):
    optimizer.zero_grad()
    value = loss()
    value.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=False)
    optimizer.step()
    return value


SGD = lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)  # noqa: E731
PAIRS = lambda x, y: (x, y)  # noqa: E731
CASES = {
    "dropout": (lambda: plain(0.2), SGD, usual, PAIRS),
    "modes": (lambda: plain(0.2), SGD, changing, PAIRS),
    "frozen": (frozen, SGD, silent, PAIRS),
    "half frozen": (half_frozen, SGD, usual, PAIRS),
    "no gradients": (plain, SGD, without, PAIRS),
    "autocast": (plain, SGD, autocast, PAIRS),
    "scaler": (plain, SGD, scaled, PAIRS),
    "accumulated": (plain, SGD, accumulated, PAIRS),
    "LBFGS": (plain, lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3), closed, PAIRS),
    "rate of 0": (plain, lambda p: torch.optim.AdamW(p, lr=0.0), usual, PAIRS),
    "rate in a tensor": (plain, lambda p: torch.optim.AdamW(p, lr=torch.tensor(0.01)), usual, PAIRS),
    "stateful": (Stateful, SGD, usual, PAIRS),
    "brittle": (Brittle, SGD, usual, PAIRS),
    "dict": (Named, SGD, usual, lambda x, y: {"x": x, "labels": y}),
    "user's dict": (Named, SGD, usual, lambda x, y: UserDict({"x": x, "labels": y})),
    "names of files": (Named, SGD, usual, lambda x, y: {"x": x, "labels": y, "path": ["a"] * len(x)}),
    "no batch": (plain, SGD, usual, lambda x, y: None),
    "numpy": (plain, SGD, usual, lambda x, y: (x.numpy(), y.numpy())),
}


def run(case, watched) -> Any:
    make, optimizer, step, batch = CASES[case]
    torch.manual_seed(1)
    model = make()
    stepped = optimizer(list(model.parameters()))
    torch.manual_seed(2)
    random.seed(0)
    np.random.seed(0)
    watch = Watch(model, stepped, every=4) if watched else None
    for k in range(1, 7):
        x = torch.randn(8 if k < 6 else 5, 6)  # the last batch is smaller
        y = (x[:, 0] > 0).long()

        def loss(x=x, y=y):
            model.mine = True
            found = model(x)
            model.mine = False
            return functional.cross_entropy(found["logits"] if isinstance(found, dict) else found, y)

        value = step(model, stepped, loss, k)
        if watch is not None:
            watch.step(batch(x, y), value)
        if step is accumulated and k % 2:
            stepped.zero_grad()
    left = [tensor.clone() for tensor in model.state_dict().values()]
    left += [one.grad.clone() for one in model.parameters() if one.grad is not None]
    left += [one for state in stepped.state.values() for one in state.values() if isinstance(one, torch.Tensor)]
    hooks = [len(one._forward_hooks) + len(one._forward_pre_hooks) + 9 * one.training for one in model.modules()]
    left += [torch.tensor(hooks), torch.get_rng_state(), torch.tensor(np.random.get_state()[1])]
    left += [torch.tensor(random.getstate()[1][:-1])]
    return left, watch


@pytest.mark.parametrize("case", CASES)
def test_a_watched_training_is_the_unwatched_one_bit_for_bit(case):
    alone, _ = run(case, watched=False)
    seen, watch = run(case, watched=True)
    assert len(alone) == len(seen) and all(torch.equal(a, b) for a, b in zip(alone, seen, strict=True))
    assert [record.step for record in watch.records] == [1, 5]
    kinds = [warning.kind for warning in watch.warnings]
    assert kinds == (["watch"] if case in ("brittle", "names of files", "no batch") else [])


def test_a_critic_in_the_loss_of_a_generator_is_left_as_it_was():
    """With batch statistics and a spectral norm, both of which a forward pass moves, and gradients that are not cleared."""
    left = []
    for watched in (False, True):
        torch.manual_seed(0)
        generator = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2))
        layer = nn.utils.parametrizations.spectral_norm(nn.Linear(2, 6))
        critic = nn.Sequential(layer, nn.BatchNorm1d(6), nn.SiLU(), nn.Linear(6, 1))
        optimizer = SGD(generator.parameters())
        lost = partial(lambda critic, outputs, _: -critic(outputs).mean(), critic)
        watch = Watch(generator, optimizer, loss=lost, every=10) if watched else None
        for _ in range(22):
            z = torch.randn(8, 3)
            optimizer.zero_grad()
            lost(generator(z), None).backward()
            optimizer.step()
            assert watch is None or not watch.step((z, z))
        gradients = [one.grad for one in critic.parameters()]
        left.append([*generator.state_dict().values(), *critic.state_dict().values(), *gradients])
    assert watch.records[-1].rehearsed
    assert all(torch.equal(a, b) for a, b in zip(*left, strict=True))


def test_a_search_for_a_rate_leaves_a_critic_in_the_loss_as_it_was():
    torch.manual_seed(0)
    generator, critic = nn.Linear(3, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Tanh(), nn.Linear(2, 1))
    before, z = [one.clone() for one in critic.state_dict().values()], torch.randn(32, 3)
    find_rate(generator, (z, z), loss=lambda outputs, _: -critic(outputs).mean(), optimizer="sgd", steps=40)
    assert all(torch.equal(a, b) for a, b in zip(before, critic.state_dict().values(), strict=True))
    assert all(one.grad is None and one.requires_grad for one in critic.parameters())


def test_what_stands_around_a_model_is_not_run_by_a_watch(tmp_path):
    torch.manual_seed(0)
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    model: Any = torch.compile(nn.Linear(6, 3), backend=backend)
    optimizer = SGD(model.parameters())
    watch = Watch(model, optimizer, every=1)
    x, y = torch.randn(8, 6), torch.arange(8) % 3
    for _ in range(3):
        usual(model, optimizer, lambda: functional.cross_entropy(model(x), y), 0)
        watch.step((x, y))
    assert len(compiled) == 1 and not any(record.missing for record in watch.records)
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(nn.Linear(6, 3))
        optimizer = SGD(model.parameters())
        watch = Watch(model, optimizer, every=1)
        for _ in range(3):
            usual(model, optimizer, lambda: functional.cross_entropy(model(x), y), 0)
            watch.step((x, y))
    finally:
        torch.distributed.destroy_process_group()
    assert not any(record.missing for record in watch.records)


def test_a_watch_may_be_called_where_no_gradients_are_taken():
    model = plain()
    watch = Watch(model, SGD(model.parameters()), every=1)
    for mode in (torch.no_grad(), torch.inference_mode()):
        x, y = torch.randn(8, 6), torch.arange(8) % 3
        with mode:
            watch.step((x, y))
    assert len(watch.records) == 2 and not any(record.missing for record in watch.records)


class Full(WatchLog):
    """Takes nothing for a while, as a disk that is full."""

    def __init__(self):
        self.full, self.events = True, []

    def write(self, event):
        if self.full:
            raise OSError(28, "No space left on device")
        self.events.append(event)


def test_a_log_that_fails_is_said_once_and_the_training_goes_on():
    model, log = nn.Linear(6, 3), Full()
    watch = Watch(model, SGD(model.parameters()), every=2, log=log)
    x, y = torch.randn(8, 6), torch.arange(8) % 3
    said = [watch.step((x, y)) for _ in range(4)]
    assert [[warning.kind for warning in some] for some in said] == [["log"], [], [], []]
    assert "No space left" in said[0][0].sentence and len(watch.records) == 2
    log.full = False
    assert watch.step((x, y)) == [] and log.events


def test_lines_that_a_full_disk_did_not_take_are_written_later(tmp_path, monkeypatch):
    path = tmp_path / "run.jsonl"
    log = JsonLines(path)
    true = type(path).open

    def full(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "open", full)
    for step in (1, 2):
        with pytest.raises(OSError, match="No space"):
            log.write(WatchWarning(step, "rate", "Too fast."))
    monkeypatch.setattr(type(path), "open", true)
    log.write(WatchWarning(3, "rate", "Too fast."))
    assert [warning.step for warning in read_run(path).warnings] == [1, 2, 3]


def test_a_run_does_not_write_into_the_log_of_another_one(tmp_path):
    path = tmp_path / "run.jsonl"
    model = nn.Linear(6, 3)
    optimizer = SGD(model.parameters())
    x, y = torch.randn(8, 6), torch.arange(8) % 3
    watch = Watch(model, optimizer, every=1, log=path)
    for _ in range(5):
        watch.step((x, y))
    with pytest.raises(InputError, match="is there; choose another one"):
        Watch(model, optimizer, log=path)
    with path.open("a") as file:
        file.write('{"event": "vis')  # where it was killed
    watch = Watch(model, optimizer, every=1, log=JsonLines(path, resume=3))
    for _ in range(4):
        watch.step((x, y))
    run = read_run(path)
    assert [record.step for record in run.records] == [1, 2, 3, 4, 5, 6, 7]
    assert run.records[3:] == tuple(watch.records)


def test_a_group_that_waits_for_each_other_in_batch_normalisation_is_refused(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    model = nn.Sequential(nn.Linear(6, 3), nn.SyncBatchNorm(3))
    with pytest.raises(InputError, match="wait for no other process"):
        Watch(model, SGD(model.parameters()))


@pytest.mark.parametrize("kind", ["loud", "one loud sample", "not a number", "wrong labels"])
def test_a_bad_batch_is_named_by_its_step(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    watch = Watch(model, optimizer, every=10**6)
    for step in range(1, 66):
        x = torch.randn(32, 6)
        y = (x[:, 0] > 0).long()
        if step == 61:
            rows = slice(0, 1) if kind == "one loud sample" else slice(None)
            x[rows] *= {"loud": 6.0, "one loud sample": 15.0, "not a number": torch.nan}.get(kind, 1.0)
            y = 1 - y if kind == "wrong labels" else y
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        watch.step((x, y), loss)
    assert [(one.kind, one.step) for one in watch.warnings if one.kind == "batch"] == [("batch", 61)]
    assert all(one.kind == "batch" or kind == "not a number" for one in watch.warnings)
