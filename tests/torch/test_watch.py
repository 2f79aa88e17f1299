"""A watched training is the training; what is recorded of it is what other functions measure; it costs what was allowed."""

import copy
import itertools
import json
import math
import random
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from freeness.advice import StepCheck, WatchRecord, odd_layer
from freeness.advice.layer_peers import odd_weights
from freeness.errors import InputError
from freeness.torch import JsonLines, Watch, batch_of, critical_rate
from freeness.torch.measured.hessian_products import drawn_direction, hessian_product
from freeness.torch.request.batch_loss import batch_loss
from freeness.torch.watching.first_look import drawn_weights, first_look
from freeness.torch.watching.watch import gradient_norms
from freeness.torch.watching.watch_measures import Measures
from freeness.torch.watching.watch_schedule import Every, Within

OPTIMIZERS = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-2),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1e-3),
}


def network():
    torch.manual_seed(1)
    layers = (nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 16), nn.Tanh())
    return nn.Sequential(*layers, nn.Linear(16, 3))


def trained(optimizer, watched, steps=7, **options):
    """Everything that a run leaves behind, the random states too."""
    model = network()
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    watch = Watch(model, optimizer, every=3, **options) if watched else None
    torch.manual_seed(2)
    for _ in range(steps):
        x = torch.randn(24, 6)
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), (x[:, 0] > 0).long())
        loss.backward()
        optimizer.step()
        if watch is not None:
            watch.step((x, (x[:, 0] > 0).long()), loss)
    left = [value.clone() for value in model.state_dict().values()]
    left += [parameter.grad.clone() for parameter in model.parameters()]
    left += [value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)]
    left += [torch.get_rng_state(), torch.tensor(np.random.get_state()[1]), torch.tensor(random.getstate()[1])]
    return left, watch


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_watched_training_is_bit_for_bit_the_unwatched_one(optimizer):
    plain, _ = trained(optimizer, watched=False)
    seen, watch = trained(optimizer, watched=True)
    assert len(plain) == len(seen) and all(torch.equal(a, b) for a, b in zip(plain, seen, strict=True))
    assert [record.step for record in watch.records] == [1, 4, 7]
    assert not any(record.missing for record in watch.records)


def test_modes_version_counters_and_a_graph_of_the_callers_stay():
    model = network()
    model[1].eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(8, 6), torch.arange(8) % 3
    mine = functional.cross_entropy(model(x), y)
    versions = [tensor._version for tensor in (*model.parameters(), *model.buffers())]
    Watch(model, optimizer, every=1).step((x, y))
    assert versions == [tensor._version for tensor in (*model.parameters(), *model.buffers())]
    assert not model[1].training and model[3].training
    assert all(parameter.grad is None for parameter in model.parameters())
    mine.backward()


def test_the_critical_rate_is_that_of_the_step_which_the_optimiser_takes_next():
    """Stepping on, at rates on both sides of it, lowers and raises the loss of that batch; momentum and all."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    x, y = torch.randn(20, 6), torch.arange(20) % 3
    watch = Watch(model, optimizer, every=100)
    for step in range(5):
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if step == 4:
            watch.step((x, y))
    found = watch.records[0].critical
    before = float(functional.cross_entropy(model(x), y).detach())
    for factor, raised in ((1 / 1.15, False), (1.001, True)):
        twin, stepped = copy.deepcopy((model, optimizer))
        for group in stepped.param_groups:
            group["lr"] = factor * found
        stepped.zero_grad()
        functional.cross_entropy(twin(x), y).backward()
        stepped.step()
        assert (float(functional.cross_entropy(twin(x), y).detach()) > before) == raised


def test_a_visit_measures_what_is_known_on_a_linear_model():
    """Half squared error of outputs W x: H = XᵀX/B ⊗ 1, J = W, and the gradient's noise by samples one by one."""
    torch.manual_seed(0)
    model = nn.Linear(5, 5, bias=False).double()
    x, y = torch.randn(400, 5).double(), torch.randn(400, 5).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    watch = Watch(model, optimizer, loss="half_squared_error", every=1)
    watch.step((x, y))
    record = watch.records[0]
    second = x.T @ x / 400
    top = float(torch.linalg.eigvalsh(second)[-1])
    assert record.sharpness == pytest.approx(top, rel=0.03)
    assert record.bound == pytest.approx(2 / record.sharpness)
    residual = model(x).detach() - y
    g = residual.T @ x / 400
    exact = 2 * float(g.square().sum()) / float((g @ second @ g.T).trace())
    assert exact / 1.1 <= record.critical <= 1.1 * exact and record.critical == record.critical_gradient
    singles = torch.einsum("bi,bj->bij", residual, x)
    scatter = float((singles - g).square().sum((1, 2)).mean())
    assert record.noise == pytest.approx(scatter / float(g.square().sum()), rel=0.4)  # 25 numbers, two halves
    assert record.loss == pytest.approx(0.5 * float(residual.square().sum(1).mean()))


