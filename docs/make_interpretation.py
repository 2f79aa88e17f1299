"""Makes docs/interpretation.md and its pictures: identity-initialised networks on Fashion-MNIST, trained and read.

    .venv/bin/python docs/make_interpretation.py --data FOLDER --cache FOLDER

FOLDER holds the official files of Fashion-MNIST. Trained networks are kept in the cache and not trained again; without them
it takes about half an hour on one core. captum is used where it is installed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from freeness.data import CLASSES
from freeness.errors import InputError
from freeness.interpret import (
    FitOptions,
    IdentityMLP,
    StoryOptions,
    TrainingWatch,
    ablate_class,
    attribution_agreement,
    fit,
    layer_roles,
    load_checkpoint,
    logit_lens,
    neuron_contributions,
    read_layers,
    save_checkpoint,
    tell,
    top_neurons,
)
from freeness.interpret.fashion import Recipe, fashion_data, prepare
from freeness.interpret.story import Labelled
from freeness.show import plot_maps
from freeness.spectra import NeuronSignals, diagonal_law
from freeness.torch import batch_sharpness, freeness_test, measure_fisher, measure_jacobian, trace
from freeness.torch.model.sampling import seeded_generator

HERE = Path(__file__).resolve().parent
IMAGES, SEEDS = 10_000, (0, 1, 2)
EPOCHS = {20: 2, 50: 1}


def recipes(folder: Path) -> dict[str, Recipe]:
    """Everything that is trained, by name."""
    found = {}
    for depth, epochs in EPOCHS.items():
        for seed in SEEDS:
            for name, start, optimizer in (
                ("identity", "identity", "momentum"),
                ("haar-momentum", "haar", "momentum"),
                ("haar-sgd", "haar", "sgd"),
            ):
                found[f"{name}-{depth}-{seed}"] = Recipe(
                    depth, "hardtanh", start, IMAGES, epochs, optimizer=optimizer, seed=seed, directory=folder
                )
    found["identity-shifted_relu-20-0"] = Recipe(
        20, "shifted_relu", "identity", IMAGES, 2, optimizer="sgd", directory=folder
    )
    return found


def trained(name: str, recipe: Recipe, cache: Path) -> tuple[IdentityMLP, dict]:
    """The network of a recipe and what its training was like, from the cache where it is there."""
    network, record = cache / f"{name}.pt", cache / f"{name}.json"
    if network.is_file() and record.is_file():
        return load_checkpoint(network)[0], json.loads(record.read_text())
    train, test, _ = fashion_data(recipe.directory, recipe.images)
    model = prepare(recipe, train[0])
    loader = DataLoader(TensorDataset(*train), recipe.batch, shuffle=True, generator=seeded_generator(recipe.seed))
    watch = TrainingWatch(model, test[0][:1]) if name.startswith("identity") and recipe.seed == 0 else None
    cpu = time.process_time()
    done = fit(model, loader, FitOptions(recipe.epochs, recipe.optimizer, recipe.rate, watch))
    found = {
        "rate": done.rate,
        "sharpness": None if done.designed is None else done.designed.sharpness,
        "losses": done.losses,
        "steps": done.steps,
        "seconds": done.seconds,
        "cpu": time.process_time() - cpu,
        "states": [
            {
                "step": state.step,
                "mean": float(state.jacobian.eigenvalues.mean()),
                "spread": state.spread,
                "largest": float(state.jacobian.eigenvalues.max()),
                "score": state.largest_score,
                "free": state.freeness.free,
                "drift": state.drift.tolist(),
            }
            for state in (watch.states if watch else ())
        ],
    }
    save_checkpoint(model, network, recipe.start)
    record.write_text(json.dumps(found))
    return model, found


def accuracy_of(model: IdentityMLP, test: Labelled) -> float:
    """Share of right answers of the output."""
    with torch.no_grad():
        said = torch.cat([model(chunk).argmax(1) for chunk in test[0].split(500)])
    return float((said == test[1]).double().mean())


def shallow(train: Labelled, test: Labelled) -> dict:
    """One hidden ReLU layer of 256, with the best of four rates (by test accuracy, which favours it), three seeds."""
    found: dict[float, list[float]] = {}
    for rate in (0.03, 0.1, 0.3, 1.0):
        for seed in SEEDS:
            torch.manual_seed(seed)
            model = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
            loader = DataLoader(TensorDataset(*train), 32, shuffle=True, generator=seeded_generator(seed))
            try:
                fit(model, loader, FitOptions(epochs=2, rate=rate))
            except InputError:  # it diverges
                continue
            with torch.no_grad():
                found.setdefault(rate, []).append(float((model(test[0]).argmax(1) == test[1]).double().mean()))
    best = max(found, key=lambda rate: np.mean(found[rate]))
    return {"rate": best, "accuracy": found[best]}


def start_errors(depth: int, sample: Tensor, centre: Tensor) -> dict:
    """How far JJᵀ and Θ of the untrained network are from the exact diagonal formula, relative to the largest eigenvalue."""
    found = {}
    for activation, scale in (("hardtanh", 1.0), ("hardtanh", 0.99), ("tanh", 1.02), ("shifted_relu", 1.0)):
        model = IdentityMLP((28, 28), 10, depth, activation, scale, centre=centre).double()
        for linear in model.linears:
            linear.weight.data.copy_(scale * torch.eye(model.width, dtype=torch.float64))
        x = model.padded(sample)
        with torch.no_grad():
            before = tuple(h[0].numpy() for h in model.states(sample)[0])
        # hard-tanh at s = 1 holds cut neurons exactly at its kinks, where torch takes φ' = 0: as just beyond them
        before = tuple(np.where(np.abs(h) == 1, h * (1 + 1e-12), h) for h in before) if scale == 1 else before
        signals, read = NeuronSignals(x[0].numpy(), before), trace(model.stack, x)
        for name, measured, fisher in (("JJᵀ", measure_jacobian, False), ("Θ", measure_fisher, True)):
            law = diagonal_law(model.network, realised=signals, fisher=fisher)
            counts = [round(atom.mass * model.width) for atom in law.atoms]
            exact = np.sort(np.repeat([atom.position for atom in law.atoms], counts))
            error = np.abs(measured(read, x).eigenvalues - exact).max() / exact.max()
            found[f"{activation} s={scale:g} {name}"] = float(error)
        words = freeness_test(read, x)
        tested = [abs(word.score) for word in words.words if word.tested]
        found[f"{activation} s={scale:g} score"] = max(tested, default=None)
    return found


def ablations(model: IdentityMLP, train: Labelled, test: Labelled) -> dict:
    """Of every class what is lost with the 5 % of neurons that contribute most by value, and by change; and by chance."""
    found = {}
    for of in ("value", "change"):
        rows = []
        for target in range(10):
            chosen = top_neurons(neuron_contributions(model, train[0][train[1] == target], of), target)
            one = ablate_class(model, chosen, test[0], test[1], target)
            rows.append([one.before, one.after, one.random_drop, one.random_error, one.significant])
        found[of] = rows
    return found


def attributions(model: IdentityMLP, inputs: Tensor) -> dict | None:
    """Rank correlation with Integrated Gradients (32 steps from the mean image) and with gradient × (image - mean)."""
    try:
        from captum.attr import IntegratedGradients, Saliency
    except ModuleNotFoundError:
        return None
    integrated = IntegratedGradients(model)

    def from_mean(x: Tensor, target: Tensor) -> Tensor:
        base = model.centre[None].expand_as(x)
        return torch.cat(
            [
                integrated.attribute(a, b, target=t, n_steps=32).detach()
                for a, b, t in zip(x.split(20), base.split(20), target.split(20), strict=True)
            ]
        )

    def gradient(x: Tensor, target: Tensor) -> Tensor:
        return Saliency(model).attribute(x.clone().requires_grad_(), target, abs=False) * (x - model.centre)

    found = {}
    for name, method in (("Integrated Gradients", from_mean), ("Gradient × centred image", gradient)):
        agreement = attribution_agreement(model, inputs, method)
        found[name] = [agreement.mean, agreement.error]
    return found


def read(networks: dict[str, IdentityMLP], folder: Path) -> dict:
    """All that the page says."""
    train, test, _ = fashion_data(folder, IMAGES)
    found: dict = {"shallow": shallow(train, test)}
    found["accuracy"] = {name: accuracy_of(model, test) for name, model in networks.items()}
    print("accuracy", found["shallow"], found["accuracy"], flush=True)
    found["start"] = {depth: start_errors(depth, test[0][:1], train[0].mean(0)) for depth in EPOCHS}
    found["sharpness"] = {}
    found["layers"], found["lens"], found["settled"], found["ablations"], found["roles"] = {}, {}, {}, {}, {}
    for name, model in networks.items():
        if name.startswith("identity"):
            readings = read_layers(model, test[0])
            found["layers"][name] = readings.accuracy(test[1].numpy()).tolist()
            found["settled"][name] = np.bincount(readings.settled, minlength=model.depth + 1)[1:].tolist()
            print(name, found["layers"][name], flush=True)
            found["ablations"][name] = ablations(model, train, (test[0][:1000], test[1][:1000]))
            found["roles"][name] = [[r.extraction, r.classification, r.revision, r.drift] for r in layer_roles(model)]
        if name.startswith(("identity", "haar-sgd")) and name.endswith("0-0"):
            start = prepare(recipes(folder)[name], train[0])
            first = (train[0][:64], train[1][:64], "cross_entropy")
            found["sharpness"][name] = [batch_sharpness(one, *first).value for one in (start, model)]
            found["lens"][name] = logit_lens(model, test[0]).accuracy(test[1].numpy()).tolist()
    found["attributions"] = {
        name: attributions(networks[name], test[0][:200]) for name in ("identity-20-0", "identity-shifted_relu-20-0")
    }
    return found


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Over seeds."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / len(values) ** 0.5)


def by_seed(found: dict, table: str, name: str) -> list:
    """The entries of one kind of network."""
    return [found[table][f"{name}-{seed}"] for seed in SEEDS]


def accuracy_table(found: dict) -> str:
    """Test accuracy, mean ± standard error over three seeds."""
    lines = ["| layers | passes | identity | Haar, same optimiser | Haar, plain SGD | identity less the better Haar |"]
    lines += ["|---|---|---|---|---|---|"]
    for depth, epochs in EPOCHS.items():
        kinds = {
            name: by_seed(found, "accuracy", f"{name}-{depth}") for name in ("identity", "haar-momentum", "haar-sgd")
        }
        better = max(("haar-momentum", "haar-sgd"), key=lambda name: np.mean(kinds[name]))
        difference = np.subtract(kinds["identity"], kinds[better]).tolist()
        cells = ["{:.4f} ± {:.4f}".format(*mean_and_error(values)) for values in (*kinds.values(), difference)]
        lines.append(f"| {depth} | {epochs} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def layer_table(found: dict) -> str:
    """Accuracy read at some layers, mean ± standard error over three seeds."""
    lines = []
    for depth in EPOCHS:
        curves = np.array(by_seed(found, "layers", f"identity-{depth}"))
        shown = sorted({1, 2, *range(depth // 10 * 2, depth, max(depth // 10, 1) * 2), depth - 1, depth})
        error = curves.std(0, ddof=1) / len(SEEDS) ** 0.5
        lines += ["| layer | " + " | ".join(map(str, shown)) + " |", "|---" * (len(shown) + 1) + "|"]
        cells = [f"{curves.mean(0)[at - 1]:.3f} ± {error[at - 1]:.3f}" for at in shown]
        lines += [f"| {depth} layers | " + " | ".join(cells) + " |", ""]
    return "\n".join(lines)


def ablation_rows(found: dict, name: str, of: str) -> np.ndarray:
    """(seeds, classes, 5): before, after, random drop, its error, significant."""
    return np.array([entry[of] for entry in by_seed(found, "ablations", name)], float)


def ablation_text(found: dict) -> str:
    """One line a depth and a way of choosing."""
    lines = [
        "| layers | chosen by | lost: mean | lost: least of 30 | random: lost | ratio of means | ≥ 5 points and > 3 SE |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for depth in EPOCHS:
        for of in ("value", "change"):
            rows = ablation_rows(found, f"identity-{depth}", of)
            drop, random, error = rows[..., 0] - rows[..., 1], rows[..., 2], rows[..., 3]
            good = (drop >= 0.05) & (drop > random + 3 * error)
            ratio = drop.mean() / random.mean()
            lines.append(
                f"| {depth} | {of} | {100 * drop.mean():.1f} | {100 * drop.min():.1f} | {100 * random.mean():.1f} | "
                f"{ratio:.1f} | {int(good.sum())} of {good.size} |"
            )
    return "\n".join(lines)


def state_text(found: dict) -> str:
    """Along training, seed 0."""
    lines = [
        "| layers | steps | mean of JJᵀ | relative variance | largest | strongest word | ‖W - 1‖/‖1‖, least to most |"
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for depth in EPOCHS:
        for state in found["training"][f"identity-{depth}-0"]["states"]:
            drift = state["drift"]
            lines.append(
                f"| {depth} | {state['step']} | {state['mean']:.3f} | {state['spread']:.3g} | {state['largest']:.3g} | "
                f"{state['score']:.0f} | {min(drift):.3f} to {max(drift):.3f} |"
            )
    return "\n".join(lines)


def curves_picture(found: dict) -> None:
    """Accuracy by layer: identity with error bars, the lens on Haar weights."""
    figure = Figure(figsize=(10.5, 4.9), layout="constrained", facecolor="white")
    for axes, depth in zip(figure.subplots(1, 2, sharey=True), EPOCHS, strict=True):
        curves = np.array(by_seed(found, "layers", f"identity-{depth}"))
        index, error = np.arange(1, depth + 1), curves.std(0, ddof=1) / len(SEEDS) ** 0.5
        axes.errorbar(
            index, curves.mean(0), error, color="#0072B2", capsize=2, label="identity, class neurons (3 seeds)"
        )
        if depth == 20:
            name = "identity-shifted_relu-20-0"
            axes.plot(
                index,
                found["layers"][name],
                color="#009E73",
                label="identity, class neurons, shifted ReLU and plain SGD",
            )
        axes.plot(index[:-1], found["lens"][f"identity-{depth}-0"], "--", color="#0072B2", label="identity, logit lens")
        axes.plot(index[:-1], found["lens"][f"haar-sgd-{depth}-0"], "--", color="#D55E00", label="Haar, logit lens")
        axes.set_title(f"{depth} layers", loc="left")
        axes.set_xlabel("layer")
        axes.set_ylim(0, 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="#dddddd", linewidth=0.6)
    figure.axes[0].set_ylabel("accuracy read there (10,000 test images)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    figure.savefig(HERE / "interpretation.png", dpi=110, metadata={"Software": None})


def image_picture(model: IdentityMLP, folder: Path) -> None:
    """The first test image through twenty layers."""
    train, test, _ = fashion_data(folder, IMAGES)
    (story,) = tell(model, (train[0][:500], train[1][:500]), (test[0][:500], test[1][:500]), StoryOptions((0,))).images
    maps = [(f"layer {layer}", story.maps[layer - 1]) for layer in (1, 2, 4, 8, 12, 16, 19)]
    picture = plot_maps(story.pixels, [(f"for {CLASSES[story.predicted]}", story.support), *maps], columns=9)
    picture.savefig(HERE / "interpretation-maps.png", dpi=110, metadata={"Software": None})


PAGE = """# Reading a network layer by layer

