"""Rates carried from small networks to big ones: laws that linear models obey exactly, cost, roles, and that nothing is left."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from freeness.errors import InputError
from freeness.show.answers.measured.transfers import code_of
from freeness.torch import Transfer, transfer
from freeness.torch.rate.at_start import AtStart
from freeness.torch.rate.critical import critical_rate
from freeness.torch.rate.first_step import Crossing, Movement, StepOptions, centred, first_step, optimizer_factory
from freeness.torch.rate.transferring import group_shares
from freeness.torch.rate.ways import Ways
from freeness.torch.request.batch import Batch
from freeness.torch.start.parts import is_normalisation
from freeness.torch.start.roles import neurons, roles_of
from freeness.training import SGD, run_length
from tests.told import words_and_sentences

X = torch.randn(48, 6, generator=torch.Generator().manual_seed(1))
Y = torch.arange(48) % 3


def mlp(width, depth=2, seed=0):
    torch.manual_seed(seed)
    inner = [layer for _ in range(depth - 1) for layer in (nn.Linear(width, width), nn.Tanh())]
    return nn.Sequential(nn.Linear(6, width), nn.Tanh(), *inner, nn.Linear(width, 3))


class Tokens(nn.Module):
    """Embeddings with positions, one attention, a head; names of its own."""

    def __init__(self, width, tied=False):
        super().__init__()
        self.table, self.position = nn.Embedding(9, width), nn.Parameter(torch.randn(5, width))
        self.norm, self.mix, self.head = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, 9, bias=False)
        self.square = nn.Parameter(torch.eye(width))
        if tied:
            self.head.weight = self.table.weight

    def forward(self, tokens):
        x = self.table(tokens) + self.position
        return self.head(x + self.mix(self.norm(x)) @ self.square)


def batch_of_pairs(x=X, y=Y):
    return Batch((x,), targets=y, count=len(x))


# --- the first step ------------------------------------------------------------------------------------------------


def test_on_a_linear_model_the_crossing_is_twice_the_minimum_of_the_parabola():
    model, x = nn.Linear(4, 2, bias=False).double(), torch.randn(9, 4, dtype=torch.float64)
    y = torch.randn(9, 2, dtype=torch.float64)
    with first_step(model, batch_of_pairs(x, y), StepOptions("half_squared_error")) as step:
        g = ((x @ model.weight.T - y).T @ x / 9).detach()
        exact = 2 * float(g.square().sum() / ((x @ g.T).square().sum() / 9))
        for start in (1e-3 * exact, exact, 1e3 * exact):
            found = step.crossing(step.whole, start)
            assert found.rate == pytest.approx(exact, rel=0.05) and found.low <= exact <= found.high
        assert step.slope(step.whole) == pytest.approx(-float(g.square().sum()))


@pytest.mark.parametrize("name", ["sgd", "momentum", "adamw"])
def test_the_crossing_is_the_critical_rate(name):
    model = mlp(20)
    how = StepOptions("cross_entropy", name)
    with first_step(model, batch_of_pairs(), how) as step:
        found = step.crossing(step.whole, 0.01)
    wanted = critical_rate(model, lambda: F.cross_entropy(model(X), Y), optimizer_factory(name), start=0.01)
    assert found.rate == pytest.approx(wanted.rate, rel=0.2)


def test_movements_of_groups_are_their_derivatives_and_add_up():
    model = mlp(12).double()
    x = X.double()
    with first_step(model, batch_of_pairs(x), StepOptions("cross_entropy")) as step:
        whole, each = step.movements(0.1)
    loss = F.cross_entropy(model(x), Y)
    gradients = dict(
        zip(dict(model.named_parameters()), torch.autograd.grad(loss, list(model.parameters())), strict=True)
    )
    start = {name: value.detach() for name, value in model.named_parameters()}

    def moved(names):
        push = {name: -gradients[name] if name in names else torch.zeros_like(start[name]) for name in start}
        change = torch.func.jvp(lambda theta: torch.func.functional_call(model, theta, (x,)), (start,), (push,))[1]
        return float((change - change.mean(1, keepdim=True)).square().mean().sqrt())

    assert whole.outputs == pytest.approx(moved(set(start)), rel=1e-2)
    assert each["input"].outputs == pytest.approx(moved({"0.weight"}), rel=1e-2)
    assert each["output"].outputs == pytest.approx(moved({"4.weight"}), rel=1e-2)
    assert each["output"].features == 0 and each["hidden"].features > 0


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_the_degree_of_a_homogeneous_chain_is_the_number_of_its_layers(layers):
    torch.manual_seed(0)
    inner = [part for _ in range(layers - 1) for part in (nn.Linear(6, 6, bias=False), nn.ReLU())]
    chain = nn.Sequential(*inner, nn.Linear(6, 3, bias=False))
    for model, degree in (
        (chain, layers),
        (nn.Sequential(*chain, nn.LayerNorm(3, 1e-12, elementwise_affine=False)), 0),
    ):
        with first_step(model, batch_of_pairs(), StepOptions("cross_entropy")) as step:
            assert step.degree() == pytest.approx(degree, abs=1e-2) and step.passes == 1


@pytest.mark.parametrize("layers", [2, 6])
def test_the_curvature_that_a_balanced_chain_ends_in_is_its_degree(layers):
    """Of f = Πw with all w alike, at f = 1 behind gradient descent: λ = Σ(f/w)² = k."""
    chain = nn.Sequential(*[nn.Linear(1, 1, bias=False) for _ in range(layers)]).double()
    w = torch.full((layers,), 0.7, dtype=torch.float64)
    for _ in range(200):
        w = w - 0.1 / layers * torch.autograd.functional.jacobian(lambda w: 0.5 * (w.prod() - 1).square(), w)
    end = torch.autograd.functional.hessian(lambda w: 0.5 * (w.prod() - 1).square(), w)
    for layer, value in zip(chain, w, strict=True):
        nn.init.constant_(layer.weight, value.item())
    batch = batch_of_pairs(X[:, :1].double(), torch.zeros(len(X), 1, dtype=torch.float64))
    with first_step(chain, batch, StepOptions("half_squared_error")) as step:
        assert step.degree() == pytest.approx(float(torch.linalg.eigvalsh(end)[-1]), rel=1e-3)


# --- roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_normed_weights_have_the_roles_and_neurons_of_plain_ones_and_are_no_normalisation(norm) -> None:
    model = nn.Sequential(norm(nn.Linear(3, 4)), nn.Tanh(), norm(nn.Linear(4, 5)), nn.Tanh(), norm(nn.Linear(5, 2)))
    roles = roles_of(model, ["0", "2", "4"])
    matrices = [role for role in roles.values() if role != "norms and biases"]
    assert matrices == ["input", "hidden", "output"] and neurons(model, roles) == [4.0, 5.0]
    assert not any(map(is_normalisation, model.modules()))


def test_roles_of_a_language_model():
    model = Tokens(8)
    roles = roles_of(model, ["table", "mix", "head"], {"position": 1, "square": 2})
    assert roles == {
        "position": "embeddings",
        "square": "hidden",
        "table.weight": "embeddings",
        "norm.weight": "norms and biases",
        "norm.bias": "norms and biases",
        "mix.weight": "hidden",
        "mix.bias": "norms and biases",
        "head.weight": "output",
    }
    assert "output" not in roles_of(Tokens(8, tied=True), ["table", "mix", "head"]).values()


def test_of_a_recurrent_module_that_comes_first_only_what_reads_inputs_is_the_inputs():
    model = nn.Sequential(nn.LSTM(4, 5, num_layers=2, bidirectional=True), nn.Linear(10, 3))
    roles = roles_of(model, ["0", "1"])
    assert {name for name, role in roles.items() if role == "input"} == {"0.weight_ih_l0", "0.weight_ih_l0_reverse"}
    assert {roles[f"0.{name}"] for name in ("weight_hh_l0", "weight_ih_l1", "weight_hh_l1_reverse")} == {"hidden"}


def test_neurons_are_what_matrices_give_in_front_of_the_last_one():
    attention, table = nn.MultiheadAttention(6, 2), nn.Embedding(5, 6)
    for model, order, counts in (
        (nn.Sequential(nn.Conv2d(2, 8, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)), ["0", "3"], [8]),
        (nn.Sequential(nn.LSTM(4, 5, num_layers=2), nn.Linear(5, 3)), ["0", "1"], 4 * [4 * 5]),
        (nn.Sequential(table, attention, nn.Linear(6, 3)), ["0", "1", "2"], [3 * 6, 6]),
        (nn.Linear(4, 3), [""], []),
    ):
        assert neurons(model, roles_of(model, order)) == counts
    assert neurons(Tokens(8), roles_of(Tokens(8), ["table", "mix", "head"], {"square": 2})) == [8, 8]


def test_a_first_step_of_adam_moves_outputs_as_the_neurons_and_one_of_random_signs_as_their_root():
    """Why one rate lies between both: of the last layer Δf = η Σ ±h over n neurons."""
    found = []
    for width in (64, 4096):
        model = nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 3))
        with first_step(model, batch_of_pairs(), StepOptions("cross_entropy", "adam")) as step:
            aligned = step.movements(1e-6)[1]["output"].outputs
        hidden = model[:2](X).detach()
        signs = torch.randint(2, (200, width, 3), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
        random = float(centred(hidden @ signs, "cross_entropy").square().mean().sqrt())
        found.append((aligned, random))
    (few, few_random), (many, many_random) = found
    assert many / few == pytest.approx(64, rel=0.15) and many_random / few_random == pytest.approx(8, rel=0.15)


def test_shares_keep_what_groups_move_and_a_new_group_takes_their_geometric_mean():
    small = {"hidden": Movement(1.0, 2.0), "output": Movement(1.0, 0.0)}
    big = {"hidden": Movement(9.0, 4.0), "output": Movement(8.0, 0.0), "input": Movement(3.0, 3.0)}
    assert group_shares(small, big) == pytest.approx({"hidden": 0.5, "output": 0.125, "input": 0.25})


# --- the whole ---------------------------------------------------------------------------------------------------------


def test_a_network_is_carried_to_itself_with_its_own_rate():
    model = mlp(16)
    found = transfer(model, copy.deepcopy(model), 0.03, (X, Y), optimizer="adamw")
    assert found.rate == pytest.approx(0.03, rel=0.05) and found.verdict == "as it is" and found.matched == "by name"
    assert all(part.rate == pytest.approx(0.03, rel=0.1) for part in found.parts)
    assert found.interval[0] < found.rate < found.interval[1]


def test_several_starts_of_the_small_network_are_averaged_and_one_is_itself():
    big, starts = mlp(32), [mlp(8, seed=seed) for seed in range(3)]
    found = [transfer(one, big, 1e-2, (X, Y), optimizer="adamw") for one in (*starts, starts[:1], starts)]
    assert found[3].rate == found[0].rate and [part.rate for part in found[3].parts] == [
        part.rate for part in found[0].parts
    ]
    critical, outputs = ([getattr(one, name)[0] for one in found[:3]] for name in ("critical", "outputs"))
    assert found[4].critical[0] == pytest.approx(math.prod(critical) ** (1 / 3))
    assert found[4].outputs[0] == pytest.approx(math.prod(outputs) ** (1 / 3), rel=1e-3)
    alone = zip(*([part.rate for part in one.parts] for one in found[:3]), strict=True)
    assert [part.rate for part in found[4].parts] == pytest.approx(
        [math.prod(rates) ** (1 / 3) for rates in alone], rel=1e-3
    )  # steps for differences are a thousandth of the critical rate
    assert "mean of 3 starts" in found[4].reason
    with pytest.raises(InputError, match="parameters differ"):
        transfer([mlp(8), mlp(8, 4)], big, 1e-2, (X, Y))
    with pytest.raises(InputError, match="empty list"):
        transfer([], big, 1e-2, (X, Y))


def normed(width, depth=2, skips=False):
    """A chain with a norm in front of each layer, or a stream to which the layers add."""
    torch.manual_seed(0)
    layers = [nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width)) for _ in range(depth)]
    inner = [Skipping(layer) if skips else layer for layer in layers]
    return nn.Sequential(nn.Linear(6, width), *inner, nn.LayerNorm(width), nn.Linear(width, 3))


class Skipping(nn.Module):
    def __init__(self, branch):
        super().__init__()
        self.branch = branch

    def forward(self, x):
        return x + self.branch(x)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_of_a_plain_chain_the_rate_is_the_mean_of_what_starts_and_layers_ask_for_and_of_starts_only_outputs_decide_over_width(
    optimizer,
):
    small = mlp(8)
    for big, exponent in ((mlp(64), 0.0), (mlp(8, 6), 0.5), (mlp(64, 6), 0.5)):
        found = transfer(small, big, 1e-2, (X, Y), optimizer=optimizer)
        ways = [found.critical[1] / found.critical[0], found.outputs[0] / found.outputs[1]]
        held = [min(way, 1.0) for way in ways]
        start = held[0] ** exponent * held[1] ** (1 - exponent)
        layers = float(found.reason.split("ask for ")[1].split(";")[0])
        assert found.rate == pytest.approx(1e-2 * math.sqrt(start * layers), rel=5e-3) and found.gradients == 3
        assert ("as only widths differ" in found.reason) == (exponent == 0)


@pytest.mark.parametrize(("optimizer", "power"), [("sgd", 0.5), ("adamw", 0.75)])
def test_where_signals_are_normalised_the_rate_goes_as_the_inverse_width_to_the_power_of_the_optimiser(
    optimizer, power
):
    found = transfer(normed(64), normed(1024), 1e-2, (X, Y), optimizer=optimizer)
    assert math.log(1e-2 / found.rate) / math.log(16) == pytest.approx(power, abs=0.12)
    words_and_sentences(found.reason)


def test_over_depth_the_rate_goes_as_the_number_of_layers_to_minus_three_quarters_in_a_chain_and_a_quarter_in_a_stream():
    few, many = 4, 36
    for skips, exponent in ((False, 0.75), (True, 0.25)):
        small, big = normed(32, few, skips), normed(32, many, skips)
        found = transfer(small, big, 1e-2, (X, Y), optimizer="adamw")
        assert math.log(1e-2 / found.rate) / math.log(many / few) == pytest.approx(exponent, abs=0.12)


@pytest.mark.parametrize("layers", [2, 6])
def test_the_sensitivity_is_between_sum_and_root_of_squares_of_what_small_random_relative_changes_do(layers):
    model = mlp(24, layers).double()
    x, generator = X.double(), torch.Generator().manual_seed(3)
    with first_step(model, batch_of_pairs(x), StepOptions("cross_entropy")) as step:
        told = step.sensitivity()
    start = {name: value.detach() for name, value in model.named_parameters()}

    def apart(outputs):
        outputs = outputs - outputs.mean(1, keepdim=True)
        return outputs - outputs.mean(0)

    def moved(name):
        squares = []
        for _ in range(40):
            push = torch.randn(start[name].shape, generator=generator, dtype=torch.float64)
            push = push * start[name].square().mean().sqrt()
            after = torch.func.functional_call(model, start | {name: start[name] + 1e-6 * push}, (x,))
            squares.append(float(apart(after - before).square().sum()) / 1e-12)
        return math.sqrt(sum(squares) / len(squares))

    with torch.no_grad():
        before = model(x)
        alone = [moved(name) / float(apart(before).norm()) for name in start]
    wanted = math.sqrt(sum(alone) * math.hypot(*alone))
    assert told == pytest.approx(wanted, rel=0.2)


def test_ends_of_how_far_a_step_moves_what_a_hidden_layer_gives_relatively():
    """Independent of the signal and aligned with it: of gradients 0 and ½ as powers of the width, of signs ½ and 1."""
    found = []
    for width in (64, 1024):
        torch.manual_seed(0)
        layers = [nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 3)]
        model, own = nn.Sequential(*layers), layers[2].weight
        slope = torch.autograd.grad(F.cross_entropy(model(X), Y), own)[0]
        signal = model[:2](X).detach()
        gives = (signal @ own.T).norm().item()
        signs = torch.randint(2, own.shape, generator=torch.Generator().manual_seed(0)) * 2.0 - 1
        steps = (slope.abs() * signs, slope, signs, slope.sign())
        found.append([(signal @ step.T).norm().item() / gives for step in steps])
    exponents = [math.log(wide / narrow) / math.log(16) for narrow, wide in zip(*found, strict=True)]
    assert exponents == pytest.approx([0.0, 0.5, 0.5, 1.0], abs=0.12)


def relu(depth):
    torch.manual_seed(0)
    inner = [layer for _ in range(depth) for layer in (nn.Linear(6, 6, bias=False), nn.ReLU())]
    return nn.Sequential(*inner, nn.Linear(6, 3))


@pytest.mark.parametrize(("optimizer", "lasting"), [("sgd", 1), (SGD(momentum=0.8), 5), ("adamw", 1)])
def test_a_rate_beyond_the_minimum_of_the_first_step_goes_as_the_inverse_degree_for_all_groups(optimizer, lasting):
    small, big = relu(1), relu(3)
    critical = transfer(small, big, 1e-4, (X, Y), optimizer=optimizer).critical[0]
    for share, held in ((0.4, False), (0.6, True)):
        rate = share * critical / lasting
        found = transfer([small, small], big, rate, (X, Y), optimizer=optimizer)
        assert ("its start is no measure." in found.reason) == held and found.passes <= 15
        words_and_sentences(found.reason)
    layers = float(found.reason.split("ask for ")[1].split(";")[0])
    assert found.rate == pytest.approx(rate * math.sqrt(layers / 2), rel=0.05) and layers < 1
    assert found.verdict == "uncertain" and found.advised == "rate"
    assert {part.rate for part in found.parts} == {found.rate}
    assert found.interval[0] < found.rate / 4 and found.interval[1] > 4 * found.rate


class Scaled(nn.Module):
    """a·Wx from W = 0, whose loss after a step of rate η knows ηa² alone."""

    def __init__(self, scale):
        super().__init__()
        self.scale, self.linear = scale, nn.Linear(6, 3, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, x):
        return self.scale * self.linear(x)


def test_of_a_linear_model_with_a_factor_the_rate_goes_as_its_inverse_square():
    targets = F.one_hot(Y, 3).float()
    found = transfer(Scaled(1.0), Scaled(3.0), 0.09, (X, targets), loss="half_squared_error")
    assert found.rate == pytest.approx(0.01, rel=0.05) and found.verdict == "changed"
    assert found.groups[0]["lr"] == pytest.approx(0.01, rel=1e-3)
    adam = transfer(Scaled(1.0), Scaled(3.0), 0.09, (X, targets), loss="half_squared_error", optimizer="adam")
    assert adam.rate == pytest.approx(0.03, rel=0.05)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_cost_is_within_the_promise_and_both_models_are_left_as_found(optimizer):
    small, big = Tokens(8), Tokens(32)
    tokens = torch.randint(9, (16, 5), generator=torch.Generator().manual_seed(0))
    forward, backward = [], []
    big.register_forward_hook(lambda *_: forward.append(torch.is_grad_enabled()))
    big.head.register_full_backward_hook(lambda *_: backward.append(1))
    before = [{name: value.clone() for name, value in model.state_dict().items()} for model in (small, big)]
    random = torch.get_rng_state()
    found = transfer(small, big, 1e-2, (tokens, tokens), loss="cross_entropy", optimizer=optimizer)
    assert len(backward) == found.gradients <= 5 and found.advised == "rate"
    # The data are fitted to the model, and the loss checked, by a pass each.
    assert found.passes <= 15 and len(forward) <= found.passes + found.gradients + 2
    for model, kept in zip((small, big), before, strict=True):
        assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
        assert model.training and all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_groups_hold_every_parameter_once_and_train():
    small, big = mlp(8, 2), mlp(32, 5)
    found = transfer(small, big, 1e-2, (X, Y), optimizer=torch.optim.AdamW(big.parameters(), 1e-2, weight_decay=0.1))
    assert isinstance(found, Transfer) and found.matched.startswith("by role") and found.advised == "groups"
    held = [id(parameter) for group in found.groups for parameter in group["params"]]
    assert sorted(held) == sorted(map(id, big.parameters()))
    for part in found.parts:
        assert part.rate * part.decay == pytest.approx(1e-2 * 0.1)
    optimizer = torch.optim.AdamW(found.groups)
    before = F.cross_entropy(big(X), Y).item()
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(big(X), Y).backward()
        optimizer.step()
    assert F.cross_entropy(big(X), Y).item() < before


def test_longer_runs_and_larger_batches_multiply_all_rates_by_measured_exponents():
    small, big = mlp(8), mlp(32)
    plain = transfer(small, big, 1e-2, (X, Y), optimizer="adamw", batch=12)
    other = transfer(small, big, 1e-2, (X, Y), optimizer="adamw", batch=(12, 48), steps=(100, 6400))
    length = run_length("adam", batch=(12, 48), steps=(100, 6400))
    assert other.rate == pytest.approx(plain.rate * length.factor)
    assert [part.rate for part in other.parts] == pytest.approx([part.rate * length.factor for part in plain.parts])
    assert other.interval[0] == pytest.approx(plain.interval[0] * length.low)
    assert "extrapolated to 6400 steps and 12 samples a step" in other.reason
    words_and_sentences(plain.reason)
    words_and_sentences(other.reason, sentences=4)


def test_of_a_larger_batch_weights_are_means_over_as_many_samples():
    small, big = mlp(8), mlp(32)
    made = torch.optim.AdamW(small.parameters(), weight_decay=0.1)
    found = transfer(small, big, 1e-2, (X, Y), optimizer=made, batch=(12, 48), steps=(100, 400))
    assert [part.rate * part.decay for part in found.parts] == pytest.approx([4 * 1e-2 * 0.1] * len(found.parts))
    coupled = transfer(
        small, big, 1e-2, (X, Y), optimizer=torch.optim.Adam(small.parameters(), weight_decay=0.1), batch=(12, 48)
    )
    assert {part.decay for part in coupled.parts} == {0.1}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_where_the_last_layer_starts_at_0_the_others_take_its_share(optimizer):
    small, big = mlp(8), mlp(32)
    for model in (small, big):
        nn.init.zeros_(model[-1].weight)
        nn.init.zeros_(model[-1].bias)
    found = transfer(small, big, 1e-2, (X, Y), optimizer=optimizer)
    rates = {part.role: part.rate for part in found.parts}
    assert all(0 < rate < math.inf for rate in rates.values()) and 0 < found.rate < math.inf
    assert found.outputs[0] > 0 and rates["input"] == rates["hidden"]


def test_a_group_that_the_small_network_lacks_is_told():
    small = nn.Sequential(nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 3, bias=False))
    found = transfer(small, mlp(16, 3), 0.1, (X, Y))
    assert "norms and biases" in found.matched or "hidden" in found.matched
    words_and_sentences(found.reason)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rate": 0.0}, "rate > 0"),
        ({"rate": math.nan}, "rate > 0"),
        ({"data": X}, "targets"),
        ({"batch": 0}, "batch"),
        ({"optimizer": "other"}, "optimizer"),
        ({"optimiser": "adamw"}, "got 'optimiser'"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message):
    given = {"rate": 0.1, "data": (X, Y)} | arguments
    with pytest.raises(InputError, match=message):
        transfer(mlp(8), mlp(16), given.pop("rate"), given.pop("data"), **given)


def test_a_name_alone_says_nothing_of_weight_decay():
    """Groups of an optimiser that came by its name keep whatever decay it is given."""
    small, big = mlp(8), mlp(32)
    found = transfer(small, big, 1e-2, (X, Y), optimizer="adamw")
    assert all(part.decay is None for part in found.parts)
    made = torch.optim.AdamW(found.groups, weight_decay=0.3)
    assert {group["weight_decay"] for group in made.param_groups} == {0.3}
    assert not any("weight_decay" in line for line in code_of(found))


def test_the_code_makes_the_optimiser_that_was_given_with_its_numbers():
    small, big = mlp(8), mlp(32)
    weights = [one for one in small.parameters() if one.ndim > 1]
    groups = [{"params": [small[0].bias], "weight_decay": 0.0}, {"params": weights}]
    for given, numbers in (
        ("nesterov", {"momentum": 0.9, "nesterov": True}),
        (SGD(momentum=0.8), {"momentum": 0.8, "nesterov": False}),
        (torch.optim.AdamW(groups, betas=(0.8, 0.9), weight_decay=0.2), {"betas": (0.8, 0.9), "weight_decay": 0.2}),
        (lambda parameters: torch.optim.NAdam(parameters, momentum_decay=0.01), {"momentum_decay": 0.01}),
    ):
        found = transfer(small, big, 1e-2, (X, Y), optimizer=given)
        for lines in (code_of(found)[:2], code_of(found)[2:]):  # with one rate, and with groups
            names = {"torch": torch, "model": big}
            exec("\n".join(lines), names)
            assert numbers.items() <= names["optimizer"].defaults.items()
            assert type(names["optimizer"]).__name__ == found.called[0].removeprefix("torch.optim.")


def test_every_role_keeps_the_decay_of_the_group_that_holds_it_in_the_small_network():
    small, big = mlp(8), mlp(32)
    biases = [one for name, one in small.named_parameters() if name.endswith("bias")]
    weights = [one for name, one in small.named_parameters() if name.endswith("weight")]
    groups = [{"params": biases, "weight_decay": 0.0}, {"params": weights, "weight_decay": 0.2}]
    found = transfer(small, big, 0.01, (X, Y), loss="cross_entropy", optimizer=torch.optim.AdamW(groups, lr=0.01))
    for part in found.parts:
        before = 0.0 if part.role == "norms and biases" else 0.2
        assert part.rate * part.decay == pytest.approx(0.01 * before)
    other = torch.optim.AdamW(mlp(4).parameters(), lr=0.01, weight_decay=0.3)  # of weights that are neither's
    found = transfer(small, big, 0.01, (X, Y), loss="cross_entropy", optimizer=other)
    assert all(part.rate * part.decay == pytest.approx(0.01 * 0.3) for part in found.parts)


def test_over_depth_no_group_of_a_plain_chain_is_above_the_small_networks_rate_and_over_width_some_are():
    shares = {"input": 3.0, "hidden": 0.2}
    small = AtStart(Crossing(9.0, 9.0, 9.0, 1), Movement(1.0, 1.0), {}, {"a": "input"})
    for roles, plain, held in (
        ({"b": "input"}, True, True),
        ({"b": "input"}, False, False),
        ({"a": "input"}, True, False),
    ):
        ways = Ways(small, replace(small, roles=roles), True, 0.1, plain=plain)
        assert ways.shares(shares) == {"input": 1.0 if held else 3.0, "hidden": 0.2}
