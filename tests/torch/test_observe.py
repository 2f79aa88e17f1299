"""The table of layers against sums by hand and gradients of autograd; planted faults are named."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from freeness.advice.fault import fault_of
from freeness.errors import InputError
from freeness.show import render_html, to_json
from freeness.torch import analyze
from freeness.torch.measured.observing import observe


def seeded(seed: int = 0) -> None:
    torch.manual_seed(seed)


def classes(model, x, y):
    return lambda: functional.cross_entropy(model(x), y)


def test_large_tensors_are_summed_over_all_their_blocks(monkeypatch):
    seeded()
    monkeypatch.setattr("freeness.torch.measured.observing._BLOCK", 7)
    model, x = nn.Linear(5, 4), torch.randn(3, 5)
    (row,) = observe(model, lambda: model(x).square().sum()).modules
    (gradient,) = torch.autograd.grad(model(x).square().sum(), model.weight)
    assert row.tensors[0].weight == pytest.approx(
        float(model.weight.detach().double().square().mean().sqrt()), rel=1e-14
    )
    assert row.tensors[0].gradient == pytest.approx(float(gradient.double().square().mean().sqrt()), rel=1e-14)


@given(
    widths=st.lists(st.integers(2, 12), min_size=2, max_size=5),
    bend=st.sampled_from([nn.Tanh, nn.ReLU, nn.GELU]),
    seed=st.integers(0, 2**16),
)
def test_signals_and_gradients_are_those_of_autograd(widths, bend, seed):
    seeded(seed)
    layers = [nn.Linear(6, widths[0]).double()]
    for a, b in pairwise(widths):
        layers += [bend(), nn.Linear(a, b).double()]
    model, x = nn.Sequential(*layers), torch.randn(5, 6, dtype=torch.float64)
    table = observe(model, lambda: model(x).square().sum())
    value, kept = x, {}
    for name, layer in model.named_children():
        value = layer(value)
        if isinstance(layer, nn.Linear):
            value.retain_grad()
            kept[name] = value
    value.square().sum().backward()
    assert [row.name for row in table.modules] == list(kept)
    for row in table.modules:
        out, layer = kept[row.name], model.get_submodule(row.name)
        assert row.signal == pytest.approx(float(out.detach().square().mean()), rel=1e-12)
        assert row.output_gradient == pytest.approx(float(out.grad.square().mean()), rel=1e-12)
        own = float(layer.weight.grad.square().sum() + layer.bias.grad.square().sum())
        assert row.gradient == pytest.approx(own, rel=1e-12)
        assert row.gradient == pytest.approx(sum(t.gradient**2 * t.size for t in row.tensors), rel=1e-12)


def residual(inplace: bool) -> nn.Module:
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.relu = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=inplace)

        def forward(self, x):
            branch = self.norm(self.conv(x))
            if inplace:
                branch += x
                return self.relu(branch)
            return self.relu(branch + x)

    seeded()
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=inplace), Block(), nn.Flatten(), nn.LazyLinear(3))


def test_operations_in_place_change_nothing():
    x, y = torch.randn(6, 3, 7, 7, generator=torch.Generator().manual_seed(1)), torch.arange(6) % 3
    tables = []
    for inplace in (False, True):
        model = residual(inplace)
        model(x)
        tables.append(observe(model, classes(model, x, y)))
    plain, written = tables
    for a, b in zip(plain.modules, written.modules, strict=True):
        assert (a.name, b.signal, b.output_gradient) == (
            b.name,
            pytest.approx(a.signal),
            pytest.approx(a.output_gradient),
        )
    assert len(plain.sums) == len(written.sums) == 1
    assert written.sums[0].branch_over_skip == pytest.approx(plain.sums[0].branch_over_skip, rel=1e-6)


def test_branch_over_skip_is_the_scale_of_the_branch():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 2)

        def forward(self, x):
            h = self.first(x)
            return self.second(-3 * h + h)  # the later signal is the branch

    seeded()
    model, x = Net(), torch.randn(4, 5)
    assert observe(model, lambda: model(x).sum()).sums[0].branch_over_skip == pytest.approx(3.0)


def test_equal_queries_see_every_token_alike():
    class Attention(nn.Module):
        def __init__(self, causal):
            super().__init__()
            self.value, self.causal = nn.Linear(8, 8), causal

        def forward(self, x):
            v = self.value(x).unflatten(-1, (2, 4)).transpose(1, 2)
            return functional.scaled_dot_product_attention(torch.zeros_like(v), v, v, is_causal=self.causal)

    seeded()
    x = torch.randn(3, 6, 8)
    for causal, rank in ((False, 1.0), (True, None)):
        model = Attention(causal)
        (row,) = observe(model, lambda model=model: model(x).square().mean()).attention
        assert row.entropy == pytest.approx(1.0, abs=1e-5)
        lower = torch.tril(torch.ones(6, 6)) / torch.arange(1, 7)[:, None]
        values = torch.linalg.svdvals(lower)
        p = values / values.sum()
        wanted = rank or float((-(p * p.log()).sum()).exp())
        assert row.rank == pytest.approx(wanted, rel=1e-4)


def test_attention_of_transformers_is_seen_inside_torchs_own_layers():
    seeded()
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0.0)
    model, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.randn(2, 7, 16)
    table = observe(model, lambda: model(x)[..., 0].square().mean())
    assert [row.name for row in table.attention] == ["layers.0.self_attn", "layers.1.self_attn"]
    assert [row.name for row in table.sums] == ["layers.0", "layers.0", "layers.1", "layers.1"]
    assert all(row.cosine is not None for row in table.sums)
    packed = {row.name: row for row in table.modules}["layers.0.self_attn.out_proj"]
    assert packed.signal is None  # another module takes its weights
    assert packed.gradient > 0


def test_cosine_of_equal_tokens_is_one():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Linear(4, 4)

        def forward(self, x):
            return self.mix(x) + self.mix(x)

    seeded()
    model, token = Net(), torch.randn(2, 1, 4)
    alike = observe(model, lambda: model(token.expand(2, 5, 4)).sum()).sums[0].cosine
    assert alike == pytest.approx(1.0, abs=1e-6)


def test_dead_and_saturated_shares_are_the_planted_ones():
    seeded()
    model = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 10), nn.Tanh(), nn.Linear(10, 2))
    with torch.no_grad():
        model[0].bias[:5] = -1e3
        model[2].bias[:4] = 1e3
    x = torch.randn(50, 6)
    relu, tanh = observe(model, lambda: model(x).square().mean()).activations
    assert relu.dead == pytest.approx(0.25)
    assert tanh.saturated == pytest.approx(0.4, abs=0.05)
    assert tanh.dead == pytest.approx(0.4)


def test_the_model_is_left_as_it_was():
    seeded()
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2))
    model[0].weight.requires_grad_(False)
    x = torch.randn(8, 4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    table = observe(model, lambda: model(x).square().mean(), training=True)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())
    assert not model[0].weight.requires_grad
    assert [t.name for t in table.modules[0].tensors] == ["0.bias"]  # what is trained is what is measured


def test_tied_weights_have_one_gradient():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(9, 6), nn.Linear(6, 9, bias=False)
            self.head.weight = self.table.weight

        def forward(self, tokens):
            return self.head(self.table(tokens))

    seeded()
    model, tokens = Tied(), torch.tensor([[1, 2, 3]])
    table = observe(model, lambda: functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()))
    functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
    whole = float(model.table.weight.grad.square().sum())
    assert [row.gradient for row in table.modules] == pytest.approx([whole, whole])


def chain(depth, width=24, gain=1.0):
    seeded()
    layers = []
    for _ in range(depth):
        layer = nn.Linear(width, width)
        nn.init.orthogonal_(layer.weight, gain)
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 4))


def dead_block():
    model = nn.Sequential(*[m for _ in range(4) for m in (nn.Linear(24, 24), nn.ReLU())], nn.Linear(24, 4))
    with torch.no_grad():
        model[4].bias.fill_(-1e3)
    return model


def one_layer_small():
    model = chain(6)
    with torch.no_grad():
        model[6].weight.mul_(1e-6)
    return model


def detached():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(24, 24), nn.Linear(24, 4)

        def forward(self, x):
            return self.second(self.first(x).detach())

    return Net()


@pytest.mark.parametrize(
    ("make", "place", "words"),
    [
        (lambda: chain(5), None, "No single layer is at fault"),
        (lambda: chain(60, gain=0.5), None, "vanishes"),
        (dead_block, "5", "dead"),
        (one_layer_small, "6", "vanishes"),
        (detached, "first", "no gradient"),
    ],
)
def test_planted_faults_are_named(make, place, words):
    seeded()
    model = make()
    x, y = torch.randn(16, 24), torch.arange(16) % 4
    fault = fault_of(observe(model, classes(model, x, y)))
    assert fault.place == place
    assert words in fault.sentence


class TwoWays(nn.Module):
    """An encoder with a small layer, and a decoder that hears little of it but reads tokens of its own."""

    def __init__(self):
        super().__init__()
        self.encoder, self.tokens = chain(3)[:-1], nn.Embedding(16, 24)
        self.cross, self.head = nn.Linear(24, 24), nn.Linear(24, 4)
        with torch.no_grad():
            self.encoder[2].weight.mul_(0.02)
            self.cross.weight.mul_(0.002)

    def forward(self, x):
        heard, own = self.encoder(x), self.tokens(torch.arange(16))
        return self.head(self.cross(heard) + own)


def test_a_gradient_is_not_lost_between_a_decoder_and_the_encoder_that_ran_before_it():
    seeded()
    model = TwoWays()
    x, y = torch.randn(16, 24), torch.arange(16) % 4
    table = observe(model, classes(model, x, y))
    assert [row.name for row in table.modules if row.begins] == ["encoder.0", "tokens"]
    assert fault_of(table).place == "encoder.2"


def test_numbers_that_are_not_finite_are_placed():
    model = chain(3)
    with torch.no_grad():
        model[2].weight[0, 0] = math.nan
    x, y = torch.randn(4, 24), torch.arange(4)
    assert fault_of(observe(model, classes(model, x, y))).place == "2"


@pytest.mark.parametrize(
    ("loss", "words"),
    [(lambda model, x: model(x), "one number"), (lambda model, x: x.sum(), "depends on the trained weights")],
)
def test_losses_that_are_none_are_refused(loss, words):
    model, x = nn.Linear(3, 2), torch.ones(2, 3)
    with pytest.raises(InputError, match=words):
        observe(model, lambda: loss(model, x))


@pytest.mark.usefixtures("undrawn")
def test_analyze_tells_the_table_and_the_fault_of_what_theory_does_not_cover():
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 4)
    )
    with torch.no_grad():
        model[1].bias.fill_(-1e3)
    x, y = torch.randn(12, 3, 8, 8), torch.arange(12) % 4
    report = analyze(model, (x, y))
    assert [row.name for row in report.layers] == ["0", "1", "5"]
    assert report.fault is not None and report.fault.place == "2" and "dead" in report.fault.sentence
    page = render_html([report])
    assert "are dead: their slope is 0" in page and "BatchNorm2d" in page
    assert to_json(report)["layers"][1]["scale"] == 1.0


def test_the_state_of_a_recurrence_and_gates_are_no_skip_connections():
    class Decaying(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.gate, self.out = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x):
            state, new, open_ = torch.zeros(len(x), 6), self.into(x), torch.sigmoid(self.gate(x))
            for _ in range(4):
                state = 0.02 * state + open_ * new
            return self.out(state)

    seeded()
    model, x = Decaying(), torch.randn(5, 4)
    table = observe(model, lambda: model(x).square().mean())
    assert not table.sums and not fault_of(table).grave


def test_in_a_cell_the_input_is_the_skip_connection_whichever_is_written_first():
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.inputs, self.state = nn.Linear(4, 12), nn.Linear(12, 12)

        def forward(self, x):
            h = torch.zeros(len(x), 12)
            for part in x.unbind(1):
                h = torch.tanh(0.1 * self.state(h) + self.inputs(part))
            return h

    torch.manual_seed(0)
    model, x = Cell(), torch.randn(8, 3, 4)
    sums = observe(model, lambda: model(x).square().sum()).sums
    assert len(sums) == 2 and all(row.branch_over_skip < 0.2 for row in sums)  # the first state is none


def test_what_the_loss_computes_is_none_of_the_model():
    seeded()
    model, x = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), torch.randn(5, 4)
    table = observe(model, lambda: torch.relu(model(x) - 50.0).sum() + model(x).square().mean())
    assert {row.kind for row in table.activations} == {"tanh"}
    assert not fault_of(table).grave


class Opening(nn.Module):
    """x + f(x) whose last weight starts at 0, as residual networks and U-Nets of diffusion start."""

    def __init__(self):
        super().__init__()
        self.into, self.inner, self.last, self.out = (nn.Linear(4, 4) for _ in range(4))
        for tensor in self.last.parameters():
            nn.init.zeros_(tensor)

    def forward(self, x):
        x = self.into(x)
        return self.out(x + self.last(torch.tanh(self.inner(x))))


def test_a_branch_that_starts_at_0_is_no_fault_and_a_weight_that_stays_there_is():
    seeded()
    model, x = Opening(), torch.randn(5, 4)
    table = observe(model, lambda: model(x).square().mean())
    assert {row.name: row for row in table}["inner"].gradient == 0
    assert not fault_of(table).grave
    nn.init.zeros_(model.out.weight)
    model.out.weight.requires_grad_(False)  # nothing leaves 0 now
    assert fault_of(observe(model, lambda: model(x).square().mean())).grave


def test_a_module_that_does_not_run_is_no_fault():
    class Idle(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(4, 3))
            self.idle = nn.Linear(2, 2)

        def forward(self, x):
            return self[0](x)

    seeded()
    model, x = Idle(), torch.randn(5, 4)
    table = observe(model, lambda: model(x).square().mean())
    assert [row.name for row in table] == ["0", "idle"] and not fault_of(table).grave


class Latent(nn.Module):
    """Learned latents that read the inputs, as a Perceiver has; a spread of noise that is a softplus of numbers of its own."""

    def __init__(self):
        super().__init__()
        self.latents, self.spread = nn.Parameter(0.01 * torch.randn(3, 4)), nn.Parameter(torch.full((4,), -6.0))
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        z = self.latents.expand(len(x), -1, -1)
        z = z + torch.softmax(self.blocks[0](z) @ x.transpose(1, 2), -1) @ x
        for block in self.blocks[1:]:
            z = z + torch.tanh(block(z))
        return z * functional.softplus(self.spread)


def test_numbers_of_the_model_s_own_are_no_signal_that_drowns_or_saturates():
    seeded()
    model, x = Latent(), torch.randn(5, 7, 4)
    table = observe(model, lambda: model(x).square().mean())
    assert [row.kind for row in table.activations] == ["tanh", "tanh"] and len(table.sums) == 2
    assert not fault_of(table).grave


def test_a_bias_whose_gradients_cancel_over_the_samples_is_no_fault():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 1)
            self.last.weight.requires_grad_(False)

        def forward(self, x):
            return self.last(torch.tanh(self.first(x)))

    seeded()
    model, x, signs = Fixed(), torch.randn(4, 4), torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None]
    table = observe(model, lambda: (1 - signs * model(x)).sum())
    assert {row.name: row for row in table}["last"].gradient == 0 and not fault_of(table).grave


def test_a_last_layer_that_starts_at_0_is_no_fault_of_two():
    seeded()
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(6, 4)
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[2].bias)
    report = analyze(model, (x, torch.arange(6) % 3))
    assert not fault_of(report.layers).grave and report.verdict.phase == "critical"
    assert report.headline.endswith("reach every layer, some of them from the second step on.")
    assert "Repair" not in report.learning_rate.reason and report.learning_rate.known


class Skipped(nn.Module):
    """Blocks with an output each, as WaveNet has them: what the last one passes on is read by nobody."""

    def __init__(self):
        super().__init__()
        self.into, self.on, self.out = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 2)
        self.last = nn.Linear(8, 8)

    def forward(self, x):
        x = torch.tanh(self.into(x))
        outputs = self.out(x)
        x = x + self.on(x)
        outputs = outputs + self.out(x)
        self.last(x)
        return outputs


class Ranked(nn.Module):
    """The score of one item over that of another, in which the bias of the user cancels."""

    def __init__(self):
        super().__init__()
        self.item, self.user = nn.Linear(4, 1), nn.Embedding(3, 1)

    def forward(self, x):
        user = torch.arange(len(x)) % 3
        first, second = (self.item(part) + self.user(user) for part in (x, x.flip(0)))
        return first - second


@pytest.mark.parametrize(
    ("make", "place", "why"),
    [(Skipped, "last", "its output does not reach the loss"), (Ranked, "user", "what comes back to its uses cancels")],
)
def test_a_part_that_gets_no_gradient_does_not_stop_the_others(make, place, why):
    """They were said to train badly; trained, they lose most of their loss."""
    seeded()
    model, x = make(), torch.randn(12, 4)
    target = torch.tanh(x[:, :1] - x.flip(0)[:, :1]).detach()
    loss = lambda: (model(x) - target).square().mean()  # noqa: E731
    report = analyze(model, (x, target.expand(-1, 2 if make is Skipped else 1)), loss="mse")
    assert report.fault.place == place and why in report.fault.sentence and not report.fault.grave
    assert report.headline.startswith("It trains, but for a part. The weights of ")
    optimizer, first = torch.optim.Adam(model.parameters(), 0.02), float(loss().detach())
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert float(loss().detach()) < 0.5 * first


@pytest.mark.parametrize(("share", "grave"), [(0.4, None), (0.6, None), (0.9, False), (1.0, True)])
def test_most_of_a_layer_that_is_dead_leaves_the_rest(share, grave):
    seeded()
    model, x = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.Linear(20, 3)), torch.randn(9, 4)
    with torch.no_grad():
        model[0].bias[: round(20 * share)] = -99.0
        model[0].bias[round(20 * share) :] = 1.0
    fault = fault_of(observe(model, lambda: model(x).square().mean()))
    assert (fault.found, fault.grave) == (grave is not None, bool(grave))


class Noisy(nn.Module):
    """Means with noise on them, whose size is learned too, as a variational posterior has; then blocks."""

    def __init__(self):
        super().__init__()
        self.into = nn.Linear(4, 16)
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        mean, size = self.into(x).chunk(2, -1)
        z = 0.05 * mean + torch.ones_like(mean) * size.exp()
        for block in self.blocks:
            z = z + torch.tanh(block(z))
        return z


def test_noise_that_stands_on_a_mean_is_no_branch():
    seeded()
    model, x = Noisy(), torch.randn(5, 4)
    table = observe(model, lambda: model(x).square().mean())
    assert len(table.sums) == 3 and not fault_of(table).found


class Padded(nn.Module):
    """A place in front of the others, by a concatenation or by zeros of which a part is written; then blocks."""

    def __init__(self, written):
        super().__init__()
        seeded()
        self.written, self.into = written, nn.Linear(4, 8)
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        inner = self.into(x)
        if self.written:
            h = x.new_zeros(len(x), x.shape[1] + 1, 8)
            h[:, 1:] = inner
        else:
            h = torch.cat([0 * inner[:, :1], inner], 1)
        for block in self.blocks:
            h = h + torch.tanh(block(h))
        return h


def test_zeros_of_which_a_part_is_written_are_signals():
    seeded()
    x = torch.randn(5, 3, 4)
    tables = [observe(model, lambda m=model: m(x).square().mean()) for model in (Padded(False), Padded(True))]
    for table in tables:
        assert len(table.sums) == len(table.activations) == 3
        assert [row.name for row in table.modules if row.begins] == ["into"]
    first, second = ([row.branch_over_skip for row in table.sums] for table in tables)
    assert first == pytest.approx(second, rel=1e-6)
