"""The table of layers: predicted beside measured."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from freeness.show import answer_of, layer_table, render_html, to_json
from freeness.show.terminal import answer_text
from freeness.torch import AnalyzeOptions, analyze, observe, trace
from freeness.torch.analyzing.layer_theory import OutputLoss, with_theory


class Residual(nn.Module):
    def __init__(self, norm):
        super().__init__()
        self.first, self.head = nn.Linear(20, 120), nn.Linear(120, 6)
        self.norm = nn.LayerNorm(120) if norm else nn.Identity()
        self.inner, self.outer = nn.Linear(120, 120), nn.Linear(120, 120, bias=False)

    def forward(self, x):
        x = self.first(x)
        return self.head(torch.relu(x + 0.5 * self.outer(torch.tanh(self.inner(self.norm(x))))))


def chain():
    return nn.Sequential(nn.Linear(20, 120), nn.ReLU(), nn.Linear(120, 120), nn.ReLU(), nn.Linear(120, 6))


def convolutions():
    return nn.Sequential(
        *(nn.Conv2d(2, 60, 3, padding=1), nn.ReLU(), nn.Conv2d(60, 60, 3, padding=1), nn.ReLU()),
        *(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(240, 6)),
    )


MODELS = {
    "chain": chain,
    "residual": lambda: Residual(False),
    "normalised": lambda: Residual(True),
    "cnn": convolutions,
}


def drawn(make, seed):
    torch.manual_seed(seed)
    model = make()
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, 0, 1.3 * module.weight[0].numel() ** -0.5)
    return model


def table_of(model, x, loss):
    outputs = model(x).detach()
    measured = observe(model, lambda: loss(model(x)))
    return with_theory(measured, trace(model, x), x, OutputLoss(outputs, loss))


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_those_of_the_mean_over_draws(name):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, 2, 4, 4, generator=generator) if name == "cnn" else torch.randn(12, 20, generator=generator)
    y = torch.randint(0, 6, (12,), generator=generator)
    tables = [table_of(drawn(MODELS[name], seed), x, lambda f: functional.cross_entropy(f, y)) for seed in range(8)]
    assert not any(row.departs for table in tables for row in table)
    for rows in zip(*tables, strict=True):
        for seen, told in (("signal", "signal_predicted"), ("gradient", "gradient_predicted")):
            ratios = np.array([getattr(row, seen) / getattr(row, told) for row in rows])
            assert abs(ratios.mean() - 1) < 0.1 + 2 * ratios.std(ddof=1) / len(ratios) ** 0.5, (rows[0].name, seen)


class Typed(nn.Module):
    """Tokens, a row of another table that all of them have, given waves of positions, and masks."""

    def __init__(self, rate):
        super().__init__()
        self.table, self.kinds, self.drop = nn.Embedding(30, 96), nn.Embedding(2, 96), nn.Dropout(rate)
        places = torch.arange(6)[:, None] / 10 ** torch.linspace(0, 3, 48)
        self.register_buffer("places", torch.cat([places.sin(), places.cos()], 1))
        self.inner, self.head = nn.Linear(96, 96), nn.Linear(96, 5)

    def forward(self, tokens):
        h = self.drop(self.table(tokens) + self.kinds(torch.zeros_like(tokens)) + self.places)
        return self.head(self.drop(torch.relu(self.inner(h.mean(1)))))


@pytest.mark.parametrize("rate", [0.0, 0.4])
def test_what_positions_have_in_common_and_masks_are_told(rate):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 30, (10, 6), generator=generator)
    labels, ratios = torch.randint(0, 5, (10,), generator=generator), []
    for seed in range(8):
        model = drawn(lambda: Typed(rate), seed).train()
        loss = lambda f: functional.cross_entropy(f, labels)  # noqa: E731
        state = torch.get_rng_state()
        outputs = model(tokens).detach()
        torch.set_rng_state(state)
        measured = observe(model, lambda model=model, loss=loss: loss(model(tokens)), training=None)
        table = with_theory(measured, trace(model, tokens), tokens, OutputLoss(outputs, loss), training=None)
        rows = [row for row in table if row.name in ("table", "inner", "head")]
        ratios.append(
            [row.gradient / (row.gradient_predicted or 0.0) for row in rows]
            + [row.signal / (row.signal_predicted or 0.0) for row in rows]
        )
    found = np.array(ratios)
    assert found.shape == (8, 6)
    assert (np.abs(found.mean(0) - 1) < 0.1 + 2.5 * found.std(0, ddof=1) / len(found) ** 0.5).all(), found.mean(0)


class Functional(nn.Module):
    """Dropout by functions: as torch advises, and what is called in training alone."""

    def __init__(self, way):
        super().__init__()
        self.way, self.inner, self.head = way, nn.Linear(20, 120), nn.Linear(120, 5)

    def forward(self, x):
        h = torch.relu(self.inner(x))
        if self.way == "usual":
            h = functional.dropout(h, 0.5, self.training)
        elif self.training:
            h = functional.dropout(h, 0.5) if self.way == "alone" else h * 2 * (torch.rand(len(h), 1) > 0.5)
        return self.head(h)


def test_functions_that_drop_are_told_and_what_training_alone_draws_is_refused():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 20, generator=generator), torch.randint(0, 5, (40,), generator=generator)
    how = AnalyzeOptions(training=True, only=("layers",))
    told = [
        [row.gradient / (row.gradient_predicted or 0.0) for row in analyze(model, (x, y), how).layers]
        for model in (drawn(lambda: Functional("usual"), seed) for seed in range(4))
    ]
    assert np.abs(np.mean(told, axis=0) - 1).max() < 0.2
    for way, word in (("alone", "dropout in training alone"), ("path", "rand in training alone")):
        assert word in analyze(drawn(lambda way=way: Functional(way), 0), (x, y), how).layers.refused


def test_masks_of_whole_positions_are_refused():
    model = nn.Sequential(nn.Linear(20, 30), nn.Dropout1d(0.5), nn.Flatten(), nn.Linear(90, 5))
    x, y = torch.randn(8, 3, 20), torch.randint(0, 5, (8,))
    refused = analyze(model, (x, y), AnalyzeOptions(training=True, only=("layers",))).layers.refused
    assert "whole positions" in refused


def test_a_mean_of_a_tensor_beside_the_signal_is_none_behind_a_layer_norm():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.shift, self.norm = nn.Linear(20, 120), nn.Parameter(torch.ones(120)), nn.LayerNorm(120)
            self.head = nn.Linear(120, 5)

        def forward(self, x):
            return self.head(self.norm(self.first(x) + self.shift))

    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(12, 20, generator=generator), torch.randint(0, 5, (12,), generator=generator)
    tables = [table_of(drawn(Shifted, seed), x, lambda f: functional.cross_entropy(f, y)) for seed in range(4)]
    ratios = [table[0].gradient / table[0].gradient_predicted for table in tables]
    assert np.mean(ratios) == pytest.approx(1, abs=0.2)


def test_second_derivatives_of_squared_errors_are_exact_and_of_absolute_ones_zero():
    f = torch.tensor([[1.0, -2.0]])
    gradient, curved = OutputLoss(f, lambda found: found.square().mean()).derivatives()
    assert gradient.tolist() == [[1.0, -2.0]] and curved.tolist() == [[1.0, 1.0]]
    assert OutputLoss(f, lambda found: found.abs().sum()).derivatives()[1].tolist() == [[0.0, 0.0]]


@pytest.mark.usefixtures("undrawn")
def test_a_layer_far_from_theory_is_pointed_out_everywhere():
    torch.manual_seed(0)
    x, y = torch.randn(32, 20), torch.randint(0, 6, (32,))
    model = drawn(chain, 0)
    with torch.no_grad():  # a matrix that follows its input: its singular vectors are not random
        h = torch.relu(model[0](x)).mean(0)
        model[2].weight.add_(torch.outer(torch.ones(120), h) / h.square().sum() * 3)
    report = analyze(model, (x, y), AnalyzeOptions(only="layers"))
    assert [row.name for row in report.layers] == ["0", "2", "4"]
    assert "signal" in report.layers[1].departs and "signal" not in report.layers[0].departs
    assert 1 in layer_table(report).flagged
    told = [part.text for section in answer_of(report).sections for part in section.parts if hasattr(part, "text")]
    assert any("'2'" in text and "departs from theory" in text for text in told)
    page = render_html([report])
    assert '<tr class="flagged">' in page and "departs from theory" in page
    shown = report._repr_html_()
    assert "<strong>2</strong>" in shown and "departs from theory" in shown
    row = report.layers[0]
    scatters = (
        f"{row.signal_predicted:.3g} ± {row.signal_scatter:.0%}",
        f"{row.gradient_predicted:.3g} ± {row.scatter:.0%}",
    )
    assert all(f">{one}<" in page and one in answer_text(report) for one in scatters) and scatters[0] in shown
    assert all("scatters about" in text for text in (page, shown, answer_text(report)))
    row = to_json(report)["layers"][1]
    assert row["signal"] > 2 * row["signal_predicted"] and row["scatter"] < 1


def test_old_names_of_the_table_warn():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 20), nn.Tanh(), nn.Linear(20, 2))
    report = analyze(model, (torch.randn(8, 4), torch.tensor([0, 1] * 4)), AnalyzeOptions(only="layers"))
    with pytest.warns(DeprecationWarning, match="use Analysis.layers"):
        old = report.modules
    assert old is report.layers and [row.name for row in report.chain] == ["0", "2"]


def test_models_that_theory_does_not_cover_have_no_predictions():
    model = nn.Sequential(nn.Linear(4, 6), nn.Softmax(-1), nn.Linear(6, 2))
    report = analyze(model, (torch.randn(8, 4), torch.tensor([0, 1] * 4)))
    assert [(row.signal_predicted, row.gradient_predicted) for row in report.layers] == [(None, None)] * 2
    assert "theory" not in layer_table(report).header


class Block(nn.Module):
    """A pre-norm block with packed, causal attention."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.packed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width, bias=False)
        self.inner, self.outer = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        shape = (*x.shape[:2], self.heads, -1)
        three = (part.view(shape).transpose(1, 2) for part in self.packed(self.before(x)).split(x.shape[-1], -1))
        mixed = functional.scaled_dot_product_attention(*three, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.outer(functional.gelu(self.inner(self.between(x))))


class Language(nn.Module):
    """Tokens with learned positions through a block to logits."""

    def __init__(self, count, width, tokens):
        super().__init__()
        self.table, self.places = nn.Embedding(count, width), nn.Parameter(torch.randn(1, tokens, width))
        self.blocks, self.head = nn.Sequential(Block(width, 4)), nn.Linear(width, count, bias=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens):
        return self.head(self.norm(self.blocks(self.table(tokens) + self.places)))


def test_every_matrix_of_a_transformer_is_predicted():
    """Cross-entropy of a batch of tokens; one network scatters, all of its matrices together less."""
    torch.manual_seed(3)
    model, tokens, targets = Language(30, 96, 6).eval(), torch.randint(0, 30, (4, 6)), torch.randint(0, 30, (24,))
    table = table_of(model, tokens, lambda found: functional.cross_entropy(found.reshape(-1, 30), targets))
    rows = [row for row in table if row.gradient_predicted is not None and row.scale is None]
    assert {row.name.split(".")[-1] for row in rows} == {"table", "packed", "out", "inner", "outer", "head"}
    ratios = np.log([row.gradient_predicted / row.gradient for row in rows])
    assert np.abs(ratios).max() < np.log(1.7)
    norms = [row for row in table if row.scale is not None]
    assert norms and all(abs(np.log(row.gradient_predicted / row.gradient)) < 4 * row.scatter < 2 for row in norms)
    assert abs(ratios.mean()) < 0.15


def test_the_signal_of_an_attention_module_is_that_behind_its_output_matrix():
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(64, 4, 64, 0.0, batch_first=True, norm_first=True)
    model, x = nn.Sequential(nn.Linear(5, 64), block, nn.Linear(64, 3)), torch.randn(6, 8, 5)
    table = table_of(model.eval(), x, lambda found: found.square().mean())
    (row,) = (row for row in table if row.kind == "MultiheadAttention")
    assert row.signal_predicted == pytest.approx(row.signal, rel=3 * row.signal_scatter) and row.signal_scatter < 0.2


class Tied(Language):
    """The head is the embedding's table, which theory of wide layers does not cover."""

    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.head.weight = self.table.weight


def standing(count, width):
    """A chain whose batch norms stand at statistics of 64 other inputs."""
    layers = []
    for place in range(3):
        layers += [nn.Linear(count if place == 0 else width, width), nn.BatchNorm1d(width, momentum=1.0), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(width, 6))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 1.4 * module.in_features**-0.5)
    model(torch.randn(64, count))
    return model.eval()


