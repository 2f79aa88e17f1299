"""analyze takes what users have: loaders, arrays, dicts, several inputs; each gives the numbers of automatic differentiation."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from freeness import InputError
from freeness.torch import AnalyzeOptions, analyze, load_batch
from tests.torch.test_batch import Classifier, Two, dictionary


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def linear_data(count=24):
    return torch.randn(count, 4), torch.arange(count) % 3


def fisher_of(model, call):
    """Eigenvalues of J_θJ_θᵀ by automatic differentiation."""
    parameters = dict(model.named_parameters())
    rows = torch.func.jacrev(lambda p: call(lambda *a, **k: torch.func.functional_call(model, p, a, k)))(parameters)
    flat = torch.cat([row.reshape(3, -1) for row in rows.values()], 1).detach().double()
    return np.linalg.eigvalsh((flat @ flat.T).numpy())


def test_a_loader_gives_the_numbers_of_its_batches_and_its_batch_size():
    """Of a model without theory, so that all numbers are measured."""
    model, (inputs, labels) = nn.Sequential(nn.Linear(4, 8), nn.Softmax(-1), nn.Linear(8, 3)), linear_data()
    wanted = analyze(model, (inputs, labels), AnalyzeOptions(batch=6))
    for data in (
        DataLoader(TensorDataset(inputs, labels), 6),
        [(inputs[i : i + 6], labels[i : i + 6]) for i in (0, 6, 12, 18)],
    ):
        found = analyze(model, data)
        assert found.learning_rate.batch == 6 and found.learning_rate.sharpness == wanted.learning_rate.sharpness
        assert np.array_equal(found.fisher.measured.eigenvalues, wanted.fisher.measured.eigenvalues)
        assert "4 batches of 6" in found.data and found.title == wanted.title
    assert (
        analyze(model, DataLoader(TensorDataset(inputs, labels), 6), AnalyzeOptions(batch=8)).learning_rate.batch == 8
    )
    arrays = analyze(model, (inputs.numpy(), labels.numpy()), AnalyzeOptions(batch=6))
    assert arrays.learning_rate == wanted.learning_rate


def test_two_inputs_are_measured_as_one():
    model = Two()
    x, z, labels = torch.randn(12, 4), torch.randn(12, 2, 3), torch.arange(12) % 3
    report = analyze(model, ((x, z), labels))
    left, right = torch.func.jacrev(model, (0, 1))(x[:1], z[:1])
    jacobian = torch.cat([left.reshape(3, 4), right.reshape(3, 6)], 1).detach().double().numpy()
    np.testing.assert_allclose(report.jacobian.measured.eigenvalues, np.linalg.svd(jacobian)[1][::-1] ** 2, rtol=1e-4)
    fisher = fisher_of(model, lambda f: f(x[:1], z[:1])[0])
    np.testing.assert_allclose(report.fisher.measured.eigenvalues, fisher, rtol=1e-4)
    assert report.learning_rate.known and report.title == "Two" and report.learning_rate.batch == 12


def test_a_dict_with_labels_and_a_model_that_returns_its_loss_are_measured_by_the_logits():
    model, batch = Classifier(), dictionary()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = analyze(model, batch)
    call = {name: batch[name][:1] for name in ("input_ids", "attention_mask")}
    fisher = fisher_of(model, lambda f: f(**call).logits[0])
    np.testing.assert_allclose(report.fisher.measured.eigenvalues, fisher, rtol=1e-4)
    embedded = model.table(call["input_ids"]).detach()
    jacobian = torch.func.jacrev(lambda h: model.head((h * call["attention_mask"][..., None]).mean(1)))(embedded)
    squares = torch.linalg.svdvals(jacobian.reshape(3, -1)).flip(0).square().detach()
    np.testing.assert_allclose(report.jacobian.measured.eigenvalues, squares, rtol=1e-4)
    assert report.learning_rate.known and all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model.training


@pytest.mark.parametrize(
    ("data", "model", "words"),
    [
        (torch.ones(3, 4), nn.Linear(4, 3), "expected targets beside the inputs, got none"),
        ((torch.ones(3, 5), np.zeros(3, int)), nn.Linear(4, 3), "on which it fails with RuntimeError"),
        (torch.ones(3, 4), Two(), "inputs for Two, which takes x, z"),
        ((torch.ones(3, 4), torch.zeros(3, dtype=torch.long)), Two(), "which takes x, z"),
    ],
)
def test_what_does_not_fit_is_one_sentence(data, model, words):
    with pytest.raises(InputError, match=words) as caught:
        analyze(model, data)
    assert "\n" not in str(caught.value)


class TwoTables(Classifier):
    def __init__(self):
        super().__init__()
        self.kinds = nn.Embedding(4, 6)

    def forward(self, input_ids, token_type_ids):
        return self.head(torch.tanh(self.table(input_ids) + self.kinds(token_type_ids)).mean(1))


def test_the_jacobian_of_several_token_inputs_is_that_of_all_their_embeddings():
    model, (tokens, kinds) = TwoTables(), (torch.arange(40).reshape(8, 5) % 7, torch.arange(40).reshape(8, 5) % 4)
    report = analyze(model, ((tokens, kinds), torch.arange(8) % 3))
    given = model.table(tokens[:1]).detach(), model.kinds(kinds[:1]).detach()
    parts = torch.func.jacrev(lambda h, k: model.head(torch.tanh(h + k).mean(1)), (0, 1))(*given)
    jacobian = torch.cat([part.reshape(3, -1) for part in parts], 1)
    squares = torch.linalg.svdvals(jacobian).flip(0).square().detach()
    np.testing.assert_allclose(report.jacobian.measured.eigenvalues, squares, rtol=1e-4)


class Timed(nn.Module):
    """Numbers beside steps of time, which are whole; returns its loss where it is told to."""

    def __init__(self, *, own: bool = False):
        super().__init__()
        self.layer, self.own = nn.Linear(5, 3), own

    def forward(self, x, step):
        f = self.layer(torch.cat([x, torch.sin(step / 100.0)[:, None]], 1))
        return f.square().mean() if self.own else f


def test_whole_numbers_beside_others_are_not_to_be_standardised():
    inputs, labels = linear_data(8)
    report = analyze(Timed(), ((inputs, torch.full((8,), 900)), labels), AnalyzeOptions(only=("layers",)))
    assert not any("mean square" in line for line in report.verdict.warnings)


def test_a_loss_that_takes_no_labels_misses_none():
    inputs, _ = linear_data(8)
    data = {"x": inputs, "step": torch.full((8,), 900)}
    told = AnalyzeOptions(only=("layers",), stand_in="random classes")
    assert not any("labels" in line for line in analyze(Timed(own=True), data, told).verdict.warnings)


def test_labels_stand_in_where_the_loss_takes_some(tmp_path):
    source = "import torch\n\ndef batches():\n    return [{'x': torch.ones(3, 4), 'step': torch.full((3,), 900)}]\n"
    (tmp_path / "made.py").write_text(source)
    spec = f"{tmp_path / 'made.py'}:batches"
    assert not load_batch(spec, Timed(own=True), loss=None).stand_in
    assert load_batch(spec, Timed(), loss=None).stand_in and load_batch(spec, Timed(own=True)).stand_in


@pytest.mark.parametrize(("layer", "known"), [(nn.GRU(4, 3, batch_first=True), True), (nn.Softmax(-1), False)])
def test_a_start_is_advised_where_a_recipe_has_one(layer, known):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.layer = nn.Linear(4, 4), layer

        def forward(self, x):
            found = self.layer(self.into(x))
            return found[0][:, -1] if isinstance(found, tuple) else found.mean(1)

    data = torch.randn(6, 5, 4), torch.arange(6) % 3
    report = analyze(Net(), data, AnalyzeOptions(only=("spectra",), source="net.py:build", passes=4))
    told = " ".join(report.verdict.advice)
    assert ("freeness design --apply net.py:build" in told, "keep its own" in told) == (known, not known)


def test_advice_for_a_model_of_several_inputs_names_their_data():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.GRU(4, 3, batch_first=True)

        def forward(self, x, y):
            return self.layer(x * y)[0][:, -1]

    data = (torch.randn(6, 5, 4), torch.ones(6, 5, 4)), torch.arange(6) % 3
    options = AnalyzeOptions(
        only=("spectra",), source="net.py:build", data_source="net.py:data", asked="--loss mse", passes=4
    )
    *_, start, again = analyze(Net(), data, options).verdict.advice
    assert start == "Run: freeness design --apply net.py:build --data net.py:data --save start.pt"
    assert again == "Run: freeness analyze net.py:build --data net.py:data --loss mse --weights start.pt"