Made by `docs/make_interpretation.py`; every number on this page is measured by it unless another source is named.

A network that starts at the identity changes its signal a little at a time. `IdentityMLP` gives it room to speak. Of
its N = 784 + 10 neurons in every layer the first 784 stay in the space of the image: the contribution map mˡ. The
last 10 are one neuron a class (pˡ). x⁰ = [image - mean image; 0], hˡ = Wˡxˡ⁻¹ + bˡ, xˡ = φ(hˡ), Wˡ = 1 at the start.
softmax of the class part of hˡ is the likelihood read at layer l; at the last layer that is the network's output, bit
by bit. No backward pass is needed for anything but training. (Kubota, Hayashi, Hayase, Uchida, ICASSP 2021, arXiv
2102.13333.)

```
freeness interpret --depth 20 --show 0 --show 7                      # the bundled images, half a minute; writes an HTML page
freeness interpret --data FOLDER --images 10000 --save net.pt        # the official files; this page's network
freeness interpret --checkpoint net.pt --data FOLDER --show 42       # read it again
freeness interpret --start haar --optimizer sgd                      # another start: read by the output layer, and labelled so
```

```python
import torch
from torch.utils.data import DataLoader, TensorDataset
from freeness.interpret import FitOptions, IdentityMLP, fit, layer_roles, read_layers

inputs = torch.randn(256, 12, generator=torch.Generator().manual_seed(0))
labels = (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long()
model = IdentityMLP(12, classes=3, depth=10, activation="shifted_relu")
fit(model, DataLoader(TensorDataset(inputs, labels), batch_size=32), FitOptions(epochs=20))  # at the designed rate
readings = read_layers(model, inputs)
readings.likelihoods, readings.accuracy(labels.numpy()), readings.settled, [layer.role for layer in layer_roles(model)]
assert readings.accuracy(labels.numpy())[-1] > 0.9
```