def scores(table):
    """ln(measured/predicted) over the scatter that is told, of rows with a prediction."""
    rows = [row for row in table if row.gradient_predicted is not None]
    assert table.around and all(row.signal_predicted is None for row in rows)
    return {row.name: np.log(row.gradient / row.gradient_predicted) / row.scatter for row in rows}


def test_tied_weights_are_told_around_the_pass_of_the_model():
    """Every weight is within three scatters in two draws, and these are not much wider than needed."""
    found = []
    for seed in range(2):
        torch.manual_seed(seed)
        model, tokens, targets = Tied(30, 64, 5).eval(), torch.randint(0, 30, (4, 5)), torch.randint(0, 30, (20,))
        nn.init.normal_(model.table.weight, 0, 0.1)
        table = table_of(model, tokens, lambda f, y=targets: functional.cross_entropy(f.reshape(-1, 30), y))
        found.append(scores(table))
    assert {name.split(".")[-1] for name in found[0]} == {"table", "packed", "out", "inner", "outer", "head"}
    every = np.array([list(each.values()) for each in found])
    assert np.abs(every).max() < 3
    assert 0.2 < (every**2).mean() ** 0.5 < 1.5


def test_batch_normalisation_in_eval_mode_is_a_given_map():
    torch.manual_seed(0)
    model, x, y = standing(20, 150), torch.randn(8, 20), torch.randint(0, 6, (8,))
    found = scores(table_of(model, x, lambda f: functional.cross_entropy(f, y)))
    assert list(found) == ["0", "3", "6", "9"] and max(map(abs, found.values())) < 3