def test_a_curvature_below_all_numbers_of_the_dtype_gives_no_bound():
    """λ = x² = 1e-42 has no digits in float32; 2/λ would be drawn as a rate of 1e42."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1, bias=False)
    watch = Watch(model, torch.optim.SGD(model.parameters(), lr=0.01), loss="half_squared_error", every=1)
    watch.step((torch.full((4, 1), 1e-21), torch.zeros(4, 1)))
    assert watch.records[0].sharpness == 0.0 and watch.records[0].bound is None


def test_sharpness_of_adam_is_divided_as_its_next_step_is_where_a_dead_neuron_wakes():
    """P by torch's own second moments behind that step, H entry by entry. With √v̂ of before, λ is 1e5 times as large."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    with torch.no_grad():
        model[0].bias[0] = -50.0
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    x, y = torch.randn(16, 2).double(), torch.randn(16, 1).double()
    watch = Watch(model, optimizer, loss="half_squared_error", every=1)
    for _ in range(3):
        optimizer.zero_grad()
        (0.5 * (model(x) - y).square().sum(1).mean()).backward()
        optimizer.step()
    assert float(model[0].weight.grad[0].abs().max()) == 0
    with torch.no_grad():
        model[0].bias[0] = 0.1
    watch.step((x, y))
    twin, stepped = copy.deepcopy((model, optimizer))
    stepped.zero_grad()
    (0.5 * (twin(x) - y).square().sum(1).mean()).backward()
    stepped.step()
    moments = [stepped.state[parameter]["exp_avg_sq"] / (1 - 0.999**4) for parameter in twin.parameters()]
    root = torch.cat([(moment.sqrt() + 1e-8).reshape(-1) for moment in moments]).sqrt()

    curved = hessian_of(model, x, y, lambda outputs, aims: 0.5 * (outputs - aims).square().sum(1).mean())
    top = float(torch.linalg.eigvalsh(curved / root / root[:, None])[-1])
    assert watch.records[0].sharpness == pytest.approx(top, rel=0.03)


def hessian_of(model, x, y, measure=functional.cross_entropy):
    """Written down, entry by entry."""
    shapes = {name: (one.shape, one.numel()) for name, one in model.named_parameters()}
    flat = torch.cat([one.detach().reshape(-1) for one in model.parameters()])

    def loss(vector):
        parts = vector.split([size for _, size in shapes.values()])
        weights = {name: part.reshape(shape) for (name, (shape, _)), part in zip(shapes.items(), parts, strict=True)}
        return measure(torch.func.functional_call(model, weights, (x,)), y)

    return torch.autograd.functional.hessian(loss, flat, vectorize=True)


