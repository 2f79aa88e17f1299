"""Places of a tensor that a loop reads one by one are taken at once; what is computed stays the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from freeness.torch import batch_sharpness, observe
from freeness.torch.model.indexing import read_at_once


class Loop(nn.Module):
    """A state that is carried along time; ``read`` says how a place is read."""

    def __init__(self, read: Callable[[Tensor, int], Tensor]) -> None:
        super().__init__()
        self.keep, self.give, self.read = nn.Linear(3, 5), nn.Linear(3, 5), read

    def forward(self, x: Tensor) -> Tensor:
        kept, given = torch.sigmoid(self.keep(x)), self.give(x)
        state = torch.zeros_like(given[:, 0])
        for t in range(x.shape[1]):
            state = self.read(kept, t) * state + self.read(given, t)
        return state


class Written(Loop):
    def forward(self, x: Tensor) -> Tensor:
        given = self.give(x)
        for t in range(1, x.shape[1]):
            given[:, t] += given[:, t - 1].tanh()
        place = given[:, -1]
        for t in range(8):
            place = given[:, t]
        place.mul_(2)
        return place


def drawn(kind: type[Loop] = Loop, read: Callable[[Tensor, int], Tensor] = lambda x, t: x[:, t]) -> tuple[Loop, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(read).double(), torch.randn(2, 12, 3, dtype=torch.float64)


def read_apart(value: Tensor) -> int:
    """How many nodes of its graph are a place that was read alone."""
    seen, waiting = set(), [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [before for before, _ in node.next_functions]
    return sum(node.name().startswith("SelectBackward") for node in seen)


@pytest.mark.parametrize(
    "read",
    [
        lambda x, t: x[:, t],
        lambda x, t: x[:, t, :],
        lambda x, t: x[..., t, :],
        lambda x, t: x[:, t - 12],
        lambda x, t: x.select(1, t),
        lambda x, t: torch.select(x, -2, t),
    ],
)
def test_gradients_are_the_same_and_put_together_once(read) -> None:
    model, x = drawn(read=read)
    parameters = list(model.parameters())
    plain = torch.autograd.grad(model(x).square().sum(), parameters)
    with read_at_once(model):
        value = model(x).square().sum()
    assert read_apart(model(x)) == 24 and read_apart(value) == 5
    for ours, theirs in zip(torch.autograd.grad(value, parameters), plain, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_other_indices_are_read_as_they_are() -> None:
    x = torch.randn(6, 6, 6, requires_grad=True)
    asked = [(slice(None), 1, None), (1, 2), (slice(0, 2), 1), [0, 1], None, (..., slice(None)), True, torch.tensor(2)]

    class Asking(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            return [x[one] for one in asked for _ in range(6)]

    with read_at_once(model := Asking()):
        found = model(x)
    for one, index in zip(found[::6], asked, strict=True):
        assert torch.equal(one, x[index])
    assert not any(one.grad_fn is not None and "Unbind" in one.grad_fn.name() for one in found)


def test_a_place_that_is_not_there_is_told_as_torch_tells_it() -> None:
    class Beyond(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return sum(x[:, t] for t in range(9))  # pyright: ignore[reportReturnType]

    with read_at_once(model := Beyond()), pytest.raises(IndexError, match="out of bounds for dimension 1"):
        model(torch.ones(2, 8, requires_grad=True))


def test_a_model_that_writes_to_its_places_is_left_alone() -> None:
    model, x = drawn(Written)
    parameters = list(model.give.parameters())
    plain = torch.autograd.grad(model(x).square().sum(), parameters)
    with read_at_once(model):
        value = model(x).square().sum()
    for ours, theirs in zip(torch.autograd.grad(value, parameters), plain, strict=True):
        assert torch.equal(ours, theirs)
    assert "forward" not in model.__dict__


def test_an_error_of_the_model_is_not_hidden() -> None:
    class Wrong(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("no such thing")

    with read_at_once(model := Wrong()), pytest.raises(RuntimeError, match="no such thing"):
        model(torch.ones(1))


def test_curvature_and_layers_of_a_loop_take_its_places_at_once() -> None:
    model, x = drawn()
    y = torch.tensor([0, 1])
    parameters = list(model.parameters())
    found = batch_sharpness(model, x, y, "cross_entropy")
    outputs = model(x)
    rows = [torch.cat([g.flatten() for g in torch.autograd.grad(one, parameters, retain_graph=True)]) for one in outputs.flatten()]  # noqa: E501  # fmt: skip
    share, jacobian = outputs.detach().softmax(1), torch.stack(rows)
    curvature = torch.block_diag(*(torch.diag(p) - torch.outer(p, p) for p in share)) / 2
    exact = torch.linalg.eigvals(curvature @ jacobian @ jacobian.T).real.max().item()
    assert found.value == pytest.approx(exact, rel=1e-6)
    values: list[Tensor] = []

    def loss() -> Tensor:
        values.append(nn.functional.cross_entropy(model(x), y))
        return values[-1]

    observe(model, loss)
    assert read_apart(values[0]) == 5 < read_apart(loss())
