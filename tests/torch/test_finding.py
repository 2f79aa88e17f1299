import copy
import itertools
import json
import math
import random
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, TensorDataset

from freeness.errors import InputError
from freeness.torch import FindOptions, batches_of, find_rate
from freeness.torch.rate.critical import critical_rate
from freeness.torch.rate.finding import steepest
from freeness.torch.rate.trial_runs import TrialOptions, TrialRuns
from freeness.torch.request.batch_loss import trial_loss
from freeness.torch.request.stepping import stepping
from freeness.training import Leg, Rate, Schedule

X = torch.randn(120, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > X[:, 1]).long()


def classifier(dropout: float = 0.1) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(dropout), nn.Linear(12, 2))


def runs_of(model, optimizer, options, count=12, size=10):
    batches = batches_of((X, Y), model, count, size=size)
    loss = trial_loss(model, batches[0], "cross_entropy")
    model.train()
    return TrialRuns(model, batches, loss, stepping(model, optimizer), options), batches


# --- a trial is training ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factory", "how"),
    [
        (partial(torch.optim.SGD, lr=1.0, momentum=0.9), {}),
        (partial(torch.optim.AdamW, lr=1.0, weight_decay=0.1), {"clip": 0.5}),
        (partial(torch.optim.Adam, lr=1.0), {"accumulate": 3}),
        (partial(torch.optim.RMSprop, lr=1.0), {"schedule": Schedule(12, "cosine", 3)}),
    ],
    ids=["momentum", "decay and clipping", "accumulation", "warm-up and cosine"],
)
def test_a_trial_has_the_losses_of_a_plain_loop_of_torch(factory, how):
    model, rate, steps = classifier(dropout=0.0), 0.02, 4
    options = TrialOptions(how.get("schedule", Schedule(12)), how.get("accumulate", 1), how.get("clip"))
    runs, batches = runs_of(copy.deepcopy(model), factory, options)
    found = runs.run(Leg(rate, steps))
    model.train()
    optimizer = factory(model.parameters())
    shares = [1.0] * steps
    if "schedule" in how:
        shares = [(k + 1) / 3 for k in range(3)] + [0.5 * (1 + math.cos(0.0))]
    expected, at = [], 0
    for share in shares:
        optimizer.zero_grad()
        losses = []
        for _ in range(options.accumulate):
            batch = batches[at]
            assert batch.targets is not None
            value = nn.functional.cross_entropy(model(batch.args[0]), batch.targets)
            (value / options.accumulate).backward()
            losses.append(value.item())
            at += 1
        if options.clip:
            nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        optimizer.step()
        expected.append(np.mean(losses))
    assert found.losses == pytest.approx(expected, rel=1e-4) and not found.stopped


def test_trials_in_turn_have_the_losses_of_trials_one_by_one_with_the_same_dropout():
    options = TrialOptions(Schedule(12))
    runs, _ = runs_of(classifier(0.5), "adam", options)
    both = (0.01, 0.1)
    found = [runs.run(Leg(rate, until, both)) for until, rate in itertools.product((3, 7, 12), both)]
    alone = runs_of(classifier(0.5), "adam", options)[0].run(Leg(0.1, 12))
    assert found[-1].losses == alone.losses
    assert (
        runs_of(classifier(0.5), "adam", TrialOptions(Schedule(12), seed=1))[0].run(Leg(0.1, 12)).losses != alone.losses
    )


def test_bfloat16_is_the_precision_of_the_steps_and_changes_them_little():
    whole = runs_of(classifier(0.0), "sgd", TrialOptions(Schedule(12)))[0].run(Leg(0.05, 5)).losses
    half = runs_of(classifier(0.0), "sgd", TrialOptions(Schedule(12), precision="bfloat16"))[0].run(Leg(0.05, 5)).losses
    assert half != whole and half == pytest.approx(whole, rel=0.05)


# --- the rate -----------------------------------------------------------------------------------------------------


