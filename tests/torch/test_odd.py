"""Models and data that nobody tries twice: each is answered or refused in one sentence, and left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch import AnalyzeOptions, analyze, trace, untouched
from freeness.torch.model.state import _HELD

X, Y = torch.linspace(-1, 1, 20).reshape(5, 4), torch.arange(5) % 3


def perceptron() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


class Around(nn.Module):
    """A module with a forward of its own around it."""

    def __init__(self, body: nn.Module, forward: Callable[..., Any]) -> None:
        super().__init__()
        self.body, self.called = body, forward

    def forward(self, x: Tensor) -> Any:
        return self.called(self.body, x)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
@pytest.mark.filterwarnings("ignore:.*jit.*deprecated")
@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            lambda: nn.Sequential(nn.Linear(4, 0), nn.Tanh(), nn.Linear(0, 3)),
            r"width 1 or more, got '0.weight' of shape \(0, 4\)",
        ),
        (lambda: nn.AdaptiveLogSoftmaxWithLoss(4, 40, [10, 20, 30]), "width 1 or more, got 'tail.1.0.weight'"),
        (lambda: torch.jit.script(perceptron()), "Sequential of TorchScript, whose code is fixed"),
        (lambda: Around(torch.jit.script(perceptron()), lambda f, x: f(x)), "of TorchScript in 'body'"),
        (lambda: perceptron().to("meta"), "with memory, got a meta tensor in '0.weight'"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), "the lazy '0.weight'"),
        (lambda: nn.ParameterList([torch.eye(4).to_sparse()]), "a dense tensor, got torch.sparse_coo in '0'"),
        (lambda: Around(perceptron(), lambda f, x: None), "got no tensor"),
    ],
)
def test_models_without_numbers_are_refused_in_one_sentence(made: Callable[[], nn.Module], words: str) -> None:
    model = made()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    with pytest.raises(InputError, match=f"^expected .*{words}.*\\.$"):
        analyze(model, (X, Y))
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state) and not _HELD


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((X.to_sparse(), Y), "a dense tensor, got torch.sparse_coo as inputs"),
        ((X[:0], Y[:0]), r"at least one sample, got inputs of shape \(0, 4\)"),
        ([(X[:0], Y[:0])], "batches from the list, got none"),
        ((X, None), "targets beside the inputs, got none"),
        ("gaussian", "inputs as a tensor or an array of numbers, got str"),
    ],
)
def test_data_without_numbers_are_refused_in_one_sentence(data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        analyze(perceptron(), data)


def test_a_loss_whose_calls_depend_on_the_batch_is_refused_in_one_sentence() -> None:
    class Adaptive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.loss = nn.Embedding(40, 16), nn.AdaptiveLogSoftmaxWithLoss(16, 40, [10, 30])

        def forward(self, x: Tensor, target: Tensor) -> Tensor:
            return self.loss(self.table(x), target).loss

    tokens = torch.tensor([1, 2, 35, 15, 3, 20])
    with pytest.raises(InputError, match=r"^expected a loss computed of outputs with a row for each sample") as told:
        analyze(Adaptive(), (tokens, tokens))
    assert str(told.value).count("expected") == 1


def test_empty_batches_of_a_loader_are_left_out() -> None:
    batches = [(X[:0], Y[:0]), (X[:3], Y[:3]), (X[:0], Y[:0]), (X[3:], Y[3:])]
    options = AnalyzeOptions(only="rate", batch=5)
    some, whole = (analyze(perceptron(), data, options).learning_rate for data in (batches, (X, Y)))
    assert some.batch == whole.batch == 5 and some.sharpness == pytest.approx(whole.sharpness, rel=1e-5)


@pytest.mark.parametrize("sparse", [False, True])
def test_where_tokens_have_no_derivative_the_rest_stands(sparse: bool) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.EmbeddingBag(30, 6, mode="sum", sparse=sparse), nn.Linear(6, 3))
    found = analyze(model, (torch.arange(20).reshape(5, 4), Y))
    assert "outputs have no derivative by tokens" in found.jacobian.missing
    assert found.fisher.measured is not None and found.learning_rate.known and len(found.layers.modules) == 2


def test_a_model_that_maps_over_its_samples_is_measured() -> None:
    plain, mapped = perceptron(), Around(perceptron(), lambda f, x: torch.func.vmap(f)(x))
    options = AnalyzeOptions(only="rate")
    one, other = (analyze(model, (X, Y), options).learning_rate.sharpness for model in (plain, mapped))
    assert other == pytest.approx(one, rel=1e-5)


def test_sparse_buffers_are_kept() -> None:
    mixing = torch.tensor([[1.0, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0.25, 1]])
    plain = Around(perceptron(), lambda f, x: f(x @ mixing.T))
    model = Around(perceptron(), lambda f, x: f(torch.sparse.mm(model.get_buffer("mixing"), x.T).T))
    model.register_buffer("mixing", mixing.to_sparse())
    options = AnalyzeOptions(only="rate")
    one, other = (analyze(each, (X, Y), options).learning_rate.sharpness for each in (plain, model))
    assert other == pytest.approx(one, rel=1e-5) and torch.equal(model.get_buffer("mixing").to_dense(), mixing)


def test_what_fails_to_be_put_back_leaves_the_rest_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = perceptron()
    before = [parameter.detach().clone() for parameter in model.parameters()]

    def fails(*_: object) -> bool:
        if not called:
            called.append(1)
            raise RuntimeError("no kernel")
        return False

    called: list[int] = []
    monkeypatch.setattr("freeness.torch.model.state._same", fails)
    with pytest.raises(RuntimeError, match="no kernel"), untouched(model), torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    changed = [not torch.equal(a, b) for a, b in zip(model.parameters(), before, strict=True)]
    assert sum(changed) == 1 and model.training and not _HELD


class Asked(nn.Module):
    """Learned queries, which look at one another before they look at the input, as those of DETR do."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(3, 8))
        self.own, self.across = (nn.MultiheadAttention(8, 2, batch_first=True) for _ in range(2))

    def forward(self, x):
        asked = self.queries.expand(len(x), -1, -1)
        asked = asked + self.own(asked, asked, asked, need_weights=False)[0]
        return self.across(asked, x, x, need_weights=False)[0].flatten(1)


class Compared(nn.Module):
    """Signals beside their products with one another, in one list."""

    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(4, 6), nn.Linear(11, 2)

    def forward(self, x):
        h = self.into(x)
        return self.out(torch.cat([h, h @ h.transpose(1, 2)], -1)).mean(1)


@pytest.mark.parametrize(("make", "width"), [(Asked, 8), (Compared, 4)])
def test_attention_to_what_is_given_and_lists_of_scores_are_read(make, width):
    torch.manual_seed(0)
    assert trace(make(), torch.randn(1, 5, width)).operations
