import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from freeness.errors import InputError
from freeness.interpret import FitOptions, IdentityMLP, TrainingWatch, fit, layer_roles

from .small_images import small_data, small_loader, small_network, trained_network


def accuracy(model, data):
    with torch.no_grad():
        return float((model(data[0]).argmax(1) == data[1]).float().mean())


def test_designed_rate_trains_many_layers():
    """Of 1,000 images of 7×7 pixels .71 and, with 50 layers in one pass, .5; chance is .1."""
    assert accuracy(trained_network(), small_data()[1]) > 0.65
    deep = small_network(50, "shifted_relu")
    found = fit(deep, small_loader(), FitOptions(epochs=1))
    assert found.designed is not None and found.rate == found.designed.recommended
    assert accuracy(deep, small_data()[1]) > 0.55


def test_same_seed_gives_the_same_network():
    twins = [small_network(3), small_network(3)]
    for model in twins:
        fit(model, small_loader(seed=4), FitOptions(epochs=1))
    assert torch.equal(twins[0].linears[1].weight, twins[1].linears[1].weight)


def test_any_module_and_any_loader_train():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(49, 20), nn.Tanh(), nn.Linear(20, 10)).eval()
    batches = list(zip(small_data()[0][0].split(50), small_data()[0][1].split(50), strict=True))
    found = fit(model, batches, FitOptions(epochs=2, optimizer="nesterov"))
    assert found.losses[1] < found.losses[0] and found.steps == 80
    assert not model.training and all(parameter.grad is None for parameter in model.parameters())


def test_watch_sees_start_and_every_pass():
    seen = []
    fit(small_network(2), small_loader(500), FitOptions(epochs=3, rate=0.01, watch=seen.append))
    assert seen == [0, 4, 8, 12]


def test_isometry_and_freeness_are_followed_along_training():
    model = small_network(4)
    watch = TrainingWatch(model, small_data()[1][0][:1])
    fit(model, small_loader(), FitOptions(epochs=1, watch=watch))
    first, last = watch.states
    slopes = (model.padded(small_data()[1][0][:1]).abs() < 1).double()
    assert first.jacobian.eigenvalues.mean() == pytest.approx(float(slopes.mean()), abs=1e-12)
    assert first.drift.max() == 0 and not first.freeness.free
    assert last.spread > first.spread
    assert last.drift.tolist() == [layer.drift for layer in layer_roles(model)]


def loader(labels, inputs=None):
    return DataLoader(TensorDataset(torch.ones(len(labels), 4) if inputs is None else inputs, labels), 2)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "at least one batch"),
        ([torch.ones(2, 4)], "batches"),
        (loader(torch.tensor([0, 3])), "more classes than the network was built for"),
        (loader(torch.tensor([0, 1, 1, 7])), "got 7: the data has more classes"),
        (loader(torch.tensor([-1, 0])), "labels from 0 to 2, got -1"),
        (loader(torch.tensor([0.0, 1.0])), "class indices"),
        (loader(torch.tensor([0, 1]), torch.ones(2, 5)), "expected inputs"),
        (loader(torch.tensor([0, 1]), torch.full((2, 4), torch.nan)), "finite"),
    ],
)
def test_bad_data_is_one_sentence(data, message):
    with pytest.raises(InputError, match=message):
        fit(IdentityMLP(4, classes=3, depth=2), data, FitOptions(rate=0.1))


def test_labels_of_too_many_classes_are_refused_by_any_module():
    with pytest.raises(InputError, match="got 3: the data has more classes"):
        fit(nn.Linear(4, 3), loader(torch.tensor([0, 3])), FitOptions(rate=0.1))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"epochs": 0}, "epochs"), ({"optimizer": "adam"}, "optimizer"), ({"rate": -1.0}, "learning rate")],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        FitOptions(**options)