`identity_initialize_` starts your own network of one width that way, fully connected or convolutional (ones in the centre
tap); `logit_lens` reads any other network by its output layer.

## Is it as good as random weights?

Fashion-MNIST, the first {images:,} training images in batches of 32, all 10,000 test images, hard-tanh, width 794, three
seeds (order of images; weights of Haar). Each network trains at the rate designed from its own curvature on the first
batch, .35·2/λ. Mean ± standard error over seeds.

{accuracy}

{verdict} Haar weights suffer from momentum at this rate, so plain SGD stands beside it. Of the factors .35, 1 and 2 times
2/λ the designed one was also the best for them in a trial on 4,000 images (.811, .795, .787). Identity weights need the
larger steps: with plain SGD at 2/λ, nearly three times the designed rate, one network reached .844 in a trial (2,000 test
images). One hidden ReLU layer of 256 with the best of four rates, chosen by test accuracy, reaches {shallow:.4f} ±
{shallow_error:.4f} in two passes: the twenty layers are {gap} it. {timing}

**Where the design does not hold.** On images of 7×7 pixels (width 59) momentum at the designed rate is far too fast.
20 layers of hard-tanh end at .49 after two passes, at .73 with three tenths of that rate and at .63 with plain SGD.
With shifted ReLU it is .47, .73 and .71. At full size the curvature of the identity network *falls* while it trains:
{sharpness}. So steps that began at the designed rate stay stable. In the small network it doubles in the first pass
(15 to 36). So `fit` uses plain SGD unless told otherwise, and the command, which trains at full size, uses momentum.