def test_realised_predictions_are_named_wherever_they_are_shown():
    torch.manual_seed(1)
    model, x = standing(6, 40), torch.randn(8, 6)
    report = analyze(model, (x, torch.tensor([0, 1] * 4)), AnalyzeOptions(training=False, only=("layers",)))
    assert "realised" in layer_table(report).header and "theory" not in layer_table(report).header
    told = report.layers.assumption
    assert "random weights over channels" in told and "scatters by up to" in told
    texts = [part.text for section in answer_of(report).sections for part in section.parts if hasattr(part, "text")]
    assert told in texts and told in render_html([report]) and told in report._repr_html_()
    assert to_json(report)["watched"]["around"] in told


def test_why_no_layer_is_predicted_is_said_wherever_that_is_shown():
    torch.manual_seed(2)
    x, labels = torch.randn(4, 6), torch.tensor([0, 1] * 2)
    model = nn.Sequential(nn.Linear(6, 40), nn.SELU(), nn.AlphaDropout(0.5), nn.Linear(40, 2))
    report = analyze(model, (x, labels), AnalyzeOptions(training=True, only=("layers",)))
    assert "masks" in report.layers.refused and not any(row.gradient_predicted for row in report.layers)
    told = f"No prediction of the layers: {report.layers.refused}"
    texts = [part.text for section in answer_of(report).sections for part in section.parts if hasattr(part, "text")]
    assert told in texts and to_json(report)["watched"]["refused"] == report.layers.refused
    assert analyze(model, (x, labels), AnalyzeOptions(training=False, only=("layers",))).layers.refused == ""


