"""analyze end to end, and what it must not touch."""

import importlib
import re

import numpy as np
import pytest
import torch
from torch import nn

from freeness import ConvergenceError, InputError, mlp
from freeness.network import Haar
from freeness.show import Sentence, answer_of, brief_of, to_json, write_folder
from freeness.torch import AnalyzeOptions, analyze, build, dual_gram, freeness_test, initialize_, ntk_gram, trace
from tests.torch.zoo import Skip, zoo_model

LAYERS, SPECTRA, RATE = (AnalyzeOptions(only=only, loss="mse") for only in ("layers", "spectra", "rate"))


def network(outputs=8, activation="hardtanh", dtype=torch.float64, depth=5):
    net = mlp(depth, [30, *[64] * (depth - 1), outputs], activation, "gaussian", sigma_w=1.2, sigma_b=0.2)
    return build(net, torch.Generator().manual_seed(0), dtype)


def data(outputs=8, count=24, features=30, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, features, generator=generator, dtype=dtype)
    return inputs, torch.randn(count, outputs, generator=generator, dtype=dtype)


def test_measured_spectra_are_those_of_autograd_and_predictions_are_near():
    model, (inputs, targets) = network(), data()
    report = analyze(model, (inputs, targets), loss="half_squared_error")
    x = inputs[0]
    jacobian = torch.func.jacrev(model)(x).detach()
    assert np.allclose(report.jacobian.measured.eigenvalues, np.linalg.svd(jacobian.numpy())[1][::-1] ** 2, rtol=1e-9)
    rows = torch.func.jacrev(lambda p: torch.func.functional_call(model, p, (x,)))(dict(model.named_parameters()))
    flat = torch.cat([row.reshape(8, -1) for row in rows.values()], dim=1)
    assert np.allclose(
        report.fisher.measured.eigenvalues, np.linalg.eigvalsh((flat @ flat.T).detach().numpy()), rtol=1e-9
    )
    for comparison in (report.jacobian, report.fisher):
        predicted = comparison.predicted
        assert comparison.measured.law.mean == pytest.approx(predicted.law.mean, rel=5 * predicted.finite_width_error)


def test_the_learning_rate_is_that_of_the_exact_batch_curvature():
    model, (inputs, targets) = network(), data()
    report = analyze(model, (inputs, targets), AnalyzeOptions(batch=6, only="rate"), loss="mse", optimizer="momentum")
    parameters = dict(model.named_parameters())
    rows = torch.func.jacrev(lambda p: torch.func.functional_call(model, p, (inputs[:6],)))(parameters)
    flat = torch.cat([row.reshape(48, -1) for row in rows.values()], dim=1)
    exact = float(torch.linalg.eigvalsh((flat @ flat.T).detach())[-1]) / 6 * 2 / 8
    assert report.learning_rate.sharpness == pytest.approx(exact, rel=1e-6)
    assert report.learning_rate.bound == pytest.approx(3.8 / exact, rel=1e-6)
    assert report.learning_rate.batch == 6


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_model_is_left_exactly_as_it_was(optimizer):
    model = nn.Sequential(*network(), nn.Dropout(0.5)).train()
    model(data()[0]).sum().backward()
    model[1].eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    grads = [p.grad.clone() for p in model.parameters()]
    torch.manual_seed(5)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    analyze(model, data(), loss="half_squared_error", optimizer=optimizer)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert model.training and not model[1].training and model[2].training
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)


def test_identity_weights_are_measured_and_named_as_not_covered():
    model = nn.Sequential(nn.Linear(30, 30), nn.Tanh(), nn.Linear(30, 30)).double()
    initialize_(model, "identity", sigma_w=1.0)
    report = analyze(model, data(30), loss="half_squared_error")
    assert report.jacobian.predicted is None and report.fisher.predicted is None
    assert "identity" in report.uncovered[0]
    assert report.learning_rate.theory_bound is None
    x = data(30)[0][0]
    slopes = 1 / np.cosh(x.numpy()) ** 2
    assert np.allclose(report.jacobian.measured.eigenvalues, np.sort(slopes**2), rtol=1e-9)


def test_progress_is_reported_before_every_stage():
    seen = []
    analyze(network(), data(), loss="mse", progress=seen.append)
    told = dict.fromkeys(
        (step.done, step.total) for step in seen
    )  # a stage that is slow tells more than once where it is
    assert list(told) == [(i, 8) for i in range(9)]
    assert seen[-1].stage == "done"