## Accuracy by layer

![Accuracy read at every layer, 20 and 50 layers](interpretation.png)

{layers}
Of the 20 layers (seed 0) {settled_first:.0%} of the test images have their final class from layer 1 on, and
{settled_last:.0%} settle only at layer 20.

**What the curve means.** It says what a layer *says*, not what it *knows*: only the last layer is trained to be
right. With hard-tanh the class neurons reach their limits ±1 on the way (in a trial two thirds of them by layer 4 and
nine tenths by layer 10). So the layers between cannot order the classes. The last layer reads the input part again
and decides. What the layers know shows when the last layer is put behind each of them (logit lens, dashed). Then it
is {lens_first:.3f} at layer 1, {lens_best:.3f} at the best, which is not the last one. With shifted ReLU, which has
no upper limit, the class neurons say it themselves from the first layer on, at the cost of {cost:.3f} in accuracy
(one seed, plain SGD). Haar weights speak no such language: the lens stays at chance until the last hidden layer,
which is no statement about what those layers know.

## What a layer adds to an image

![An image, what speaks for its class, and contribution maps](interpretation-maps.png)

The first test image. "for …" is the image and all maps times the weights that read them into the class. Layer 1 cuts what
lies beyond ±1 (hard-tanh); the maps of later layers are a tenth of that. What they change is the surroundings of the
shape as much as the shape.