def searched(optimizer, steps: int, rates) -> dict[float, float]:
    """The mean of the last third of whole runs."""
    found = {}
    for rate in rates:
        runs, _ = runs_of(classifier(0.0), optimizer, TrialOptions(Schedule(steps)), count=steps, size=30)
        losses = runs.run(Leg(rate, steps)).losses
        found[rate] = float(np.mean(losses[-steps // 3 :])) if len(losses) == steps else math.inf
    return found


@pytest.mark.parametrize("optimizer", ["adamw", pytest.param("sgd", marks=pytest.mark.slow)])
def test_training_at_the_rate_found_is_nearly_as_good_as_at_the_best_of_a_search(optimizer):
    found = find_rate(
        classifier(0.0), (X, Y), FindOptions(batch=30), loss="cross_entropy", optimizer=optimizer, steps=60, cost=3.0
    )
    search = searched(optimizer, 60, np.geomspace(1e-2, 1, 5).tolist())
    here = searched(optimizer, 60, [found.recommended])[found.recommended]
    assert here <= 1.25 * min(search.values())
    assert found.low <= found.recommended <= found.high and found.recommended < found.critical


def test_the_cost_is_kept_in_gradient_evaluations_and_told_before():
    model, calls, told = classifier(), [], []
    next(model.parameters()).register_hook(lambda _: calls.append(1))
    found = find_rate(model, (X, Y), steps=50, cost=2.0, progress=told.append)
    assert 80 <= len(calls) <= 100
    assert len(calls) <= found.cost * 50 <= 100 and found.budget == 2.0
    assert "at most 100 gradient evaluations" in told[0].note and str(told[-1].stage) == "done"
    assert sorted(at.done for at in told) == [at.done for at in told]


def test_groups_frozen_parts_and_functions_of_several_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(6, 4), nn.Linear(4, 2)

        def forward(self, x):
            hidden = self.body(x)
            return {"classes": self.head(hidden), "hidden": hidden}

    torch.manual_seed(0)
    model = Two()
    model.body.weight.requires_grad_(False)
    groups = [{"params": [model.body.bias], "lr": 1e-4}, {"params": model.head.parameters(), "lr": 1e-3}]

    def loss(found, targets):
        return nn.functional.cross_entropy(found["classes"], targets) + 0.01 * found["hidden"].square().mean()

    found = find_rate(model, (X, Y), loss=loss, optimizer=torch.optim.AdamW(groups), steps=40)
    assert found.setting.groups == (1.0, 10.0) and found.setting.loss == "loss"
    assert any("frozen" in note for note in found.setting.notes)


def test_models_that_return_their_loss_need_none():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 2)

        def forward(self, x, labels=None):
            f = self.layer(x)
            return {"loss": None if labels is None else nn.functional.cross_entropy(f, labels), "logits": f}

    torch.manual_seed(0)
    data = [{"x": X[k : k + 20], "labels": Y[k : k + 20]} for k in range(0, 120, 20)]
    found = find_rate(Own(), data, optimizer="sgd", steps=40)
    assert found.setting.loss == "the model's own loss" and found.setting.batch == 20


def test_an_interval_is_where_trials_begin_from_above():
    rate = Rate(0.1, 1.0, 1.0, "", "", "", 1, low=0.05, high=0.2)
    for interval in ((0.05, 0.2), rate):
        found = find_rate(classifier(), (X, Y), FindOptions(interval=interval), steps=40)
        places = [2 * math.log2(trial.rate / 0.2) for trial in found.trials]  # between neighbours one more fits
        assert places == pytest.approx(np.round(places), abs=1e-6) and {-2, 0} <= set(np.round(places))


# --- everything comes back as it was ------------------------------------------------------------------------------


def tensors(tree: object) -> list[torch.Tensor]:
    return [leaf.clone() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def test_model_optimizer_loader_and_random_state_come_back_as_they_were():
    model, generator = classifier(), torch.Generator().manual_seed(5)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    nn.functional.cross_entropy(model(X), Y).backward()
    optimizer.step()
    model.eval()
    model[0].train()
    loader = DataLoader(TensorDataset(X, Y), 20, shuffle=True, generator=generator)
    gradients = [p.grad for p in model.parameters()]

    def seen():
        held = [model.state_dict(), optimizer.state_dict(), gradients, torch.get_rng_state(), generator.get_state()]
        return tensors(held), str(optimizer), str(np.random.get_state()), random.getstate()

    before = seen()
    find_rate(model, loader, optimizer=optimizer, steps=40)
    after = seen()
    assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True)) and before[1:] == after[1:]
    assert all(p.grad is old for p, old in zip(model.parameters(), gradients, strict=True))
    assert [module.training for module in model] == [True, False, False, False, False] and not model.training


def test_the_same_search_twice_finds_the_same():
    first, second = (find_rate(classifier(), (X, Y), steps=40) for _ in range(2))
    assert first == second


# --- ended early --------------------------------------------------------------------------------------------------


def stopping(after: int):
    calls = itertools.count()

    def report(_):
        if next(calls) == after:
            raise KeyboardInterrupt

    return report


def test_ctrl_c_returns_the_best_so_far_and_the_record_goes_on_to_the_same_end(tmp_path):
    whole = find_rate(classifier(), (X, Y), FindOptions(steps=40))
    options = FindOptions(steps=40, record=tmp_path / "trials.jsonl")
    ended = find_rate(classifier(), (X, Y), options, progress=stopping(30))
    assert ended.interrupted and 0 < ended.cost < whole.cost
    with (tmp_path / "trials.jsonl").open("a") as file:
        file.write('{"rate": 0.1, "los')  # killed while it wrote
    told = []
    resumed = find_rate(classifier(), (X, Y), options, progress=told.append)
    assert resumed == whole
    steps = sum(at.share > 0 for at in told)
    assert 0 < steps < sum(trial.steps for trial in whole.trials)
    lines = (tmp_path / "trials.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["schema_version"] == 1
    again = find_rate(classifier(), (X, Y), options, progress=(told := []).append)
    assert again == whole and not any(at.share > 0 for at in told)


def test_a_record_of_another_search_is_refused(tmp_path):
    options = FindOptions(steps=40, record=tmp_path / "trials.jsonl")
    find_rate(classifier(), (X, Y), options)
    with pytest.raises(InputError, match="expected trials of"):
        find_rate(classifier(), (X, Y), options, optimizer="sgd")
    with pytest.raises(InputError, match="expected trials of"):  # other data
        find_rate(classifier(), (2 * X, Y), options)
    with pytest.raises(InputError, match="expected trials of"):  # other settings of an optimiser of the same name
        find_rate(classifier(), (X, Y), options, optimizer=partial(torch.optim.Adam, weight_decay=0.1))
    (tmp_path / "trials.jsonl").write_text("nothing\n")
    with pytest.raises(InputError, match="which is none"):
        find_rate(classifier(), (X, Y), options)


def test_ctrl_c_before_the_first_trial_is_ctrl_c():
    with pytest.raises(KeyboardInterrupt):
        find_rate(classifier(), (X, Y), steps=40, progress=stopping(0))


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        ((X, Y), {"steps": 0}, "expected steps ≥ 1"),
        ((X, Y), {"cost": -1.0}, "a cost > 0"),
        ((X, Y), {"steps": 10}, "raise cost"),
        ((X, Y), {"more": {"batch": 0}}, "a batch of at least 1"),
        ((X, Y), {"more": {"schedule": "step"}}, "expected a schedule"),
        ((X, Y), {"more": {"precision": "float16"}}, "needs a scaler"),
        ((X, Y), {"more": {"clip": 0.0}}, "clip > 0"),
        ((X, Y), {"more": {"interval": (1.0, 0.1)}}, "0 < low < high"),
        ((X, Y), {"loss": "own"}, "returns its loss"),
        ((X, Y), {"loss": "mse"}, "expected targets of the outputs' shape"),
        (X, {}, "expected targets beside the inputs"),
        ((X[:, :5], Y), {}, "expected inputs for"),
        ([], {}, "expected"),
        ((X, Y), {"loss": lambda f, y: f.mean() * math.nan}, "finite"),
        ((X, Y), {"optimizer": torch.optim.LBFGS}, "steps by step"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(data, options, said):
    with pytest.raises(InputError, match=said) as caught:
        find_rate(classifier(), data, FindOptions(**options.pop("more", {})), **options)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_trials_of_single_samples_begin_where_a_loss_can_still_fall():
    # Cross-entropy of one sample falls along its gradient until the numbers overflow, at 10¹⁹ here: no rate to begin with.
    torch.manual_seed(6)
    layers = [nn.Linear(8, 32), *(nn.Sequential(nn.Tanh(), nn.Linear(32, 32)) for _ in range(4)), nn.Linear(32, 4)]
    model, x, y = nn.Sequential(*layers), torch.randn(60, 8), torch.arange(60) % 4
    found = find_rate(model, DataLoader(TensorDataset(x, y), batch_size=1), optimizer="sgd", steps=60)
    loss = nn.functional.cross_entropy(model(x[:1]), y[:1])
    slope = sum(float(part.square().sum()) for part in torch.autograd.grad(loss, model.parameters()))
    assert found.critical > 1e4
    assert min(trial.rate for trial in found.trials) < loss.item() / slope


@given(curvatures=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_no_parabola_above_zero_has_a_critical_rate_beyond_four_times_loss_over_slope(curvatures, seed):
    torch.manual_seed(seed)
    weight = nn.Parameter(torch.randn(len(curvatures), dtype=torch.float64) + 2)
    a = torch.tensor(curvatures, dtype=torch.float64)
    found = critical_rate(nn.ParameterList([weight]), lambda: 0.5 * (a * weight.square()).sum())
    assert found.below <= steepest(found) * (1 + 1e-9)
    w = weight.detach()
    assert steepest(found) == pytest.approx(2 * float((a * w**2).sum() / (a * w).square().sum()))