def test_sharpness_does_not_take_the_kinks_of_relu_for_curvature_and_its_change_along_a_step_is_told():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    x, y = torch.randn(24, 4).double(), torch.arange(24) % 3
    watch = Watch(model, optimizer, every=2)
    tops = []
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        watch.step((x, y))
        tops.append(float(torch.linalg.eigvalsh(hessian_of(model, x, y))[-1]))
    first, second = watch.records
    assert first.sharpness == pytest.approx(tops[0], rel=0.03)
    assert second.first_sharpness == pytest.approx(tops[2], rel=1e-3)
    assert first.first_sharpness == pytest.approx(tops[0], rel=1e-3)
    assert first.sharpening == pytest.approx(tops[1] - tops[0], rel=0.05)  # the next step was on the same batch
    assert (first.first_batch, second.first_batch, second.sharpening) == (1, 1, None)
    assert watch.sharpening.slope == first.sharpening


@pytest.mark.parametrize("make", [torch.optim.AdamW, partial(torch.optim.SGD, momentum=0.9)])
def test_the_steps_to_come_are_rehearsed_on_the_batches_met_so_far(make):
    """Where the same three batches come again in turn, the rehearsal is what happens, and leaves nothing behind."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    optimizer = make(model.parameters(), lr=0.02)
    watch = Watch(model, optimizer, every=10)
    watch._schedule = Every(10, ["sharpening"])
    parts = [(torch.randn(12, 4).double(), torch.arange(12) % 3) for _ in range(3)]
    for step in range(52):
        optimizer.zero_grad()
        functional.cross_entropy(model(parts[step % 3][0]), parts[step % 3][1]).backward()
        optimizer.step()
        assert not watch.step(parts[step % 3])
    seen = {record.step: record for record in watch.records}
    assert [step for step, record in seen.items() if record.rehearsed] == [21]
    assert seen[21].rehearsed == pytest.approx([seen[step].first_sharpness for step in (31, 41, 51)], rel=1e-3)
    assert watch.sharpening.rehearsed == seen[21].rehearsed


def test_of_a_rehearsal_on_new_samples_the_share_of_repeats_is_taken_away():
    """λ by entries, behind thirty steps taken by hand on all batches in turn, and on the later half of them: a²/b."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    watch = Watch(model, optimizer, every=10)
    watch._schedule = Every(10, ["sharpening"])
    parts = [(torch.randn(12, 4).double(), torch.arange(12) % 3) for _ in range(21)]

    def trained(model, optimizer, part):
        optimizer.zero_grad()
        functional.cross_entropy(model(part[0]), part[1]).backward()
        optimizer.step()

    for part in parts:
        trained(model, optimizer, part)
        watch.step(part)
    tops = []
    for some in (parts, parts[11:]):
        twin, stepped = copy.deepcopy((model, optimizer))
        for step in range(30):
            trained(twin, stepped, some[step % len(some)])
        tops.append(float(torch.linalg.eigvalsh(hessian_of(twin, *parts[0]))[-1]))
    assert watch.records[-1].rehearsed[-1] == pytest.approx(tops[0] ** 2 / tops[1], rel=1e-2)