## Neurons that matter

For every class the 5 % of all hidden neurons that contribute most (of 784·(L - 1); class neurons never count) are
deleted: their output is set to 0. They are chosen on training images and tested on 1,000 test images, beside as many
random neurons in each layer (5 seeds). "value": E mᵢˡ times the weights with which all later layers read it into the
class, beyond the average class. "change": the same with mᵢˡ - mᵢˡ⁻¹, what this layer alone did. Points of accuracy of the
class; 10 classes × 3 trained networks:

{ablations}

The bar is a loss of at least 5 points and of more than random neurons by 3 standard errors. **With 20 layers that
holds by value in 29 of 30 cases** (the other one loses 4.4 points), **with 50 layers in 15 of 30 only**. Every class
loses at least 7 points there, but in the other half random neurons of the same layers cost as much within three
errors. Presumably a pixel that is set to 0 in one of 49 layers is gone for all later ones, and random neurons meet
nearly every pixel somewhere. Held against random neurons of all layers alike (a trial on the same networks; they cost
3.2 and 9.8 points), 29 and 21 of 30 pass. Contributions by change, which is the published definition, foretell
deletion less well at both depths. With shifted ReLU and 20 layers (one seed) all ten classes pass, by value: 24 to 93
points against at most 8.

## The start, and what training makes of it