def test_a_one_output_network_works():
    report = analyze(network(outputs=1), data(1), loss="half_squared_error")
    assert report.fisher.measured.eigenvalues.shape == (1,)
    assert report.fisher.predicted.law.mean == pytest.approx(report.fisher.measured.eigenvalues[0], rel=0.5)


def broken(change):
    model = network()
    with torch.no_grad():
        change(model)
    return model


@pytest.mark.parametrize(
    ("model", "samples", "options", "words"),
    [
        (nn.Sequential(nn.Embedding(30, 4), nn.Flatten()).double(), data(), {}, "input that the model accepts"),
        (broken(lambda m: m[0].weight.fill_(float("nan"))), data(), {}, "finite parameters.*0.weight"),
        (network(), data(features=31), {}, "in_features = 30"),
        (network(), (torch.zeros(4, 30), torch.zeros(4, 8)), {}, "nonzero sample"),
        (build(mlp(3, [30, 1, 64, 8]), torch.Generator()).double(), data(), {}, "width 1"),
        (network(), data(), {"device": "cuda:9"}, "device.*cuda:9"),
        (network(), data(), {"device": "abacus"}, "device.*abacus"),
        (network(), data(), {"sample": 99}, "sample index"),
        (network(), data(), {"batch": 0}, "batch of at least one"),
        (network(), data(), {"loss": "hinge"}, "hinge"),
        (network(), data(), {"optimizer": "lion"}, "lion"),
        (nn.Flatten(), data(), {}, "with parameters"),
    ],
)
def test_bad_input_is_one_sentence(model, samples, options, words):
    options = {"loss": "half_squared_error", **options}
    with pytest.raises(InputError, match=words) as caught:
        analyze(model, samples, AnalyzeOptions(**options))
    assert "\n" not in str(caught.value)


def test_saturated_activations_are_refused_with_the_reason_or_measured():
    model = broken(lambda m: m[0].weight.mul_(1e6))
    report = analyze(model, data(), SPECTRA)
    assert report.jacobian.predicted is None and "saturated" in report.uncovered[0]
    assert report.verdict.phase == "ordered"


def test_recognised_weights_of_a_built_network():
    net = mlp(3, 80, "tanh", "haar", sigma_w=1.7)
    inputs, options = data(80, features=80, dtype=torch.float32), AnalyzeOptions(only="layers")
    report = analyze(build(net, torch.Generator()), inputs, options, loss="mse")
    assert [row.weights for row in report.chain] == ["haar"] * 3
    assert [row.sigma_w for row in report.chain] == pytest.approx([1.7] * 3, rel=1e-5)
    assert isinstance(net.dense[0].weights, Haar)
    for answer in (answer_of(report), brief_of(report)):  # what nobody asked for is said, and nothing to warn of
        said = [part for section in answer.sections for part in section.parts if isinstance(part, Sentence)]
        about = [sentence for sentence in said if "it was not asked for" in sentence.text]
        assert about and not any(sentence.kind == "warning" for sentence in about)


def test_a_zero_last_layer_is_measured_and_the_prediction_says_why_not():
    model = network()
    with torch.no_grad():
        model[-1].weight.zero_()
    report = analyze(model, data(), SPECTRA)
    assert report.jacobian.predicted is None and "zero matrix" in report.uncovered[0]
    assert report.fisher.measured.eigenvalues[0] > 0  # the last layer itself still learns


def test_a_deep_default_network_is_called_ordered_and_its_rate_carries_the_caution():
    torch.manual_seed(0)
    inner = [layer for _ in range(8) for layer in (nn.Linear(48, 48), nn.Tanh())]
    model = nn.Sequential(nn.Linear(30, 48), nn.Tanh(), *inner, nn.Linear(48, 8))
    report = analyze(model, data(dtype=torch.float32), loss="half_squared_error")
    predicted, measured = report.fisher.predicted.law, report.fisher.measured.law
    assert report.verdict.phase == "ordered"
    assert report.learning_rate.reason.startswith("Repair the initialisation first")
    assert measured.mean == pytest.approx(predicted.mean, rel=0.1)
    assert predicted.hull[1] < 5 * predicted.mean


@pytest.mark.parametrize("depth", [2, 3])
def test_a_shallow_default_network_trains_at_its_rate_and_is_not_sent_to_repair(depth):
    """Its squared gradients shrink more than tenfold, at which it was told that no rate serves for long."""
    torch.manual_seed(0)
    inner = [layer for _ in range(depth) for layer in (nn.Linear(48, 48), nn.Tanh())]
    model = nn.Sequential(nn.Linear(30, 48), nn.Tanh(), *inner, nn.Linear(48, 8))
    x = torch.randn(64, 30)
    y = (x @ torch.randn(30, 8)).argmax(1)
    report = analyze(model, (x, y), loss="cross_entropy")
    assert report.verdict.phase == "ordered" and "may learn slowly" in report.verdict.sentences[0]
    rate = report.learning_rate
    assert rate.known and "Repair" not in rate.reason
    optimizer = torch.optim.SGD(model.parameters(), rate.recommended)
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


