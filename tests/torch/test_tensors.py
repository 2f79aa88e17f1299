"""Every tensor of a model stands in the record once, and pieces of packed weights are drawn one by one."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from freeness.torch import InitializedModel, initialize_


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def assert_orthogonal(matrix: Tensor, scale: float = 1.0) -> None:
    """W Wᵀ = s² or Wᵀ W = s², whichever side is shorter."""
    wide = matrix.detach().double()
    wide = wide if wide.shape[0] <= wide.shape[1] else wide.T
    torch.testing.assert_close(wide @ wide.T, scale**2 * torch.eye(len(wide)).double(), rtol=0, atol=2e-5 * scale**2)


def assert_listed_once(model: nn.Module, found: InitializedModel) -> None:
    """Rows are the tensors of the state_dict and parameters that are not in it, each once under all of its names."""
    names = [name for row in found.tensors for name in (row.name, *row.also)]
    known = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    known |= {name for name, _ in model.named_buffers()}
    assert sorted(names) == sorted(known)
    assert all(row.reason for row in found.tensors)
    state = dict(model.named_parameters()) | dict(model.named_buffers())
    assert all(row.shape == tuple(state[row.name].shape) for row in found.tensors)


@st.composite
def modules(draw: st.DrawFn) -> nn.Module:
    """Layers of every kind that has matrices, some others, in a list; a weight may be shared."""
    size = draw(st.integers(1, 6))
    kinds = {
        "linear": lambda: nn.Linear(size, draw(st.integers(1, 6)), bias=draw(st.booleans())),
        "conv": lambda: nn.Conv2d(2 * size, 4 * size, 3, groups=draw(st.sampled_from([1, 2, 2 * size]))),
        "transposed": lambda: nn.ConvTranspose1d(size, size, 2),
        "conv1d": lambda: Conv1D(3 * size, size),
        "attention": lambda: nn.MultiheadAttention(2 * size, 2, kdim=draw(st.sampled_from([None, size]))),
        "lstm": lambda: nn.LSTM(size, 3, draw(st.integers(1, 2)), bidirectional=draw(st.booleans()), proj_size=2),
        "gru": lambda: nn.GRU(size, 3, bias=draw(st.booleans())),
        "cell": lambda: nn.RNNCell(size, 2),
        "table": lambda: nn.Embedding(5, size, padding_idx=0),
        "norm": lambda: nn.BatchNorm1d(size),
        "own": lambda: nn.PReLU(size),
    }
    made = [kinds[name]() for name in draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=6))]
    made.append(nn.Linear(size, size))
    if draw(st.booleans()):
        twin = nn.Linear(size, size)
        twin.weight = made[-1].weight
        made.append(twin)
    return nn.ModuleList(made)


@settings(max_examples=40)
@given(model=modules(), kind=st.sampled_from(["haar", "gaussian", "identity"]), data=st.data())
def test_every_tensor_is_listed_once_and_only_drawn_ones_change(
    model: nn.Module, kind: str, data: st.DataObject
) -> None:
    parameters = list(model.parameters())
    for parameter in parameters[:-1]:
        parameter.requires_grad_(data.draw(st.booleans()))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = initialize_(model, kind, 1.3, 0.4, seeded(0))  # pyright: ignore[reportArgumentType]
    assert_listed_once(model, found)
    frozen = {id(one) for one in parameters if not one.requires_grad}
    for name, value in model.named_parameters():
        row = found.tensor(name)
        assert not (row.drawn and id(value) in frozen)
        if not row.drawn:
            assert torch.equal(value, before[name]) and row.how == ""
        elif kind == "gaussian":
            assert row.how == "0" or not torch.equal(value, before[name])


def test_gates_are_orthogonal_one_by_one_and_forgetting_starts_at_1() -> None:
    lstm, gru = nn.LSTM(7, 5, num_layers=2, bidirectional=True), nn.GRU(4, 6)
    initialize_(nn.ModuleList([lstm, gru]), "haar", sigma_w=1.5)
    for module, gates in ((lstm, 4), (gru, 3)):
        for name, value in module.named_parameters():
            if name.startswith("weight"):
                rows, columns = value.shape[0] // gates, value.shape[1]
                gain = math.sqrt(max(rows / columns, 1.0))
                for gate in value.chunk(gates):
                    assert_orthogonal(gate, 1.5 * gain)
    hidden = torch.cat([lstm.bias_ih_l0, lstm.bias_hh_l0]).detach().reshape(2, 4, 5)
    assert torch.equal(hidden.sum(0), torch.tensor([0.0, 1.0, 0.0, 0.0])[:, None].expand(4, 5))


def test_the_state_of_a_vanilla_recurrence_keeps_its_length() -> None:
    """h ← W h with W from step to step: orthogonal gates keep ‖h‖ over 200 steps, those of the default do not."""
    rnn = nn.RNN(3, 40, bias=False)
    default = rnn.weight_hh_l0.detach().clone()
    initialize_(rnn)
    for weight, keeps in ((rnn.weight_hh_l0.detach(), True), (default, False)):
        state = torch.randn(40, generator=seeded(1))
        length = float(state.norm())
        for _ in range(200):
            state = weight @ state
        assert (float(state.norm()) == pytest.approx(length, rel=1e-3)) == keeps


def test_query_key_and_value_are_orthogonal_one_by_one() -> None:
    attention, packed = nn.MultiheadAttention(6, 2), nn.ModuleDict({"qkv": nn.Linear(6, 18), "c_attn": Conv1D(18, 6)})
    apart = nn.MultiheadAttention(6, 2, kdim=4, vdim=9)
    found = initialize_(nn.ModuleList([attention, packed, apart]))
    for weight in (attention.in_proj_weight, packed["qkv"].weight, packed["c_attn"].weight.T):
        for piece in weight.chunk(3):
            assert_orthogonal(piece)
    assert_orthogonal(apart.k_proj_weight, math.sqrt(6 / 4))
    assert_orthogonal(apart.v_proj_weight)
    assert "query, key, value" in found.tensor("0.in_proj_weight").reason


@pytest.mark.parametrize("kind", ["haar", "gaussian"])
def test_conv1d_of_transformers_keeps_the_mean_square(kind: str) -> None:
    layer = Conv1D(300, 200)
    found = initialize_(layer, kind, sigma_w=1.2, sigma_b=0.5)  # pyright: ignore[reportArgumentType]
    x = torch.randn(400, 200, generator=seeded(2))
    assert float(layer(x).detach().square().mean()) == pytest.approx(1.2**2 + 0.5**2, rel=0.1)
    assert found[0].kind == "Conv1D" and found[0].gain == pytest.approx(math.sqrt(1.5) if kind == "haar" else 1)


def test_kernels_of_any_groups_are_orthogonal_group_by_group() -> None:
    for groups in (1, 3, 6):
        layer = nn.Conv2d(6, 12, 3, groups=groups)
        initialize_(layer)
        for block in layer.weight[:, :, 1, 1].chunk(groups):
            assert_orthogonal(block, math.sqrt(2))


def test_a_tied_table_is_left_by_an_ensemble_under_all_of_its_names() -> None:
    table, head = nn.Embedding(9, 4), nn.Linear(4, 9)
    head.weight = table.weight
    before = table.weight.detach().clone()
    found = initialize_(nn.ModuleDict({"table": table, "inner": nn.Linear(4, 4), "head": head}))
    row = found.tensor("head.weight")
    assert row.name == "table.weight" and row.also == ("head.weight",) and not row.drawn
    assert torch.equal(table.weight, before) and found.tensor("head.bias").drawn
    assert [(one.name, one.ensemble) for one in found] == [("inner", "haar"), ("head", "unchanged")]


def test_a_table_that_two_embeddings_share_is_no_matrix() -> None:
    first, second, head = nn.Embedding(9, 4), nn.Embedding(9, 4), nn.Linear(4, 9)
    second.weight = first.weight
    found = initialize_(nn.ModuleList([first, second, head]))
    assert [one.name for one in found] == ["2"] and "looked up" in found.tensor("1.weight").reason
    head.weight = first.weight
    found = initialize_(nn.ModuleList([first, second, head]))
    assert [one.name for one in found] == ["2"] and "matrix as well" in found.tensor("1.weight").reason


class Adapted(nn.Module):
    """A frozen layer with a low-rank addition that starts at 0, and a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.base, self.down, self.up = nn.Linear(6, 6), nn.Linear(6, 2, bias=False), nn.Linear(2, 6, bias=False)
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 3)
        self.base.requires_grad_(False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.base(x) + self.up(self.down(x))))


def test_an_adapter_starts_where_the_frozen_model_is() -> None:
    model, x = Adapted(), torch.randn(5, 6, generator=seeded(3))
    with torch.no_grad():
        model.norm.weight.mul_(1.7)
    before = model.norm(model.base(x))
    found = initialize_(model)
    assert [row.name for row in found.drawn] == ["down.weight", "head.weight", "head.bias"]
    assert torch.equal(model.norm(model.base(x) + model.up(model.down(x))), before)
    reasons = {row.name: row.reason for row in found.left}
    assert "frozen" in reasons["base.weight"] and "adapter" in reasons["up.weight"]
    assert "tuned" in reasons["norm.weight"]


def test_a_model_that_is_frozen_as_a_whole_is_drawn() -> None:
    model = nn.Linear(4, 4).requires_grad_(False)
    assert all(row.drawn for row in initialize_(model).tensors) and not model.weight.requires_grad
