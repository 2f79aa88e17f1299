import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import nn

from freeness.errors import InputError
from freeness.interpret import LayerReadings, identity_initialize_, logit_lens, read_layers
from freeness.interpret.readings import CLASS_NEURONS, LOGIT_LENS

from .small_images import small_data, trained_network


def test_class_neurons_are_read_before_the_activation_of_each_layer():
    model, x = trained_network(), small_data()[1][0][:7]
    value, found = model.padded(x), read_layers(model, x)
    with torch.no_grad():
        for layer, linear in enumerate(model.linears):
            value = value @ linear.weight.T + linear.bias
            np.testing.assert_allclose(found.logits[layer], value[:, 49:], rtol=1e-4, atol=1e-5)
            value = value.clamp(-1, 1)
    assert found.method == CLASS_NEURONS and len(found.names) == 8
    np.testing.assert_allclose(found.likelihoods.sum(-1), 1, rtol=1e-6)


def test_many_samples_are_read_as_few():
    model, x = trained_network(), small_data()[1][0]
    together, alone = read_layers(model, x), read_layers(model, x[600:610])
    np.testing.assert_allclose(together.logits[:, 600:610], alone.logits, rtol=1e-4, atol=1e-5)


@given(arrays(np.int64, (6, 5), elements=st.integers(0, 2)))
def test_settled_is_the_first_layer_of_the_last_unbroken_run(said):
    found = LayerReadings(np.eye(3)[said], tuple("123456"), CLASS_NEURONS)
    expected = [next(at for at in range(1, 7) if len(set(said[at - 1 :, i])) == 1) for i in range(5)]
    assert found.settled.tolist() == expected


def test_accuracy_counts_right_answers():
    found = LayerReadings(np.eye(2)[[[0, 1, 1], [1, 1, 1]]], ("1", "2"), CLASS_NEURONS)
    assert found.accuracy(np.array([0, 1, 0])).tolist() == [2 / 3, 1 / 3]
    with pytest.raises(InputError, match="3 labels"):
        found.accuracy(np.array([0, 1]))


class Residual(nn.Module):
    """Not a chain, and of one's own."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x).tanh()
        return self.head(x + self.second(x).tanh())


def test_lens_is_the_output_layer_on_the_input_of_every_later_layer():
    torch.manual_seed(0)
    model, x = Residual(), torch.randn(4, 4)
    found = logit_lens(model, x)
    first = model.first(x).tanh()
    assert found.method == LOGIT_LENS and found.names == ("first", "second")
    torch.testing.assert_close(torch.from_numpy(found.logits[0]), model.head(first).detach())
    assert np.array_equal(found.logits[-1], model(x).detach().numpy())


def test_lens_of_an_identity_network_reads_its_class_part():
    model, x = trained_network(), small_data()[1][0][:5]
    found = logit_lens(model, x)
    with torch.no_grad():
        state = model.stack[:2](model.padded(x))
        assert torch.equal(torch.from_numpy(found.logits[0]), model.linears[-1](state)[:, 49:])
        assert np.array_equal(found.logits[-1], model(x).numpy())


def convolutional():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.Hardtanh(), nn.Conv2d(12, 12, 3, padding=1), nn.Hardtanh(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10),
    )  # fmt: skip


def test_convolutions_are_read_by_means_over_positions():
    torch.manual_seed(0)
    model, x = convolutional(), torch.randn(3, 1, 7, 7)
    neurons, lens = read_layers(model, x), logit_lens(model, x)
    torch.testing.assert_close(torch.from_numpy(neurons.logits[0]), model[0](x)[:, 2:].mean((2, 3)).detach())
    torch.testing.assert_close(torch.from_numpy(lens.logits[0]), model[6](model[:2](x).mean((2, 3))).detach())
    for found in (neurons, lens):
        assert np.array_equal(found.logits[-1], model(x).detach().numpy())


def test_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))
    model[0].weight.grad = torch.ones(6, 4)
    calls, state = [], torch.get_rng_state()
    model[3].register_forward_hook(lambda *_: calls.append(1))
    for read in (read_layers, logit_lens):
        read(model, torch.ones(2, 4))
    assert model.training and torch.equal(model[0].weight.grad, torch.ones(6, 4))
    assert len(model[3]._forward_hooks) == 1 and not model[0]._forward_hooks and len(calls) == 2
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("read", "model", "message"),
    [
        (read_layers, nn.Sequential(nn.Linear(4, 2), nn.Tanh(), nn.Linear(2, 5)), "at least 5 neurons"),
        (read_layers, nn.Sequential(nn.Linear(5, 5)), "an input"),
        (read_layers, nn.Tanh(), "got none"),
        (read_layers, nn.Unflatten(1, (2, 2)), r"shape \(3, 2, 2\)"),
        (logit_lens, nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), "got none"),
        (logit_lens, nn.Sequential(nn.Unflatten(1, (4, 1)), nn.Conv1d(4, 2, 1), nn.Flatten()), "Linear output layer"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(read, model, message):
    with pytest.raises(InputError, match=message):
        read(model, torch.ones(3, 4))
    with pytest.raises(InputError, match="at least one input"):
        read(model, torch.ones(0, 4))


def test_own_network_from_the_identity_is_read_by_its_class_neurons():
    model = convolutional()
    identity_initialize_(model)
    assert not read_layers(model, torch.randn(2, 1, 7, 7)).logits.any()
