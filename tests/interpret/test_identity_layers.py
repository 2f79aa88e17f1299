from itertools import pairwise

import pytest
import torch
from torch import nn

from freeness.errors import InputError
from freeness.interpret import FitOptions, IdentityMLP, fit, identity_initialize_, read_layers

from .small_images import small_data


def own(widths=(49, 64, 64, 64, 10)):
    layers = [nn.Flatten()]
    for before, after in pairwise(widths[:-1]):
        layers += [nn.Linear(before, after), nn.Hardtanh()]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


def test_every_layer_hands_the_input_on_and_classes_start_at_zero():
    model, x = own(), small_data()[1][0][:3]
    records = identity_initialize_(model, scale=0.5)
    flat = x.flatten(1)
    for layer, scale in ((1, 1.0), (3, 0.5), (5, 0.25)):
        state = nn.functional.pad(scale * flat.clamp(-1, 1), (0, 15)) if layer > 1 else None
        if state is not None:
            torch.testing.assert_close(model[: layer + 1](x), state)
    assert not model(x).any()
    assert [record.name for record in records] == ["1", "3", "5", "7"]
    assert {record.ensemble for record in records} == {"identity"}


def test_own_network_is_the_identity_network_behind_its_first_layer():
    """Same neurons, same weights: the readings agree where the inputs lie within the linear part."""
    model, twin = own((49, 59, 59, 59, 10)), IdentityMLP((7, 7), 10, 4)
    identity_initialize_(model)
    rows = torch.randn(10, 49, generator=torch.Generator().manual_seed(0))
    x = 0.3 * small_data()[1][0][:4].clamp(-3, 3)
    with torch.no_grad():
        model[3].weight[49:, :49] = twin.linears[1].weight[49:, :49] = 0.01 * rows
    torch.testing.assert_close(model(x), twin(x))


def test_convolutions_start_at_the_identity_in_their_centre():
    for head in (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10)),
                 nn.Sequential(nn.Flatten(), nn.Linear(12 * 49, 10))):  # fmt: skip
        model = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.Hardtanh(), nn.Conv2d(12, 12, 5, padding=2), nn.Hardtanh(), head
        )
        identity_initialize_(model)
        x = small_data()[1][0][:4, None]
        torch.testing.assert_close(model[:4](x)[:, :1], x.clamp(-1, 1))
        assert not model[:4](x)[:, 1:].any() and not model(x).any()
        with torch.no_grad():
            model[2].bias[2:] = torch.arange(10.0) / 10  # each class channel everywhere
        torch.testing.assert_close(model(x), (torch.arange(10.0) / 10).expand(4, 10))
        torch.testing.assert_close(torch.from_numpy(read_layers(model, x).logits[1]), model(x).detach())


def test_convolutional_network_trains_and_is_read():
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.Hardtanh(), nn.Conv2d(16, 16, 3, padding=1), nn.Hardtanh(),
        nn.Conv2d(16, 16, 3, padding=1), nn.Hardtanh(), nn.Flatten(), nn.Linear(16 * 49, 10),
    )  # fmt: skip
    identity_initialize_(model)
    (x, y), (other, labels) = small_data()
    batches = list(zip(x[:, None].split(50), y.split(50), strict=True))
    fit(model, batches, FitOptions(epochs=2, rate=0.1))
    accuracy = read_layers(model, other[:, None]).accuracy(labels.numpy())
    assert accuracy[-1] > 0.45


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (own((49, 64, 70, 64, 10)), "expected one width 64 in all hidden layers, got 64 → 70 in '3'"),
        (own((49, 55, 55, 10)), r"49 inputs \+ 10 classes = 59, got 55"),
        (nn.Sequential(nn.Linear(4, 8)), "at least two layers"),
        (nn.Sequential(nn.Linear(4, 8), nn.Linear(9, 2)), "takes the 8 hidden neurons, got 9"),
        (nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 2, 1)), "the last one Linear"),
        (nn.Sequential(nn.Conv2d(2, 8, 3, groups=2), nn.Flatten(), nn.Linear(8, 2)), "grouped"),
        (nn.Sequential(nn.ConvTranspose2d(1, 8, 3), nn.Flatten(), nn.Linear(8, 2)), "transposed"),
        (nn.Sequential(nn.LazyLinear(8), nn.Linear(8, 2)), "lazy"),
    ],
)
def test_other_architectures_are_refused_and_left_alone(model, message):
    before = [p.clone() for p in model.parameters() if not isinstance(p, nn.UninitializedParameter)]
    with pytest.raises(InputError, match=message):
        identity_initialize_(model)
    after = [p for p in model.parameters() if not isinstance(p, nn.UninitializedParameter)]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_scale_is_positive():
    with pytest.raises(InputError, match="scale"):
        identity_initialize_(own(), scale=-1.0)
