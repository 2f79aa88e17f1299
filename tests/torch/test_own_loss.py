"""Models that compute their own loss: its Gauss–Newton matrix is that of automatic differentiation from end to end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from freeness import InputError
from freeness.torch import AnalyzeOptions, analyze, batch_of, batch_sharpness, own_loss
from freeness.torch.loss.loss_modules import loss_modules
from tests.torch.models import gauss_newton

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(6, 5, generator=GENERATOR, dtype=torch.float64)
Y = torch.arange(6) % 3


def dense_top(model: nn.Module, outputs: Any, loss: Any) -> float:
    """λ_max of JᵀHJ: ``outputs`` of a functional call, ``loss`` of these."""
    return float(torch.linalg.eigvalsh(gauss_newton(model, outputs, loss))[-1])


@pytest.fixture(scope="module")
def gpt2() -> tuple[nn.Module, Tensor]:
    from transformers import GPT2Config, GPT2LMHeadModel  # two seconds, which every worker would wait for

    torch.manual_seed(0)
    sizes = {"vocab_size": 11, "n_positions": 5, "n_embd": 4, "n_layer": 1, "n_head": 2}
    drop = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    model = GPT2LMHeadModel(
        GPT2Config(**sizes, **drop, bos_token_id=0, eos_token_id=0, attn_implementation="eager")  # pyright: ignore[reportCallIssue]
    ).double()
    return model, torch.randint(0, 11, (3, 5))


@pytest.mark.slow
@pytest.mark.always
def test_a_language_model_is_told_to_predict_the_next_token(gpt2: tuple[nn.Module, Tensor]) -> None:
    model, tokens = gpt2
    labels = torch.where(torch.arange(15).reshape(3, 5) % 4 == 0, -100, tokens)
    data = {"input_ids": tokens, "labels": labels}
    found = own_loss(model, batch_of(data, model))
    assert found is not None and found.loss.name == "cross_entropy"
    wanted = dense_top(
        model,
        lambda call: call(input_ids=tokens).logits,
        lambda f: functional.cross_entropy(f[:, :-1].reshape(-1, 11), labels[:, 1:].reshape(-1)),
    )
    assert batch_sharpness(*found).value == pytest.approx(wanted, rel=1e-8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = analyze(model, data)
    assert report.learning_rate.sharpness == pytest.approx(wanted, rel=1e-8)
    assert report.learning_rate.loss == "cross_entropy" and report.layers
    assert report.layers.loss == pytest.approx(float(model(**data).loss.detach()), rel=1e-6)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Odd(nn.Module):
    """Computes a loss that nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.body, self.head, self.second = nn.Linear(5, 6), nn.Linear(6, 3), nn.Linear(6, 2)
        self.double()

    def loss(self, f: Tensor, y: Tensor) -> Tensor:
        return (f.logsumexp(1) - f.gather(1, y[:, None])[:, 0]).square().mean()


class Object(Odd):
    def forward(self, x: Tensor, labels: Tensor | None = None) -> Any:
        logits = self.head(torch.tanh(self.body(x)))
        return SimpleNamespace(loss=None if labels is None else self.loss(logits, labels), logits=logits)


class Pair(Odd):
    def forward(self, x: Tensor, targets: Tensor | None = None) -> Any:
        logits = self.head(torch.tanh(self.body(x)))
        return logits, None if targets is None else self.loss(logits, targets)


class Alone(Odd):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.loss(self.head(torch.tanh(self.body(x))), y)


@pytest.mark.parametrize("kind", [Object, Pair, Alone])
def test_any_loss_of_a_model_is_differentiated(kind: type[Odd]) -> None:
    model = kind()
    body = nn.Sequential(model.body, nn.Tanh(), model.head)
    wanted = dense_top(body, lambda call: call(X), lambda f: model.loss(f, Y))
    found = own_loss(model, batch_of((X, Y), model))
    assert found is not None and str(found.loss) == "the model's own loss"
    assert batch_sharpness(*found).value == pytest.approx(wanted, rel=1e-8)
    assert ("inner signals" in found.loss.meant) == (kind is Alone)
    for options in (AnalyzeOptions(), AnalyzeOptions(loss="own")):
        rate = analyze(model, (X, Y), options).learning_rate
        assert rate.sharpness == pytest.approx(wanted, rel=1e-8) and rate.loss == "the model's own loss"


