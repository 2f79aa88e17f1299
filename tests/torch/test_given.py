"""The door for losses and optimisers: what torch's objects stand for, beside torch's own values and steps."""

from functools import partial

import pytest
import torch
from torch import nn

from freeness import InputError
from freeness.torch import AnalyzeOptions, analyze, batch_sharpness, given_loss, given_optimizer, loss_function
from freeness.training import SGD, Adam, BinaryCrossEntropy, CrossEntropy, SquaredError, loss_names, loss_of

RATE = AnalyzeOptions(only="rate")


def pair(loss, generator):
    outputs = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    if isinstance(loss, CrossEntropy):
        return outputs, torch.randint(0, 4, (6,), generator=generator)
    targets = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    return outputs, targets.sigmoid() if isinstance(loss, BinaryCrossEntropy) else targets


@pytest.mark.parametrize(
    ("module", "loss"),
    [
        (nn.MSELoss(), SquaredError(averaged=True, halved=False)),
        (nn.CrossEntropyLoss(), CrossEntropy()),
        (nn.CrossEntropyLoss(label_smoothing=0.3), CrossEntropy(0.3)),
        (nn.BCEWithLogitsLoss(), BinaryCrossEntropy()),
        (nn.functional.mse_loss, SquaredError(averaged=True, halved=False)),
        (nn.functional.cross_entropy, CrossEntropy()),
        (nn.functional.binary_cross_entropy_with_logits, BinaryCrossEntropy()),
    ],
)
def test_a_module_is_the_loss_of_its_values(module, loss):
    outputs, targets = pair(loss, torch.Generator().manual_seed(0))
    assert given_loss(module) == loss
    torch.testing.assert_close(loss_function(module)(outputs, targets), module(outputs, targets))


@pytest.mark.parametrize("name", [*loss_names(), CrossEntropy(0.3), SquaredError(halved=False)])
def test_torch_computes_what_the_loss_says(name):
    loss = given_loss(name)
    outputs, targets = pair(loss, torch.Generator().manual_seed(1))
    numbers = nn.functional.one_hot(targets, 4) if isinstance(loss, CrossEntropy) else targets
    expected = loss.value(outputs.numpy(), numbers.numpy()).mean()
    assert float(loss_function(loss)(outputs, targets)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("given", "optimizer"),
    [
        (partial(torch.optim.SGD, lr=0.1), SGD()),
        (
            lambda p: torch.optim.AdamW(
                [{"params": p, "weight_decay": 0.1}, {"params": [nn.Parameter(torch.ones(1))]}]
            ),
            Adam(weight_decay=0.1, decoupled=True),
        ),
        (partial(torch.optim.SGD, lr=0.1, momentum=0.8, weight_decay=0.1), SGD(0.8, weight_decay=0.1)),
        (partial(torch.optim.SGD, lr=0.1, momentum=0.8, nesterov=True), SGD(0.8, nesterov=True)),
        (torch.optim.Adam, Adam()),
        (partial(torch.optim.Adam, betas=(0.5, 0.9), eps=1e-5), Adam(0.5, 0.9, 1e-5)),
        (torch.optim.AdamW, Adam(weight_decay=0.01, decoupled=True)),
    ],
)
def test_a_factory_and_its_instance_are_the_optimizer_of_their_numbers(given, optimizer):
    model = nn.Linear(2, 3)
    assert given_optimizer(given) == given_optimizer(given(model.parameters())) == optimizer


def test_an_analysis_takes_modules_and_optimizers_as_they_are_trained_with():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 3))
    x, y = torch.randn(20, 5), torch.randint(0, 3, (20,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.5, weight_decay=0.25)
    rate = analyze(model, (x, y), RATE, loss=nn.CrossEntropyLoss(), optimizer=optimizer).learning_rate
    assert (rate.loss, rate.optimizer) == ("cross_entropy", "momentum")
    sharpness = batch_sharpness(model, x, y, "cross_entropy").value
    assert rate.sharpness == pytest.approx(sharpness) and rate.bound == pytest.approx(3.0 / (sharpness + 0.25))
    assert rate.recommended < analyze(model, (x, y), RATE, loss="cross_entropy").learning_rate.recommended


def test_a_loss_that_was_never_tried_has_a_wide_interval_and_scales_with_what_it_is_at_the_start():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 3)), torch.randn(20, 5)
    y = (torch.rand(20, 3) < 0.5).float()
    rate = analyze(model, (x, y), RATE, loss=nn.BCEWithLogitsLoss()).learning_rate
    sharpness = batch_sharpness(model, x, y, loss_of("binary_cross_entropy")).value
    assert rate.sharpness == pytest.approx(sharpness) and rate.recommended <= rate.bound
    assert rate.wide and "freeness rate" in rate.reason and "binary_cross_entropy" in rate.evidence
    ten = analyze(
        model, (x, y), RATE, loss=lambda f, t: 10 * nn.functional.binary_cross_entropy_with_logits(f, t)
    ).learning_rate
    assert ten.recommended == pytest.approx(rate.recommended / 10, rel=1e-3) and ten.high == pytest.approx(
        rate.high / 10, rel=1e-3
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: given_loss(nn.MSELoss(reduction="none")), "one number"),
        (lambda: given_loss(nn.MSELoss), "pass an instance"),
        (lambda: given_loss("hinge"), "loss among"),
        (lambda: loss_function(loss_of([[1.0]])), "torch computes"),
        (lambda: given_optimizer("lion"), "optimizer among"),
        (lambda: given_optimizer(torch.optim.RMSprop), "got RMSprop, whose stability is not covered"),
        (lambda: given_optimizer(partial(torch.optim.SGD, momentum=0.9, dampening=0.1)), "dampening"),
        (lambda: given_optimizer(partial(torch.optim.Adam, amsgrad=True)), "amsgrad"),
        (lambda: given_optimizer(partial(torch.optim.Adam, weight_decay=0.1)), "adamw"),
        (lambda: given_optimizer(nn.Linear), "makes one of a list of parameters"),
        (lambda: given_optimizer(list), "makes one of a list of parameters"),
        (
            lambda: given_optimizer(
                torch.optim.SGD([{"params": [nn.Parameter(torch.ones(1))], "momentum": m} for m in (0.0, 0.9)], lr=1.0)
            ),
            "the same momentum",
        ),
    ],
)
def test_what_is_not_known_is_refused_in_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()