At the start JJᵀ and Θ are diagonal and known neuron by neuron (`freeness.spectra.diagonal_law`). Largest deviation of the
measured eigenvalues at the first test image, over the largest eigenvalue, and the strongest word of the freeness test in
standard errors (5 reject):

{start}

Hard-tanh at s = 1 holds cut neurons *exactly* at its kinks, where φ' is a convention: torch takes 0, the table's
`hardtanh` the slope from the left. The formula is evaluated just beyond the kinks there; taken as it is, it counts the
neurons at +1 as passing in Θ.

Along training (seed 0; JJᵀ of the whole stack, N×N):

{states}

Near-isometry does not survive. The mean of JJᵀ hardly moves, but its relative variance grows more than tenfold in two
passes and the largest eigenvalue from 1 to about 30. Yet no matrix has moved by more than 6 %. The weights never
pass the freeness test, before or after.

## Roles

‖Wˡ - 1‖ by parts, 20 layers, seed 0. "Extraction" stays in the input part, "classification" leads to the class neurons.

{roles}

All layers but the last have moved most within the input part, the first ones most: they extract. The last one, whose
input part reaches no output and is not trained, classifies, with changes five times as large as any other layer's way to
the class neurons. The three parts do not tell how much a single weight matters: the input part has 784² of them.

## Agreement with attributions

Spearman correlation over pixels between `pixel_contributions` (no backward pass) and captum's attributions for the
predicted class, mean ± standard error over 200 test images (pip install freeness[captum]):

{attributions}

The agreement is close where the network is nearly linear in its class neurons (shifted ReLU) and loose with
hard-tanh. Presumably its saturated class neurons let gradients through in the last layers only, while the
contributions count every layer's reading.

## What it does not tell

* A contribution is a first-order account: exact for a linear φ whose input part is not trained, and checked above by
  deletion only.
* The likelihoods of layers between are not calibrated, and with hard-tanh, whose class neurons end at ±1, they hardly say
  more than e² to 1.