def test_layers_between_batch_norms_are_told_for_the_batch_at_hand():
    """One direction of the inputs is ten times the others, as the brightness of real images; training mode, means of 24 draws."""
    torch.manual_seed(3)
    x, labels = torch.randn(24, 1) * 10 + torch.randn(24, 20), torch.arange(24) % 5

    def make():
        layers = [nn.Linear(20, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, 48), nn.BatchNorm1d(48), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(48, 5))

    def loss(outputs):
        return (outputs * (functional.one_hot(labels, 5) - 0.2)).sum() / 24

    tables = []
    for seed in range(24):
        model = drawn(make, seed).train()
        outputs = OutputLoss(model(x).detach(), loss)
        table = observe(model, lambda model=model: loss(model(x)))
        tables.append(with_theory(table, trace(model, x), x, outputs, training=True) if seed == 0 else table)
    for place, row in enumerate(tables[0]):
        if row.kind == "Linear":
            for told, name in ((row.signal_predicted, "signal"), (row.gradient_predicted, "gradient")):
                seen = np.array([getattr(table[place], name) for table in tables])
                error = seen.std(ddof=1) / len(seen) ** 0.5
                assert abs(told - seen.mean()) < 3 * error + 0.06 * seen.mean()


def test_a_module_that_runs_again_and_again_is_not_predicted_around_one_pass():
    """Euler's steps: gradients of one weight point the same way at each of them, and theory would add them as independent."""

    class Euler(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.slope, self.out = nn.Linear(5, 40), nn.Linear(40, 40), nn.Linear(40, 3)

        def forward(self, x):
            x = self.into(x)
            for _ in range(6):
                x = x + 0.1 * self.slope(x)
            return self.out(x)

    torch.manual_seed(0)
    table = table_of(Euler(), torch.randn(8, 5), lambda f: f.square().mean())
    predicted = {row.name: row.gradient_predicted for row in table}
    assert table.around and predicted["slope"] is None and predicted["out"] is not None