def test_complex_data_and_objects_of_another_kind_are_refused():
    inputs, targets = data()
    for model, pair in (
        (network(), (inputs + 0j, targets)),
        (3, (inputs, targets)),
        (network(), ("inputs", targets)),
        (network(), inputs),
    ):
        with pytest.raises(InputError, match="expected"):
            analyze(model, pair, loss="mse")


def test_the_freeness_of_the_weights_is_that_of_the_test():
    model, (inputs, targets) = network(activation="tanh"), data()
    outcome = analyze(model, (inputs, targets), AnalyzeOptions(sample=3, only="spectra"), loss="mse").freeness
    assert outcome.test == freeness_test(model, inputs[3])
    assert outcome.status == "free" and outcome.reason == "" and outcome.seconds > 0
    assert f"largest score {outcome.test.largest:.1f}" in outcome.sentence


def test_identity_weights_are_called_not_free_and_the_predictions_not_covered():
    model = nn.Sequential(nn.Linear(30, 30), nn.Tanh(), nn.Linear(30, 30), nn.Tanh(), nn.Linear(30, 30)).double()
    initialize_(model, "identity", sigma_w=1.0)
    outcome = analyze(model, data(30), SPECTRA).freeness
    assert outcome.status == "not free" and "not covered for this network" in outcome.sentence


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (network(depth=2), "nothing to test"),
        (nn.Linear(30, 8).double(), "nothing to test"),
        (broken(lambda m: m[0].weight.mul_(1e-3)), "constant but for a few neurons"),
    ],
)
def test_what_cannot_be_tested_is_named_and_the_rest_stands(model, reason):
    report = analyze(model, data(), SPECTRA)
    assert report.freeness.status == "not tested" and re.search(reason, report.freeness.sentence)
    assert len(report.jacobian.measured.eigenvalues) == 8


