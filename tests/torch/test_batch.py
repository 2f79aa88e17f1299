"""What users pass as data becomes one record; models of every kind of input and output give the same numbers through it."""

import random
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from freeness import InputError
from freeness.torch import batch_of, jacobian_singular_values, trace
from freeness.torch.model.outputs import loss_of, select_output
from freeness.torch.request.packing import cropped, packed

RNG = np.random.default_rng(0)
X, Z, Y = (
    RNG.standard_normal((10, 4)).astype(np.float32),
    RNG.standard_normal((10, 2, 3)).astype(np.float32),
    np.arange(10) % 3,
)
TX, TZ, TY = map(torch.from_numpy, (X, Z, Y))
TOKENS, MASK = torch.arange(50).reshape(10, 5) % 7, (torch.arange(50).reshape(10, 5) % 3 > 0).long()


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 5), nn.Linear(6, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, x, z):
        return self.head(torch.tanh(self.left(x) + self.right(z.flatten(1))))


@dataclass
class Answer:
    loss: torch.Tensor | None
    logits: torch.Tensor


class Classifier(nn.Module):
    """As in Hugging Face's: labels are optional, and bring a loss."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(7, 6), nn.Linear(6, 3)

    def forward(self, input_ids, attention_mask=None, labels=None, use_cache=False):
        h = self.table(input_ids)
        if attention_mask is not None:
            h = h * attention_mask[..., None]
        logits = self.head(h.mean(1))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return Answer(loss, logits)


class NeedsLabels(Classifier):
    def forward(self, input_ids, labels):
        return super().forward(input_ids, None, labels)


def dictionary():
    return {"input_ids": TOKENS, "attention_mask": MASK, "labels": TY, "use_cache": False}


ONE, TWO = nn.Linear(4, 3), Two()


@pytest.mark.parametrize(
    ("data", "model", "arguments", "targets"),
    [
        (TX, ONE, (X,), None),
        (X, ONE, (X,), None),
        ((X, Y), ONE, (X,), Y),
        ([TX, TY], ONE, (X,), Y),
        ((X.tolist(), Y.tolist()), ONE, (X,), Y),
        ((TX,), ONE, (X,), None),
        ({"inputs": X, "targets": Y}, ONE, (X,), Y),
        (((X, Z), Y), TWO, (X, Z), Y),
        (([TX, TZ], TY), TWO, (X, Z), Y),
        ((X, Z, Y), TWO, (X, Z), Y),
        ((X, Z), TWO, (X, Z), None),
        (DataLoader(TensorDataset(TX, TZ, TY), 5), TWO, (X, Z), Y),
        (TensorDataset(TX, TY), ONE, (X,), Y),
        ([(X[:6], Y[:6]), (X[6:], Y[6:])], ONE, (X,), Y),
        (((X[i : i + 2], Y[i : i + 2]) for i in range(0, 10, 2)), ONE, (X,), Y),
    ],
)
def test_every_form_is_the_same_record(data, model, arguments, targets):
    batch = batch_of(data, model)
    assert batch.count == 10 and not batch.kwargs and len(batch.args) == len(arguments)
    for found, wanted in zip(batch.args, arguments, strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted)
        assert found.dtype == torch.float32
    assert batch.targets is None if targets is None else np.array_equal(batch.targets, targets)
    assert torch.equal(batch.outputs(model), model(*map(torch.from_numpy, arguments)))


@pytest.mark.parametrize(
    "wrapped", [lambda d: d, lambda d: [d], lambda d: ({k: v for k, v in d.items() if k != "labels"}, TY)]
)
def test_a_dict_is_passed_by_name_and_its_labels_are_the_targets(wrapped):
    model = Classifier()
    batch = batch_of(wrapped(dictionary()), model)
    assert batch.args == () and "labels" not in batch.kwargs and batch.kwargs["use_cache"] is False
    assert batch.kwargs["input_ids"].dtype == torch.int64 and torch.equal(batch.targets, TY)
    assert torch.equal(batch.outputs(model), model(TOKENS, MASK).logits)


def test_a_model_that_computes_its_own_loss_gives_it():
    model = Classifier()
    batch = batch_of(dictionary(), model)
    assert torch.equal(batch.loss(model), nn.functional.cross_entropy(batch.outputs(model), TY))
    assert batch_of((TX, TY), ONE).loss(ONE) is None


def test_labels_that_the_model_needs_stay_among_its_arguments():
    model = NeedsLabels()
    batch = batch_of({"input_ids": TOKENS, "labels": TY}, model)
    assert torch.equal(batch.kwargs["labels"], TY) and torch.equal(batch.targets, TY)
    assert batch.outputs(model).shape == (10, 3)
    assert torch.equal(batch.part(2, 4).kwargs["labels"], TY[2:4])


def test_a_loader_says_its_batch_size_and_only_its_first_batches_are_read():
    read = []

    class Counting(torch.utils.data.Dataset):
        def __len__(self):
            return 1000

        def __getitem__(self, index):
            read.append(index)
            return TX[index % 10], TY[index % 10]

    batch = batch_of(DataLoader(Counting(), 8), ONE, batches=3)
    assert batch.size == 8 and batch.count == 24 and len(read) == 24
    assert "the first 3 batches of 8 of the DataLoader" in batch.described
    assert [part.count for part in batch.split()] == [8, 8, 8]
    assert batch_of((X, Y), ONE).size is None


def test_batches_of_another_shape_are_left_out():
    sequences = [{"input_ids": TOKENS[:4, :n], "labels": TY[:4]} for n in (5, 5, 3, 5)]
    batch = batch_of(sequences, Classifier())
    assert batch.count == 12 and batch.kwargs["input_ids"].shape == (12, 5)


@pytest.mark.parametrize("own", [False, True])
def test_the_random_state_is_left_as_it_was(own):
    generator = torch.Generator().manual_seed(3) if own else None
    loader = DataLoader(TensorDataset(TX, TY), 5, shuffle=True, generator=generator)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    inner = None if generator is None else generator.get_state()
    first, again = batch_of(loader, ONE), batch_of(loader, ONE)
    assert torch.equal(first.args[0], again.args[0]) and not torch.equal(first.args[0], TX)
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]
    assert generator is None or torch.equal(generator.get_state(), inner)


def test_the_model_is_left_as_it_was_and_its_dtype_is_taken():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)).double().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = batch_of((X, np.eye(10, 3, dtype=np.float32)), model)
    assert batch.args[0].dtype == batch.targets.dtype == torch.float64 and model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_whole_numbers_stay_whole_where_the_model_takes_them():
    pixels = RNG.integers(0, 256, (10, 4), dtype=np.uint8)
    assert batch_of(pixels, ONE).args[0].dtype == torch.float32
    assert batch_of(TOKENS.to(torch.int32), Classifier()).args[0].dtype == torch.int64


def test_what_is_the_user_s_is_not_written_to():
    array = X.copy()
    batch_of(array, ONE).args[0].zero_()
    np.testing.assert_array_equal(array, X)


@pytest.mark.parametrize(
    ("data", "model", "words"),
    [
        (TX, TWO, r"inputs for Two, which takes x, z, got \(2, 4\).* pass \(\(first, second\), targets\)"),
        ((TX, TY), TWO, "which takes x, z"),
        ((X, Y[:4]), ONE, r"a target for each of 10 inputs, got shape \(4,\)"),
        (np.float32(3), ONE, r"the samples first, got shape \(\)"),
        (X[:0], ONE, r"at least one sample, got inputs of shape \(0, 4\)"),
        ("text", ONE, "a tensor or an array of numbers, got str"),
        (None, ONE, "a tensor or an array of numbers, got NoneType"),
        (X * 1j, ONE, "real inputs, got complex"),
        ({"x": X, "w": X}, TWO, r"entries that Two takes \(x, z\), got 'w'"),
        ({"x": X}, TWO, "which takes x, z"),
        ({}, TWO, "got no tensor"),
        (iter(()), ONE, "expected batches from the tuple_iterator, got none"),
        (DataLoader(TensorDataset(TX[:, :3], TY), 2), ONE, r"got \(2, 3\), on which it fails with RuntimeError"),
    ],
)
def test_what_does_not_fit_is_one_sentence(data, model, words):
    with pytest.raises(InputError, match=words) as caught:
        batch_of(data, model)
    text = str(caught.value)
    assert text.startswith("expected ") and text.endswith(".") and "\n" not in text


# --- what models return -------------------------------------------------------------------------------------------

LOGITS, LOSS, WHOLE = torch.ones(2, 3), torch.tensor(0.5), torch.ones(2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("returned", "place", "loss"),
    [
        (LOGITS, "", None),
        ((LOGITS, WHOLE), "0", None),
        ((LOSS, LOGITS), "1", LOSS),
        ({"loss": LOSS, "mask": WHOLE, "logits": LOGITS}, "logits", LOSS),
        (Answer(LOSS, LOGITS), "logits", LOSS),
        (Answer(None, LOGITS), "logits", None),
        (SimpleNamespace(logits=LOGITS, loss=LOSS), "logits", LOSS),
        (LOSS, "", LOSS),
    ],
)
def test_outputs_and_loss_are_found_in_what_models_return(returned, place, loss):
    where, found = select_output(returned)
    assert where == place and found is (LOSS if returned is LOSS else LOGITS)
    assert loss_of(returned) is loss


# --- several inputs as one ----------------------------------------------------------------------------------------


def test_a_model_of_several_inputs_is_one_of_one_tensor_with_the_same_outputs_and_jacobian():
    model = Two()
    one, rows = packed(model, batch_of(((X, Z), Y), model))
    assert rows.shape == (10, 10) and torch.equal(one(rows), model(TX, TZ))
    left, right = torch.func.jacrev(model, (0, 1))(TX[:1], TZ[:1])
    wanted = torch.cat([left.reshape(3, 4), right.reshape(3, 6)], 1)
    torch.testing.assert_close(torch.func.jacrev(one)(rows[:1]).reshape(3, 10), wanted)
    assert dict(one.named_parameters()) == dict(model.named_parameters()) and type(one).__name__ == "Two"
    assert torch.equal(model(TX, TZ), one(rows)) and isinstance(one, Two)


def test_tokens_and_their_mask_are_packed_as_whole_numbers():
    model = Classifier()
    one, rows = packed(model, batch_of(dictionary(), model))
    assert rows.dtype == torch.int64 and rows.shape == (10, 10)
    assert torch.equal(one(rows).logits, model(TOKENS, MASK).logits)


def test_a_mask_of_ones_and_numbers_of_positions_are_no_part_of_the_input():
    class Placed(Classifier):
        def forward(self, input_ids, attention_mask, positions):
            h = self.table(input_ids) * attention_mask[:, :, None] + torch.sin(positions[..., None] * 1.0)
            return self.head(h.mean(1))

    model, ones, places = Placed(), torch.ones_like(MASK), torch.arange(TOKENS.shape[1]).repeat(len(TOKENS), 1)
    batch = batch_of({"input_ids": TOKENS, "attention_mask": ones, "positions": places}, model)
    one, rows = packed(model, batch)
    assert torch.equal(rows, TOKENS) and torch.equal(one(rows), model(TOKENS, ones, places))
    assert torch.equal(one(rows[3:5]), model(TOKENS[3:5], ones[3:5], places[3:5]))
    few, short = cropped(one, rows, TOKENS.shape[1], 2)
    assert torch.equal(few(short), model(TOKENS[:, :2], ones[:, :2], places[:, :2]))
    assert packed(model, replace(batch, kwargs=batch.kwargs | {"attention_mask": MASK}))[1].shape == (10, 10)


class Mixed(Classifier):
    def forward(self, input_ids, scale, shift):
        return self.head(self.table(input_ids).mean(1)) * scale + shift


def test_tokens_beside_numbers_are_carried_exactly_and_what_all_samples_share_is_kept():
    model = Mixed()
    scale, shift = torch.from_numpy(X[:, :1]), torch.ones(3)
    batch = batch_of({"input_ids": TOKENS, "scale": scale, "shift": shift}, model)
    one, rows = packed(model, batch)
    assert rows.shape == (10, 6) and torch.equal(one(rows), model(TOKENS, scale, shift))
    exact = jacobian_singular_values(trace(one, rows[:1]), rows[0], dtype=torch.float64)  # of a copy of it
    wanted = model.double()(TOKENS[:1], torch.ones(1, 1).double(), torch.zeros(3).double()).detach().norm()
    assert float(exact[0]) == pytest.approx(float(wanted), rel=1e-12)
    model.float()
    with pytest.raises(InputError, match=r"float32 beside whole numbers, got torch\.bfloat16"):
        packed(model.bfloat16(), batch_of({"input_ids": TOKENS, "scale": scale, "shift": shift}, model))


def test_a_model_of_one_tensor_is_given_back():
    batch = batch_of((X, Y), ONE)
    assert packed(ONE, batch)[0] is ONE


@pytest.mark.parametrize(("inputs", "model"), [(X, ONE), ((X, Z), TWO), ({"x": X, "z": Z}, TWO)])
def test_targets_of_none_are_none(inputs, model):
    batch = batch_of((inputs, None), model)
    assert (
        batch.targets is None
        and batch.count == 10
        and len(batch.args) + len(batch.kwargs) == (1 if model is ONE else 2)
    )