* Deleting neurons is an intervention far from the data. Which of two redundant neurons matters it cannot say.
"""


def start_table(found: dict) -> str:
    """Deviations from the diagonal formula, and the freeness test."""
    lines = ["| layers | activation, s | JJᵀ | Θ | strongest word |", "|---|---|---|---|---|"]
    for depth in EPOCHS:
        entries = found["start"][str(depth)]
        for kind in dict.fromkeys(name.rsplit(" ", 1)[0] for name in entries):
            score = entries[f"{kind} score"]
            said = "not tested" if score is None else f"{score:.0f}"
            lines.append(f"| {depth} | {kind} | {entries[kind + ' JJᵀ']:.1e} | {entries[kind + ' Θ']:.1e} | {said} |")
    return "\n".join(lines)


def role_table(found: dict) -> str:
    """Norms of parts of some layers."""
    rows = found["roles"]["identity-20-0"]
    shown = (1, 2, 5, 10, 15, 19, 20)
    lines = ["| layer | " + " | ".join(map(str, shown)) + " |", "|---" * (len(shown) + 1) + "|"]
    for place, name in enumerate(("extraction", "classification", "revision among class neurons")):
        lines.append(f"| {name} | " + " | ".join(f"{rows[at - 1][place]:.3f}" for at in shown) + " |")
    return "\n".join(lines)


def attribution_table(found: dict) -> str:
    """Rank correlations with captum's methods."""
    lines = ["| network | Integrated Gradients | gradient × (image - mean) |", "|---|---|---|"]
    for name, said in (("identity-20-0", "hard-tanh"), ("identity-shifted_relu-20-0", "shifted ReLU")):
        pairs = found["attributions"][name] or {}
        cells = [f"{mean:.3f} ± {error:.3f}" for mean, error in pairs.values()] or ["captum is not installed"] * 2
        lines.append(f"| {said} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdict_text(found: dict) -> str:
    """Identity less Haar, in words that follow the sign and the error."""
    told = []
    for depth in EPOCHS:
        said = []
        identity = by_seed(found, "accuracy", f"identity-{depth}")
        for kind, name in (("momentum", "Haar under the same optimiser"), ("sgd", "Haar with plain SGD")):
            mean, error = mean_and_error(
                np.subtract(identity, by_seed(found, "accuracy", f"haar-{kind}-{depth}")).tolist()
            )
            side = "ahead of" if mean > 2 * error else "below" if mean < -2 * error else "not to be told from"
            said.append(f"{side} {name} ({mean:+.4f} ± {error:.4f})")
        told.append(f"With {depth} layers identity is {' and '.join(said)}.")
    return " ".join(told)


def sharpness_text(found: dict) -> str:
    """λ_max of the GGN before and after."""
    names = ("identity-20-0", "identity-50-0", "haar-sgd-20-0")
    pairs = [found["sharpness"][name] for name in names]
    said = [f"{before:.0f} to {after:.0f}" for before, after in pairs]
    return f"λ from {said[0]} with 20 layers and from {said[1]} with 50. With Haar weights and plain SGD it goes from {said[2]}"


def fields(found: dict) -> dict:
    """What stands between the words of the page."""
    shallow_mean, shallow_error = mean_and_error(found["shallow"]["accuracy"])
    best = float(np.mean(by_seed(found, "accuracy", "identity-20")))
    cpu = {
        d: [found["training"][f"identity-{d}-{seed}"]["cpu"] for seed in SEEDS[1:]] for d in EPOCHS
    }  # seed 0 is watched
    settled = np.array(found["settled"]["identity-20-0"]) / 10_000
    return {
        "images": IMAGES,
        "accuracy": accuracy_table(found),
        "verdict": verdict_text(found),
        "shallow": shallow_mean,
        "shallow_error": shallow_error,
        "gap": f"{abs(best - shallow_mean):.4f} {'above' if best > shallow_mean else 'below'}",
        "timing": "Training took"
        f" {np.mean(cpu[20]):.0f} s of one core with 20 layers (two passes) and {np.mean(cpu[50]):.0f} s with 50 (one).",
        "sharpness": sharpness_text(found),
        "layers": layer_table(found),
        "settled_first": settled[0],
        "settled_last": settled[-1],
        "lens_first": found["lens"]["identity-20-0"][0],
        "lens_best": max(found["lens"]["identity-20-0"]),
        "cost": found["accuracy"]["identity-20-0"] - found["accuracy"]["identity-shifted_relu-20-0"],
        "ablations": ablation_text(found),
        "start": start_table(found),
        "states": state_text(found),
        "roles": role_table(found),
        "attributions": attribution_table(found),
    }


def main() -> None:
    """Train what is not there, read it, write page and pictures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data" / "fashion-mnist")
    parser.add_argument("--cache", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.cache.mkdir(parents=True, exist_ok=True)
    networks, records = {}, {}
    for name, recipe in recipes(arguments.data).items():
        networks[name], records[name] = trained(name, recipe, arguments.cache)
        print(name, f"{records[name]['cpu']:.0f} s of processor time", records[name]["losses"], flush=True)
    found = read(networks, arguments.data) | {"training": records}
    curves_picture(found)
    image_picture(networks["identity-20-0"], arguments.data)
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    (HERE / "interpretation.json").write_text(text, encoding="utf-8")
    (HERE / "interpretation.md").write_text(PAGE.format(**fields(json.loads(text))), encoding="utf-8")


if __name__ == "__main__":
    main()