class Forward(torch.autograd.Function):
    """x ↦ x² with a backward pass that has no derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, slope):
        return 2 * slope * ctx.saved_tensors[0]


def test_where_an_operation_has_no_second_derivative_gradients_are_compared():
    torch.manual_seed(0)
    model = nn.Linear(4, 4, bias=False).double()
    x = torch.randn(5, 4).double()
    product, value = hessian_product(model, lambda: Forward.apply(model(x)).sum())
    v = torch.randn(16).double()
    exact = 2 * (v.reshape(4, 4) @ x.T @ x).reshape(-1)
    before = model.weight.clone()
    assert torch.allclose(product(v), exact, rtol=1e-5) and torch.equal(before, model.weight)
    assert value == pytest.approx(float(model(x).square().sum().detach()))


def test_curvature_behind_sparse_gradients_is_that_behind_dense_ones():
    products, x, y = [], torch.randint(12, (20, 4), generator=torch.Generator().manual_seed(1)), torch.arange(20) % 3
    for sparse in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.EmbeddingBag(12, 6, sparse=sparse), nn.Tanh(), nn.Linear(6, 3)).double()
        product, _ = hessian_product(model, partial(lambda m: functional.cross_entropy(m(x), y), model))
        products.append(product(drawn_direction(model)))
    assert products[1] == pytest.approx(products[0], rel=1e-2, abs=1e-3 * float(products[0].norm()))


def test_isometry_is_0_of_an_orthogonal_layer_and_grows_with_the_spread():
    torch.manual_seed(0)
    found = {}
    for name, values in (("isometric", torch.ones(64)), ("spread", torch.linspace(0.1, 3.0, 64))):
        model = nn.Linear(64, 64, bias=False)
        with torch.no_grad():
            nn.init.orthogonal_(model.weight)
            model.weight.mul_(values[:, None])
        measures = Measures(model, torch.optim.SGD(model.parameters(), lr=0.1), batch_loss("mse"))
        batch = batch_of((torch.randn(8, 64), torch.randn(8, 64)), model)
        found[name] = measures.taken("isometry", batch)["isometry"], values.square()
    assert found["isometric"][0] == pytest.approx(0.0, abs=1e-4)
    a = found["spread"][1]
    exact = float(a.var(unbiased=False) / a.mean() ** 2)
    assert found["spread"][0] == pytest.approx(exact, rel=0.25)  # 8 probes of 64 numbers


def test_drift_is_the_distance_from_the_start_over_its_norm():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    watch = Watch(model, torch.optim.SGD(model.parameters(), lr=0.1), every=1)
    with torch.no_grad():
        for parameter in model[1].parameters():
            parameter.mul_(1.5)
    watch.step((torch.randn(4, 3), torch.tensor([0, 1, 1, 0])))
    drift = {layer.name: layer.drift for layer in watch.records[0].layers}
    assert drift["0"] == 0 and drift["1"] == pytest.approx(0.5)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(7, 8), nn.Linear(8, 7)

    def forward(self, input_ids, labels=None):
        f = self.head(self.table(input_ids))
        loss = None if labels is None else functional.cross_entropy(f.flatten(0, 1), labels.flatten())
        return {"loss": loss, "logits": f}


@pytest.mark.parametrize("loss", ["own", "cross_entropy", lambda f, y: functional.cross_entropy(f["logits"].mT, y)])
def test_batches_and_losses_come_in_any_form(loss):
    torch.manual_seed(0)
    model = Tokens()
    watch = Watch(model, torch.optim.SGD(model.parameters(), lr=0.1), loss=loss, every=1)
    tokens = torch.arange(12).reshape(4, 3) % 7
    watch.step({"input_ids": tokens, "labels": tokens})
    record = watch.records[0]
    assert record.missing == () and record.isometry is None  # of whole numbers there is no derivative
    assert record.loss == pytest.approx(float(model(tokens, tokens)["loss"].detach()), rel=1e-5)
    assert critical_rate(model, lambda: model(tokens, tokens)["loss"]).rate == pytest.approx(record.critical, rel=0.1)


def test_a_loss_that_does_not_fit_is_told_at_the_first_step_and_ends_no_training_later():
    model = nn.Linear(3, 2)
    watch = Watch(model, torch.optim.SGD(model.parameters(), lr=0.1), every=1)
    with pytest.raises(InputError, match="targets beside the inputs"):
        watch.step(torch.ones(2, 3))
    watch.step((torch.ones(2, 3), torch.tensor([0, 1])))
    watch.step(torch.ones(2, 3))
    assert "targets beside the inputs" in watch.records[-1].missing[0]
    rare = Watch(model, torch.optim.SGD(model.parameters(), lr=0.1))  # whose first visit comes much later
    with pytest.raises(InputError, match="targets beside the inputs"):
        rare.step(torch.ones(2, 3))


def test_a_quantity_that_a_small_batch_cannot_have_or_a_loss_of_no_number_ends_no_training():
    for x in (torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), torch.full((8, 4), torch.nan)):
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))  # of one sample there is no variance
        watch = Watch(model, torch.optim.SGD(model.parameters(), lr=0.1), every=1)
        watch.step((x, torch.arange(len(x)) % 2))
        assert watch.records[0].layers and any(one.startswith("noise") for one in watch.records[0].missing)


def test_layers_may_be_replaced_and_optimisers_may_run_the_model_themselves():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=2)
    watch = Watch(model, optimizer, every=1)
    x = torch.randn(32, 4)
    y = (x[:, 0] > 0).long()

    def closure():
        model.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    optimizer.step(closure)
    watch.step((x, y))
    model[0], model[2] = nn.Linear(4, 9), nn.Linear(9, 3)
    closure()
    watch.step((x, y))
    first, second = watch.records
    assert [[one.partition(":")[0] for one in record.missing] for record in (first, second)] == [
        ["critical"],
        ["critical"],
    ]
    assert first.first_sharpness > 0 and first.sharpening is None  # of its next step nothing is known
    assert second.first_sharpness > 0 and [layer.drift for layer in second.layers] == [None, None]


def test_a_log_belongs_to_one_watch(tmp_path):
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    log = JsonLines(tmp_path / "run.jsonl")
    Watch(model, optimizer, log=log)
    with pytest.raises(InputError, match="JsonLines twice"):
        Watch(model, optimizer, log=[log])


def test_frozen_layers_in_front_are_no_fault_and_may_thaw():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2))
    model[0].requires_grad_(False)
    watch = Watch(model, torch.optim.SGD(model.parameters(), lr=0.1), every=1)
    x = torch.randn(32, 4)
    assert watch.step((x, (x[:, 0] > 0).long())) == [] and watch.records[0].fault == ""
    model[0].requires_grad_(True)
    watch.step((x, (x[:, 0] > 0).long()))
    assert watch.records[1].missing == () and watch.records[1].sharpness is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"every": 0}, "every 1 or more"),
        ({"overhead": 0.0}, "between 0 and 1"),
        ({"log": 3}, "a log as a path"),
        ({"loss": "huberish"}, "expected a loss"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    model = nn.Linear(1, 1)
    with pytest.raises(InputError, match=words):
        Watch(model, torch.optim.SGD(model.parameters(), lr=0.1), **arguments)


def test_what_is_spent_stays_within_the_share_whatever_things_cost():
    """Simulated: costs that vary, and wishes at every step; no clock is read."""
    draw = random.Random(0)
    for share, wishes in itertools.product((0.02, 0.2), (False, True)):
        names = ["a", "b", "a", "c"]
        schedule = Within(share, names, {"a": 3.0, "b": 1.0, "c": 9.0})
        trained_for = spent = 0.0
        measured = set()
        for step in range(1, 20001):
            for look, cost in (("glance", 0.001), ("check", 0.003)):
                if schedule.affords(look):
                    schedule.spent(look, cost)
                    spent += cost
            for name in schedule.due(step, "a" if wishes and step % 7 == 0 else ""):
                cost = {"a": 4.0, "b": 2.0, "c": 6.0}[name] * draw.uniform(0.5, 2)
                schedule.spent(name, cost)
                spent += cost
                measured.add(name)
            trained_for += 1.0
            schedule.trained(1.0)
        assert 0.5 * share < spent / trained_for < 1.1 * share
        assert measured == {"a", "b", "c"}


@pytest.mark.parametrize(("steps", "told", "critical"), [(300, False, 300), (1000, True, 60), (60, True, None)])
def test_the_first_visits_come_early_and_a_training_of_usual_length_pays_no_more_than_its_share(steps, told, critical):
    """Simulated with what a ResNet-18 takes: the layers a step, the critical rate three."""
    schedule = Within(0.02, ["layers", "critical"], {"layers": 1.0, "critical": 3.0})
    if told:
        schedule.expect(steps)
    visits, spent = {}, 0.0
    for step in range(1, steps + 1):
        if step > 1:
            schedule.trained(1.0)
        for look, cost in (("glance", 0.001), ("check", 0.006)):
            if schedule.affords(look):
                schedule.spent(look, cost)
                spent += cost
        for name in schedule.due(step):
            cost = {"layers": 0.7, "critical": 2.7}[name]
            schedule.spent(name, cost)
            spent += cost
            visits.setdefault(name, step)
    assert visits["layers"] == 1 and spent < 0.02 * steps
    assert "critical" not in visits if critical is None else visits["critical"] <= critical


def test_what_a_watch_took_is_told_while_it_goes_on_and_beside_every_visit():
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = Watch(model, optimizer, every=2)
    x, y = torch.randn(8, 4), torch.arange(8) % 2
    assert watch.overhead == 0
    with pytest.raises(InputError, match="1 or more steps"):
        watch.expect(0)
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        watch.step((x, y))
    first, second = watch.records
    assert first.overhead is None and 0 < second.overhead < watch.overhead * 1.5


def test_lines_are_on_the_disk_when_a_step_returns(tmp_path):
    path = tmp_path / "runs" / "one.jsonl"
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = Watch(model, optimizer, every=2, log=path)
    x, y = torch.randn(6, 3), torch.arange(6) % 2
    for step in range(3):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        watch.step((x, y), loss)
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert [line["step"] for line in lines if line["event"] == "step"] == list(range(1, step + 2))
    visits = [line for line in lines if line["event"] == "visit"]
    assert lines[0]["schema_version"] == 1 and [line["step"] for line in visits] == [1, 3]
    assert float(visits[0]["critical"]) == watch.records[0].critical
    assert visits[0]["layers"][0]["gradient"] == watch.records[0].layers[0].gradient


def test_what_is_not_finite_is_written_in_words_and_steps_are_thinned(tmp_path):
    log = JsonLines(tmp_path / "run.jsonl")
    log.write(WatchRecord(1, 0.1, critical=math.inf))
    for step in (999, 1001, 1002, 5000, 5001):
        log.write(StepCheck(step, 0.1))
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text("utf-8").splitlines()]
    assert float(lines[1]["critical"]) == math.inf
    assert [line["step"] for line in lines[2:]] == [999, 1002, 5000]


def test_norms_of_gradients_are_by_module():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2))
    model(torch.randn(5, 3)).square().sum().backward()
    model[1].weight.grad = model[1].bias.grad = None
    found = gradient_norms(model)
    assert found["1"] == 0
    for name, module in (("0", model[0]), ("2", model[2])):
        grads = [p.grad.reshape(-1) for p in module.parameters() if p.grad is not None]
        assert found[name] == pytest.approx(float(torch.cat(grads).norm()))


def test_of_a_weight_that_torch_computes_the_norm_is_that_of_its_layer():
    """A last layer whose bias cancels in a critic's loss got a warning, for its weights were counted elsewhere."""
    model = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    model(torch.ones(1, 3)).sum().backward()
    parts = [parameter.grad.reshape(-1) for parameter in model.parameters()]
    assert gradient_norms(model) == {"": pytest.approx(float(torch.cat(parts).norm()))}