class Beside(Odd):
    def forward(self, x: Tensor, labels: Tensor) -> Any:
        h = torch.tanh(self.body(x))
        logits = self.head(h)
        return {"loss": self.loss(logits, labels) + self.head.weight.square().mean(), "logits": logits}


def test_what_the_loss_knows_beside_its_outputs_is_said() -> None:
    model = Beside()
    found = own_loss(model, batch_of((X, Y), model))
    assert found is not None and "left out" in found.loss.meant
    body = nn.Sequential(model.body, nn.Tanh(), model.head)
    wanted = dense_top(body, lambda call: call(X), lambda f: model.loss(f, Y))
    assert batch_sharpness(*found).value == pytest.approx(wanted, rel=1e-8)


class Parts(Odd):
    """A loss of two layers, of which it returns the names and no outputs."""

    def forward(self, x: Tensor, labels: Tensor) -> Any:
        first, second = self.signals(x)
        return {"loss_class": self.loss(first, labels), "loss_rest": second.square().mean()}

    def signals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.body(x))
        first = self.head(h)
        return first, self.second(h) * first[:, :2]


def test_of_several_losses_without_outputs_the_sum_is_taken_with_all_that_it_is_made_of() -> None:
    model = Parts()
    found = own_loss(model, batch_of((X, Y), model))
    assert found is not None and "the sum of loss_class and loss_rest" in found.loss.meant
    assert "left out" not in found.loss.meant

    class Signals(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(model.body(x))
            return torch.cat([model.head(h), model.second(h)], 1)

    def loss(f: Tensor) -> Tensor:
        first, second = f[:, :3], f[:, 3:]
        return model.loss(first, Y) + (second * first[:, :2]).square().mean()

    wanted = dense_top(Signals(), lambda call: call(X), loss)
    assert batch_sharpness(*found).value == pytest.approx(wanted, rel=1e-8)


class Weighed(Odd):
    """Two losses with trained weights, which have as many entries as samples are looked at; one output is computed once more."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([0.5, -0.5], dtype=torch.float64))

    def forward(self, x: Tensor, labels: Tensor) -> Any:
        h = torch.tanh(self.body(x))
        parts = torch.stack([self.loss(self.head(h), labels), self.second(h).square().mean()])
        return {"loss": (torch.exp(-self.weights) * parts + self.weights).sum(), "logits": self.head(h)}


def test_trained_weights_of_losses_are_no_outputs_but_stand_beside_them() -> None:
    model = Weighed()
    found = own_loss(model, batch_of((X, Y), model))
    assert found is not None and "left out" in found.loss.meant
    assert type(found.model).__name__ == "Weighed" and "weights" in dict(found.model.named_parameters())
    first, second = torch.exp(-model.weights.detach())

    def outputs(call: Any) -> Tensor:
        h = call(X)
        return torch.cat([model.head(h), model.second(h)], 1)

    for layer in (model.head, model.second):
        layer.requires_grad_(False)
    wanted = dense_top(
        nn.Sequential(model.body, nn.Tanh()),
        outputs,
        lambda f: first * model.loss(f[:, :3], Y) + second * f[:, 3:].square().mean(),
    )
    assert batch_sharpness(*found).value == pytest.approx(wanted, rel=1e-8)


class TwoHeads(Odd):
    """Reshapes its labels as models do that ask for one piece of memory."""

    def forward(self, x: Tensor, labels: Tensor) -> Any:
        h = torch.tanh(self.body(x))
        first, second = self.head(h), self.second(h)
        return {
            "loss": self.both(torch.cat([first.view(-1, 3), second], 1), labels.view(-1)),
            "logits": first,
            "more": second,
        }

    def both(self, f: Tensor, y: Tensor) -> Tensor:
        return self.loss(f[:, :3], y) + (f[:, 3:] * f[:, :2]).square().mean()


def test_a_loss_of_two_outputs_has_the_matrix_of_both() -> None:
    model = TwoHeads()
    found = own_loss(model, batch_of((X, Y), model))
    assert found is not None and found.loss.meant == ""
    body = nn.Sequential(model.body, nn.Tanh())

    def outputs(call: Any) -> Tensor:
        h = call(X)
        return torch.cat([model.head(h), model.second(h)], 1)

    model.head.requires_grad_(False)
    model.second.requires_grad_(False)
    wanted = dense_top(body, outputs, lambda f: model.both(f, Y))
    assert batch_sharpness(*found).value == pytest.approx(wanted, rel=1e-8)


def test_a_model_without_a_loss_has_none() -> None:
    model = nn.Linear(5, 3).double()
    assert own_loss(model, batch_of((X, Y), model)) is None
    with pytest.raises(InputError, match="a model that returns its loss, got Two"):
        analyze(Two(), ((X, X), Y), loss="own")


class Two(nn.Bilinear):
    def __init__(self) -> None:
        super().__init__(5, 5, 3)
        self.double()


class Routed(nn.Module):
    """Attention, then places in one row of another shape, with a loss that knows more than the outputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.table, self.mix = nn.Embedding(7, 4), nn.MultiheadAttention(4, 2, batch_first=True)
        self.gate, self.head = nn.Linear(4, 3), nn.Linear(4, 7)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        x = self.table(input_ids)
        x = x + self.mix(x, x, x, need_weights=False)[0]
        shares = self.gate(x.reshape(-1, 4)).softmax(1)
        logits = self.head(x.reshape(-1, 4)).reshape(*input_ids.shape, 7)
        if labels is None:
            return {"logits": logits}
        spread = shares.mean(0).square().sum()
        return {"loss": functional.cross_entropy(logits.flatten(0, 1), labels.flatten()) + spread, "logits": logits}


def test_calls_are_counted_in_the_model_that_is_run_again():
    model = Routed().double()
    tokens, labels = torch.arange(12).reshape(3, 4) % 7, torch.arange(12).reshape(3, 4) * 3 % 7
    found = own_loss(model, batch_of({"input_ids": tokens, "labels": labels}, model))
    assert found is not None and "beside the outputs" in found.loss.meant
    with sdpa_kernel(SDPBackend.MATH):  # fused attention goes backward one row at a time
        wanted = dense_top(
            model,
            lambda call: call(tokens)["logits"].reshape(-1),
            lambda f: functional.cross_entropy(f.reshape(-1, 7), labels.flatten()),
        )
    assert batch_sharpness(*found).value == pytest.approx(wanted, rel=1e-6)


class Unlabelled(Odd):
    """A loss without labels, and a part that tells the mode."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        f = self.head(functional.dropout(torch.tanh(self.body(x)), 0.5, self.training))
        return {"loss": f.pow(4).mean() + f.logsumexp(1).mean(), "logits": f}


def test_hooks_and_a_replaced_forward_see_what_the_model_returns() -> None:
    plain, hooked, replaced = Unlabelled(), Unlabelled(), Unlabelled()
    seen: list[type] = []
    hooked.register_forward_hook(lambda _, __, returned: seen.append(type(returned)))
    inner = replaced.forward
    replaced.forward = lambda x: inner(x)
    found = [own_loss(model, batch_of(X, model)) for model in (plain, hooked, replaced)]
    values = [batch_sharpness(*one).value for one in found if one is not None]
    assert len(values) == 3 and values == pytest.approx(values[:1] * 3, rel=1e-10) and set(seen) == {dict}
    for model, one in zip((plain, hooked, replaced), found, strict=True):
        assert one is not None and type(one.model).__name__ == "Unlabelled" and len(model._forward_hooks) < 2
        noisy = [one.model.train(mode)(X) for mode in (False, False, True)]
        assert torch.equal(noisy[0], noisy[1]) and not torch.equal(noisy[0], noisy[2])


def test_a_critic_that_a_plain_object_holds_is_reached():
    class Game:
        def __init__(self):
            self.maker, self.critic, self.data = nn.Linear(2, 2), nn.BatchNorm1d(2), list(range(10**6))

        def loss(self, outputs, _):
            return -self.critic(outputs).mean()

    game = Game()
    for loss in (game.loss, lambda outputs, targets: game.loss(outputs, targets)):
        assert loss_modules(loss, game.maker) == [game.critic]
