import json

import pytest
import torch

from freeness import design
from freeness.advice import DesignOptions
from tests.cli.called import Called

MODEL = """
import torch
from torch import nn


def build():
    print("hello from the model")
    return nn.Sequential(nn.Linear(12, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 4))


def branched():
    return nn.ModuleList([nn.Linear(3, 4), nn.Linear(5, 6)])


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.user, self.item = (nn.Sequential(nn.Linear(n, 16), nn.Tanh(), nn.Linear(16, 8)) for n in (6, 4))

    def forward(self, user, item):
        return (self.user(user) * self.item(item)).sum(1, keepdim=True)


def towers():
    return Towers()


def rated():
    return {"user": torch.ones(3, 6), "item": torch.ones(3, 4), "labels": torch.ones(3, 1)}


class Answered(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.cell, self.head = nn.Embedding(9, 6), nn.GRU(8, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, tokens, marks):
        return self.head(self.cell(torch.cat([self.table(tokens), marks], -1))[0][:, -1])


def answered():
    return Answered()


def questions():
    return (torch.ones(2, 3, dtype=torch.long), torch.ones(2, 3, 2)), torch.zeros(2, dtype=torch.long)


def chain(*activations, width=12):
    layers = [layer for act in activations for layer in (nn.Linear(width, width), act)]
    return nn.Sequential(*layers, nn.Linear(width, width))


def relu():
    return chain(nn.ReLU(), nn.ReLU())


def unbiased():
    model = chain(nn.Tanh(), nn.Tanh())
    for layer in model[::2]:
        layer.bias = None
    return model


def mixed():
    return chain(nn.ReLU(), nn.Tanh())


def leaky():
    return chain(nn.LeakyReLU(0.2), nn.LeakyReLU(0.2))


class Called(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.first, self.last, self.function = nn.Linear(12, 12), nn.Linear(12, 4), function

    def forward(self, x):
        return self.last(self.function(self.first(x)))


def called():
    return Called(torch.nn.functional.gelu)


def own():
    return Called(lambda x: x * torch.cos(x))


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(4, 8, 3, padding=1), nn.Tanh(),
        nn.Flatten(), nn.Linear(8 * 196, 10),
    )


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(12, 2, batch_first=True)
        self.wide, self.act, self.narrow = nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12)

    def forward(self, x):
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return x + self.narrow(self.act(self.wide(x)))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.blocks, self.head = nn.Embedding(20, 12), nn.Sequential(Block(), Block()), nn.Linear(12, 4)

    def forward(self, tokens):
        return self.head(self.blocks(self.table(tokens)).mean(1))


def transformer():
    return Transformer()


def gpt():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.norm, self.head = nn.Embedding(20, 16), nn.LayerNorm(16), nn.Linear(16, 20)
            self.block = nn.TransformerEncoderLayer(16, 2, 32, norm_first=True, batch_first=True)
            self.head.weight = self.table.weight

        def forward(self, tokens):
            return self.head(self.norm(self.block(self.table(tokens))))

    return Model()
"""


run = Called("design")
document = run.document


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL, encoding="utf-8")
    return path


def test_it_prints_the_design_the_table_and_the_reasons():
    result = run("--depth", "101", "--activation", "hardtanh", "--isometry", "0.25", "--width", "64")
    assert result.exit_code == 0 and result.stderr == ""
    assert f"{design(101, 64, 'hardtanh', 0.25).q:.6g}" in result.stdout and "1.00125" in result.stdout  # theory.md §8
    for text in ("PyTorch default", "Xavier", "He", "this design", "Haar-orthogonal", "The rate follows from"):
        assert text in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_holds_what_the_library_says():
    found = document("--depth", "6", "--activation", "gelu", "--width", "20,30,30,30,30,30,5", "--qhat0", "0.3")
    exact = design(6, [20, 30, 30, 30, 30, 30, 5], "gelu", None, DesignOptions(qhat0=0.3))
    assert found["q"] == pytest.approx(exact.q) and found["sigma_b"] == pytest.approx(exact.sigma_b)
    assert [layer["sigma_w"] for layer in found["layers"]] == pytest.approx([layer.sigma_w for layer in exact.layers])
    assert [row["name"] for row in found["table"]] == ["PyTorch default", "Xavier", "He", "this design"]
    assert found["table"][3]["xi"] is None  # any depth
    assert found["learning_rate"]["bound"] == pytest.approx(exact.learning_rate.bound)
    assert found["schema_version"] == 1 and found["applied"] == []