def test_a_test_that_fails_costs_nothing_else(monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(importlib.import_module("freeness.torch.analyzing.analysis"), "freeness_test", exhausted)
    report = analyze(network(), data(), loss="half_squared_error")
    assert report.freeness.test is None and "MemoryError" in report.freeness.sentence
    assert report.fisher.predicted is not None and report.learning_rate.bound > 0


@pytest.mark.parametrize(
    "name", ["VGG", "ResNet-18", "ViT", "LSTM", "gated", "DenseNet", "control flow", "dict output"]
)
def test_models_without_theory_are_measured_with_what_is_in_the_way(name, tmp_path):
    model, x = zoo_model(name)
    inputs = torch.cat([x, x.flip(-1)])
    outputs = dual_gram(trace(model, x), x).shape[0]
    plain = AnalyzeOptions(training=False)
    report = analyze(model, (inputs, torch.zeros(2, outputs, dtype=x.dtype)), plain, loss="half_squared_error")
    assert np.allclose(
        report.fisher.measured.eigenvalues, torch.linalg.eigvalsh(dual_gram(trace(model, x), x)), rtol=1e-9
    )
    assert report.learning_rate.sharpness == pytest.approx(
        float(torch.linalg.eigvalsh(ntk_gram(trace(model, x), inputs))[-1]) / 2, rel=1e-6
    )
    if name == "dict output":
        assert report.fisher.predicted is not None and not report.uncovered
    else:
        drawn = name not in ("LSTM", "control flow")  # of these there is no record
        assert drawn == (report.fisher.predicted is not None) == (report.jacobian.predicted is not None)
        assert drawn == ("are drawn" in report.uncovered[0])
        assert report.uncovered and all(": " in line for line in report.uncovered)
        assert "chains" in report.verdict.sentences[0] and report.freeness.status == "not tested"
    assert to_json(report)["uncovered"] == list(report.uncovered)
    write_folder(report, tmp_path / "report")


def test_operations_that_are_alike_are_listed_in_one_line():
    model = nn.Sequential(*[nn.Sequential(nn.ConvTranspose1d(3, 3, 3, padding=1), nn.Tanh()) for _ in range(6)])
    report = analyze(model.double(), (torch.randn(1, 3, 4).double(), torch.zeros(1, 3, 4).double()), SPECTRA)
    (line,) = report.uncovered
    assert line.startswith("conv_transpose1d in 0.0, 1.0, 2.0, 3.0 and 2 more: ")


@pytest.mark.slow
def test_a_network_at_many_positions_is_told_that_and_not_its_batch_norms():
    model, x = zoo_model("ResNet-18")
    line, *others = analyze(model, (x, torch.zeros(1, 10).double()), SPECTRA).uncovered
    assert "are drawn" in line and "up to 16 positions" in line and all("positions" not in one for one in others)


@pytest.mark.slow
@pytest.mark.always
def test_residual_and_convolutional_networks_have_theory_beside_the_measurement():
    torch.manual_seed(0)
    branches = [nn.Sequential(nn.Tanh(), nn.Linear(80, 80), nn.Tanh(), nn.Linear(80, 80)) for _ in range(2)]
    residual = nn.Sequential(nn.Linear(30, 80), *(Skip(branch, scale=0.7) for branch in branches), nn.Linear(80, 40))
    convolutional = nn.Sequential(
        nn.Conv1d(10, 40, 3, padding=1, padding_mode="circular"), nn.Tanh(), nn.Flatten(), nn.Linear(120, 20)
    )
    for model, inputs in (
        (residual.double(), data()[0]),
        (convolutional.double(), data()[0].reshape(-1, 10, 3)),
    ):
        outputs = model(inputs[:1]).shape[1]
        report = analyze(model, (inputs, torch.zeros(len(inputs), outputs).double()), loss="mse")
        predicted, measured = report.fisher.predicted, report.fisher.measured
        assert not report.uncovered
        assert measured.law.mean == pytest.approx(predicted.law.mean, rel=0.05)
        assert report.jacobian.measured.law.mean == pytest.approx(report.jacobian.predicted.law.mean, rel=0.25)
        assert [row.name for row in report.chain] == [n for n, m in model.named_modules() if hasattr(m, "weight")]
        assert all(row.q > 0 and row.qhat > 0 and row.chi is None for row in report.chain)


def test_at_many_positions_the_prediction_is_drawn_and_says_so():
    model, x = zoo_model("LeNet")
    report = analyze(model, (x, torch.zeros(1, 4).double()), SPECTRA)
    assert "up to 16 positions" in report.uncovered[0] and "drawn" in report.fisher.predicted.method
    assert report.fisher.measured.law.mean == pytest.approx(report.fisher.predicted.law.mean, rel=0.2)
    assert len(report.chain) == 4


def test_the_kernel_of_the_batch_predicts_its_sharpness():
    """A drawn network: within 20 %; the details say so. Adam's is preconditioned, and hard-tanh would take long."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(32, 40, generator=generator)

    def rate(name, optimizer):
        model = build(mlp(4, [40, 300, 300, 300, 5], name, "gaussian", sigma_w=1.3), generator)
        return analyze(model, (inputs, inputs[:, :5]), RATE, optimizer=optimizer).learning_rate

    found = rate("tanh", "momentum")
    assert found.predicted_sharpness == pytest.approx(found.sharpness, rel=0.2)
    assert f"λ = {found.predicted_sharpness:.4g} on these inputs" in " ".join(found.details)
    assert rate("tanh", "adam").predicted_sharpness is None and rate("hardtanh", "sgd").predicted_sharpness is None


# --- what is said about data, rates and next steps ----------------------------------------------------------------


def shallow(dtype=torch.float64):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Linear(40, 8)).to(dtype)


def test_saturated_outputs_leave_the_spectra_and_say_why_there_is_no_rate(tmp_path):
    model, inputs = shallow(), 1e6 * data()[0]
    report = analyze(model, (inputs, torch.arange(24) % 8))
    rate = report.learning_rate
    assert not rate.known and "softmax is saturated at all 24 samples" in rate.reason and np.isnan(rate.bound)
    assert float(model(inputs).detach().softmax(1).amax(1).min()) == 1.0
    jacobian = torch.func.jacrev(model)(inputs[0]).detach().numpy()
    assert np.allclose(report.jacobian.measured.eigenvalues, np.linalg.svd(jacobian)[1][::-1] ** 2, rtol=1e-9)
    write_folder(report, tmp_path)
    assert to_json(report)["learning_rate"]["recommended"] is None
    assert any(f"mean square {float(inputs.square().mean()):.3g} per entry" in each for each in report.verdict.warnings)


def test_a_curvature_that_fails_costs_nothing_else(monkeypatch):
    def lost(*_):
        raise ConvergenceError("Lanczos did not converge; take float64.")

    monkeypatch.setattr(importlib.import_module("freeness.torch.analyzing.analysis_rate"), "batch_sharpness", lost)
    report = analyze(shallow(), (data()[0], torch.arange(24) % 8))
    assert report.fisher.measured.law.mean > 0
    assert report.learning_rate.reason == "No learning rate: Lanczos did not converge; take float64."


def test_outputs_without_curvature_say_so():
    model = shallow()
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    report = analyze(model, data(), RATE, optimizer="sgd")  # the last bias still moves
    assert report.learning_rate.known
    model[2].bias = None
    assert "λ is 0 on 24 samples" in analyze(model, data(), RATE).learning_rate.reason


@pytest.mark.parametrize(("scale", "warned"), [(1e-3, True), (0.3, False), (3.0, False), (30.0, True)])
def test_inputs_far_from_unit_mean_square_are_warned_of(scale, warned):
    report = analyze(shallow(), (scale * data()[0], data()[1]), RATE)
    assert any("Standardise" in warning for warning in report.verdict.warnings) == warned


def test_what_stands_in_for_labels_is_warned_of_and_noted():
    options = AnalyzeOptions(stand_in="random classes", weights="start.pt", only="rate")
    report = analyze(shallow(), (data()[0], torch.arange(24) % 8), options)
    assert (report.targets, report.weights) == ("random classes", "start.pt")
    assert any(each.startswith("No labels were given: random classes") for each in report.verdict.warnings)
    assert to_json(report)["targets"] == "random classes" and to_json(report)["weights"] == "start.pt"


def test_adamw_without_decay_has_the_curvature_and_bound_of_adam():
    adam, adamw = (analyze(shallow(), data(), RATE, optimizer=name).learning_rate for name in ("adam", "adamw"))
    assert adamw.sharpness == adam.sharpness and adamw.bound == adam.bound and adamw.optimizer == "adamw"


def test_there_is_one_first_step_and_its_code_runs():
    net = mlp(6, [30, *[64] * 5, 8], "tanh", "gaussian", sigma_w=0.6)
    model = build(net, torch.Generator().manual_seed(0), torch.float64)
    report = analyze(model, data(), SPECTRA)
    sentence, code = report.verdict.advice
    assert sentence.startswith("The design of this shape") and report.verdict.phase == "ordered"
    exec(code.removeprefix("Run: "), {"model": model})
    assert analyze(model, data(), LAYERS).verdict.phase == "critical"
    named = analyze(
        build(net, torch.Generator().manual_seed(0)),
        data(dtype=torch.float32),
        AnalyzeOptions(source="my.py:build", only="layers", loss="mse"),
    )
    command = "Run: freeness design --activation tanh --apply my.py:build --save start.pt"
    assert named.verdict.advice[-1] == command


def test_layers_of_residual_networks_name_their_activation(monkeypatch):
    def left_out(*_):  # the law of this network takes long, and nothing here looks at it
        raise RuntimeError

    monkeypatch.setattr(importlib.import_module("freeness.torch.analyzing.analysis"), "solved_or_drawn", left_out)
    torch.manual_seed(0)
    branch = nn.Sequential(nn.Linear(30, 30), nn.Tanh(), nn.Linear(30, 30))
    model = nn.Sequential(nn.Linear(30, 30), Skip(branch), nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 8)).double()
    report = analyze(model, data(), AnalyzeOptions(source="my.py:build", only="spectra", loss="mse"))
    assert [row.activation for row in report.chain] == [None, "tanh", None, "relu", None]
    assert report.verdict.isometry is None
    assert any("freeness analyze my.py:build --weights start.pt" in line for line in report.verdict.advice)


def test_batch_normalisation_at_one_sample_is_a_given_scale_of_each_channel():
    """Its trained scale and shift, whatever they are, too."""
    torch.manual_seed(0)
    layers = nn.Linear(30, 120), nn.BatchNorm1d(120), nn.ReLU(), nn.Linear(120, 24)
    model = nn.Sequential(*layers).double()
    with torch.no_grad():
        layers[1].weight.uniform_(0.5, 1.5), layers[1].bias.normal_(0, 0.1)
    inputs, _ = data()
    report = analyze(model, (inputs, torch.zeros(len(inputs), 24, dtype=inputs.dtype)), loss="mse")
    (line,) = report.uncovered
    assert line == "batch_norm in 1: its trained scale and shift are not counted in the theory of Θ"
    predicted, measured = report.jacobian.predicted, report.jacobian.measured
    assert predicted.law.mean == pytest.approx(measured.eigenvalues.mean(), rel=0.1)
    assert predicted.law.variance == pytest.approx(measured.eigenvalues.var(), rel=0.3)