class Spoilt(nn.Module):
    """A chain of which one layer is thirty times too large, the next one too small, and one more is not used."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers, self.head, self.unused = (
            nn.ModuleList(nn.Linear(8, 8) for _ in range(6)),
            nn.Linear(8, 2),
            nn.Linear(2, 2),
        )
        with torch.no_grad():
            for layer in self.layers:
                nn.init.kaiming_normal_(layer.weight)
                layer.bias.zero_()
            self.layers[2].weight.mul_(30)
            self.layers[3].weight.div_(30)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)


def test_a_layer_that_was_drawn_too_large_and_one_without_gradient_are_named_at_the_first_steps():
    model = Spoilt()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    watch = Watch(model, optimizer, every=10**9)
    for _ in range(10):
        x = torch.randn(64, 8)
        optimizer.zero_grad()
        functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
        optimizer.step()
        watch.step((x, (x[:, 0] > 0).long()))
    assert len(watch.records) == 1
    assert [warning.kind for warning in watch.warnings] == ["layer", "layer"]
    assert watch.warnings[0].place in ("layers.2", "layers.3") and watch.warnings[1].place == "unused"


class Branch(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)
        self.scale = 1.0

    def forward(self, x):
        return x + self.scale * self.down(torch.relu(self.up(self.norm(x))))


@pytest.mark.parametrize("place", ["0", "1.up", "2.down"])
@pytest.mark.parametrize("factor", [1.0, 20.0, 1 / 20])
def test_a_layer_that_is_drawn_wrongly_is_named_wherever_it_stands_and_a_sound_one_is_not(place, factor):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), Branch(), Branch(), Branch(), nn.LayerNorm(16), nn.Linear(16, 2))
    with torch.no_grad():
        model.get_submodule(place).weight.mul_(factor)
    x = torch.randn(32, 6)
    functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
    found = odd_layer(first_look(model), drawn_weights(model))
    assert (None if found is None else found.place) == (None if factor == 1 else place)


@pytest.mark.parametrize("place", ["2.norm", "4", "3.down"])
@pytest.mark.parametrize("factor", [10.0, 0.1, 0.0])
def test_a_gain_that_is_set_wrongly_and_a_layer_at_zero_are_named_behind_the_first_step(place, factor):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), Branch(), Branch(), Branch(), nn.LayerNorm(16), nn.Linear(16, 2))
    with torch.no_grad():
        model.get_submodule(place).weight.mul_(factor)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch = Watch(model, optimizer)
    x = torch.randn(32, 6)
    functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
    optimizer.step()
    assert next(one.place for one in watch.step((x, (x[:, 0] > 0).long())) if one.kind == "layer") == place


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_kernels_of_several_sizes_that_are_drawn_by_one_rule_are_sound_and_the_one_that_leaves_it_is_named(mode):
    """As in an EfficientNet, whose depthwise kernels are five wide: by their outputs alone these seem five times too small."""
    torch.manual_seed(0)
    widths = ((16, 3, 24), (24, 5, 40), (40, 5, 40), (40, 3, 80))
    blocks = [
        nn.Sequential(nn.Conv2d(a, 4 * a, 1), nn.Conv2d(4 * a, 4 * a, k, groups=4 * a), nn.Conv2d(4 * a, b, 1))
        for a, k, b in widths
    ]
    model = nn.Sequential(*blocks)
    for layer in (one for block in blocks for one in block):
        nn.init.kaiming_normal_(layer.weight, mode=mode)
    assert odd_weights(drawn_weights(model)) is None
    blocks[1][1].weight.data.mul_(10)
    assert odd_weights(drawn_weights(model)).place == "1.1"


def test_a_branch_that_lacks_the_scale_of_the_others_is_named():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), *(Branch() for _ in range(5)), nn.Linear(16, 2))
    for place, block in enumerate(model[1:6]):
        block.scale = 1.0 if place == 2 else 0.1
    measures = Measures(model, torch.optim.SGD(model.parameters(), lr=0.1), batch_loss("cross_entropy"))
    x = torch.randn(32, 6)
    assert measures.taken("layers", batch_of((x, (x[:, 0] > 0).long()), model))["place"] == "3"


def test_small_output_layers_and_branches_that_end_small_with_depth_are_sound_starts():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 256), *(Branch() for _ in range(4)), nn.Linear(16, 2))
    with torch.no_grad():
        for block in model[1:5]:
            block.down.weight.div_(10)
        model[5].weight.div_(4)
    x = torch.randn(32, 16)
    functional.cross_entropy(model[1:](x), (x[:, 0] > 0).long()).backward()
    assert odd_layer(first_look(model[1:]), drawn_weights(model[1:])) is None