def test_rates_by_optimiser_and_parametrisation():
    plain = document("--depth", "4", "--width", "50")
    fast = document("--depth", "4", "--width", "50", "--optimizer", "momentum", "--momentum", "0.5")
    assert fast["learning_rate"]["bound"] == pytest.approx(1.5 * plain["learning_rate"]["bound"])
    layers = document("--depth", "4", "--width", "256", "--parametrisation", "mup")["learning_rate"]["layers"]
    assert layers[0]["weights"] == pytest.approx(2 * layers[1]["weights"])


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture_is_written(tmp_path, ending):
    path = tmp_path / f"dial.{ending}"
    result = run("--depth", "5", "--width", "20", "--out", str(path))
    assert result.exit_code == 0, result.stderr
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")


@pytest.mark.parametrize("form", ["plain", "normalised"])
def test_a_model_is_initialised_and_saved(tmp_path, model, form):
    start, numbers = tmp_path / "start.pt", tmp_path / "design.json"
    result = run(
        "--apply", f"{model}:build", "--save", str(start), "--form", form, "--json", str(numbers), "--seed", "3"
    )
    assert result.exit_code == 0, result.stderr
    assert "3 layers initialised" in result.stdout and "hello" not in result.stdout and "runs the code" in result.stderr
    assert ("2 activations exchanged" in result.stdout) == (form == "normalised")
    state = torch.load(start, weights_only=True)
    found = json.loads(numbers.read_text(encoding="utf-8"))
    assert found["widths"] == [12, 20, 20, 4] and list(state) == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
        "4.weight",
        "4.bias",
    ]
    for layer, key in zip(found["layers"], ("0", "2", "4"), strict=True):
        values = torch.linalg.svdvals(state[f"{key}.weight"])
        assert torch.allclose(values, torch.tensor(layer["sigma_w"]).expand_as(values), rtol=1e-4)
    again = tmp_path / "again.pt"
    assert run("--apply", f"{model}:build", "--save", str(again), "--form", form, "--seed", "3").exit_code == 0
    assert all(torch.equal(state[key], value) for key, value in torch.load(again, weights_only=True).items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--depth"),
        (("--depth", "0"), "whole number ≥ 1, got 0"),
        (("--depth", "9", "--batch", "0"), "expected a batch, a whole number ≥ 1, got 0"),
        (("--depth", "9", "--activation", "tahn"), "perhaps tanh is meant."),
        (
            ("--depth", "9", "--activation", "elu", "--parameter", "slope=2"),
            "expected parameters that elu knows (alpha), got slope",
        ),
        (("--depth", "9", "--activation", "relu", "--isometry", "0.2"), "leaky_relu of slope"),
        (("--depth", "9", "--weights", "gaussian", "--isometry", "0.2"), "more than 9"),
        (("--depth", "9", "--weights", "uniform"), "haar or gaussian"),
        (("--depth", "9", "--loss", "hinge"), "loss among"),
        (("--depth", "9", "--optimizer", "lion"), "not covered"),
        (("--depth", "9", "--optimizer", "adam"), "analyze"),
        (("--depth", "9", "--form", "x"), "form among"),
        (("--depth", "9", "--width", "3,a"), "separated by commas"),
        (("--depth", "9", "--width", "3,4"), "10 widths"),
        (("--depth", "9", "--out", "a.gif"), ".png"),
        (("--depth", "9", "--save", "a.pt"), "--apply and --save together"),
        (("--depth", "9", "--apply", "nothing.py:build", "--save", "a.pt"), "nothing.py"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and "Traceback" not in result.stderr and result.stderr.count("\n") <= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--depth", "ten"), "'--depth': expected a whole number, got 'ten'; correct it."),
        (("--depth", "9", "--inputs=0"), "expected a number ≥ 1, got '0'; correct it."),
        (("--architecture", "cnn"), "expected mlp, transformer, resnet, got 'cnn'; correct it."),
    ],
)
def test_what_the_parser_refuses_is_told_in_the_words_of_the_house(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2 and result.stderr.splitlines()[-1].endswith(message)


def test_a_model_whose_layers_do_not_follow_one_another_is_refused(tmp_path, model):
    result = run("--apply", f"{model}:branched", "--save", str(tmp_path / "a.pt"))
    assert result.exit_code == 2 and "give --depth and --width" in result.stderr and not (tmp_path / "a.pt").exists()


@pytest.mark.parametrize(
    ("factory", "name", "parameters"),
    [("relu", "relu", ()), ("leaky", "leaky_relu", ("--parameter", "negative_slope=0.2")), ("called", "gelu", ())],
)
def test_the_activation_is_read_from_the_model(tmp_path, model, factory, name, parameters):
    """As a module or as a call, with its parameters; the start is that of the activation named."""
    apply = ("--apply", f"{model}:{factory}", "--save")
    found = document(*apply, str(tmp_path / "read.pt"))
    named = document(*apply, str(tmp_path / "named.pt"), "--activation", name, *parameters)
    assert found["activation"] == name and found["sigma_w"] == named["sigma_w"]
    assert found["applied_to_a_chain"] is True and found["applied_notes"] == []
    read, again = (torch.load(tmp_path / f"{one}.pt", weights_only=True) for one in ("read", "named"))
    assert all(torch.equal(value, again[key]) for key, value in read.items())


@pytest.mark.parametrize(
    ("factory", "arguments", "message"),
    [
        ("relu", ("--activation", "tanh"), "that the model contains (relu), got tanh"),
        ("called", ("--activation", "relu"), "that the model contains (gelu), got relu"),
        ("leaky", ("--activation", "leaky_relu"), "that the model contains (leaky_relu)"),
        ("relu", ("--activation", "tanh", "--form", "normalised"), "'tanh' to replace"),
        ("mixed", (), "got relu and tanh; say --activation"),
        ("own", (), "got none with a name; say --activation"),
        ("relu", ("--parameter", "negative_slope=0.2"), "--activation with --parameter"),
        ("build", ("--depth", "30"), "--depth 3, the weight matrices of this model, got 30"),
        ("build", ("--width", "512"), "--width 12,20,20,4, the widths of this model, got 512"),
        ("build", ("--depth", "3", "--width", "12,20,21,4"), "--width 12,20,20,4"),
    ],
)
def test_a_design_that_is_not_of_the_model_is_refused(tmp_path, model, factory, arguments, message):
    start = tmp_path / "start.pt"
    assert message in run.refused("--apply", f"{model}:{factory}", "--save", str(start), *arguments)
    assert not start.exists()


@pytest.mark.parametrize(
    ("factory", "name", "sentence"),
    [("mixed", "tanh", "relu as well; the design is of tanh alone"), ("own", "sin", "sin is taken on trust")],
)
def test_an_activation_that_stands_beside_others_is_said(tmp_path, model, factory, name, sentence):
    found = document("--apply", f"{model}:{factory}", "--save", str(tmp_path / "s.pt"), "--activation", name)
    assert len(found["applied_notes"]) == 1 and sentence in found["applied_notes"][0]


def test_a_model_of_several_inputs_is_designed_on_its_data(tmp_path, model):
    """The gain of the first layer goes to every tower, times √(fan_out/fan_in) as its own width asks for."""
    start = ("--save", str(tmp_path / "start.pt"))
    assert "say --data" in run.refused("--apply", f"{model}:towers", *start)
    found = document("--apply", f"{model}:towers", "--data", f"{model}:rated", *start)
    assert found["widths"] == [6, 16, 8] and found["applied_to_a_chain"] is False
    assert "selection" not in found["applied_notes"][0]
    rows = {row["name"]: row for row in found["applied"]}
    assert rows["item.0"]["sigma_w"] == pytest.approx(rows["user.0"]["sigma_w"] * (6 / 4) ** 0.5)
    assert rows["item.2"]["sigma_w"] == rows["user.2"]["sigma_w"]


def test_a_recipe_sees_how_a_model_of_several_inputs_is_wired(tmp_path, model):
    start = ("--save", str(tmp_path / "start.pt"), "--data", f"{model}:questions")
    found = document("--apply", f"{model}:answered", *start)
    assert found["start"] == "recurrent network" and found["after"] is not None
    assert "--apply with --data" in run.refused("--depth", "3", "--data", f"{model}:questions")


def test_of_a_model_that_is_no_chain_it_is_said_what_was_initialised(tmp_path, model):
    start = ("--force", "--save", str(tmp_path / "start.pt"))
    result = run("--apply", f"{model}:convolutional", *start)
    assert result.exit_code == 0 and "convolutional network" in result.stdout and "6 drawn, 0 left" in result.stdout
    result = run("--apply", f"{model}:convolutional", *start, "--activation", "tanh")
    text = " ".join(result.stdout.split())
    assert result.exit_code == 0, result.stderr
    assert "no chain, it has convolution, average pooling. Its 3 linear and convolutional layers" in text
    assert "widths 1,4,8,10, not of this network" in text and "1568" not in text and "fan_in" not in text
    found = document("--apply", f"{model}:transformer", *start, "--activation", "gelu")
    assert found["activation"] == "gelu" and found["applied_to_a_chain"] is False
    chain, branches, left = found["applied_notes"]
    assert "attention" in chain and "not of this network" in chain and "branch_ends" in branches
    assert left == "Weights left as they were: table.weight."
    rows = {row["name"]: row for row in found["applied_tensors"]}
    assert rows["blocks.0.attention.in_proj_weight"]["drawn"] and "looked up" in rows["table.weight"]["reason"]


def test_a_transformer_starts_by_its_recipe_without_depth_and_width(tmp_path, model):
    start = tmp_path / "start.pt"
    result = run("--apply", f"{model}:gpt", "--save", str(start), "--seed", "1")
    text = " ".join(result.stdout.split())
    assert result.exit_code == 0, result.stderr
    for said in ("pre-LN Transformer", "Radford", "16 drawn, 0 left", "before after", "largest branch over its skip"):
        assert said in text
    state = torch.load(start, weights_only=True)
    ends = torch.stack([value for key, value in state.items() if key.endswith("out_proj.weight")])
    assert float(ends.std()) == pytest.approx(0.02 / 2**0.5, rel=0.15)
    found = document("--apply", f"{model}:gpt", "--save", str(start), "--force")
    assert found["start"] == "pre-LN Transformer" and found["schema_version"] == 1
    assert len(found["tensors"]) == 16 and all(row["reason"] for row in found["tensors"])
    assert found["after"]["largest_branch_over_skip"] < found["before"]["largest_branch_over_skip"]


def test_a_recipe_has_no_picture_of_a_trade_off(tmp_path, model):
    start, picture = tmp_path / "start.pt", tmp_path / "dial.png"
    result = run("--apply", f"{model}:gpt", "--save", str(start), "--out", str(picture))
    assert result.exit_code == 2 and "--out" in result.stderr and not start.exists() and not picture.exists()


def test_layers_without_a_bias_are_named(tmp_path, model):
    start = ("--force", "--save", str(tmp_path / "start.pt"))
    found = document("--apply", f"{model}:unbiased", *start)
    assert found["sigma_b"] > 0 and "No bias in 0, 2, 4: " in found["applied_notes"][0]
    assert document("--apply", f"{model}:relu", *start)["applied_notes"] == []  # its design has no bias either


def test_a_start_in_a_folder_that_is_not_there_is_refused_before_anything_runs(tmp_path, model):
    result = run("--apply", f"{model}:build", "--save", str(tmp_path / "none" / "start.pt"))
    assert result.exit_code == 2 and "in a folder that exists" in result.stderr and "runs the code" not in result.stderr
    assert not (tmp_path / "none").exists()


def test_the_rate_is_that_of_the_library_where_nobody_says_a_batch():
    found = document("--depth", "4", "--width", "32", "--inputs", "20", "--outputs", "5")
    assert found["learning_rate"]["recommended"] == pytest.approx(
        design(4, (20, 32, 5)).learning_rate.recommended, rel=1e-12
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resnet", "--depth", "9"), "Multiply every branch by 0.283"),  # (2^(1/9) - 1)^½
        (
            ("transformer", "--depth", "2", "--width", "32", "--activation", "relu"),
            "Start of a Transformer of 2 blocks",
        ),
    ],
)
def test_other_architectures_are_designed_by_the_scale_of_their_branches(arguments, words):
    result = run("--architecture", *arguments)
    assert result.exit_code == 0, result.stderr
    assert words in result.stdout and "Beside the usual starts" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--depth", "9", "--loss", "mse"), "expected no --loss beside --architecture resnet"),
        ((), "expected --depth, the number of blocks"),
        (("--depth", "9", "--width", "5,6"), "one whole number for --width"),
        (("--depth", "0"), "whole numbers ≥ 1, got 0"),
    ],
)
def test_what_a_residual_network_is_not_asked_is_refused(arguments, words):
    assert words in run.refused("--architecture", "resnet", *arguments)
