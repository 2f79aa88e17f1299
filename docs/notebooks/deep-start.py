# %% [markdown]
# # Start a deep network
#
# PyTorch's default start lets signals die in deep networks. Here 30 layers are trained twice with the same data and steps: by the
# default, and by a design from theory.

# %%
import torch
from torch import nn

import freeness as fr
from freeness.advice import Training
from freeness.torch import initialize_, load_data

DEPTH, WIDTH = 30, 100
plan = fr.design(
    DEPTH, [784] + [WIDTH] * (DEPTH - 1) + [10], "tanh", training=Training("cross_entropy", "sgd", batch=64)
)
plan

# %% [markdown]
# Nearer to isometry means nearer to a linear network. The dotted line is where this design stands.

# %%
plan.plot()

# %% [markdown]
# ## Train both


# %%
def network():
    layers = [nn.Linear(784, WIDTH), nn.Tanh()]
    for _ in range(DEPTH - 2):
        layers += [nn.Linear(WIDTH, WIDTH), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def accuracy_after_training(model, rate, epochs=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for chosen in torch.randperm(len(images), generator=generator).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[chosen]), labels[chosen]).backward()
            optimizer.step()
    return float((model(images).argmax(1) == labels).float().mean())


torch.manual_seed(0)
by_default, by_design = network(), network()
images, labels, _ = load_data("fashion-mnist", by_default)
initialize_(by_design, plan)

for rate in (0.003, 0.03, 0.3):
    torch.manual_seed(0)
    print(f"default, rate {rate}: {accuracy_after_training(network(), rate):.0%} of the training images")
rate = plan.learning_rate.recommended
print(f"design, its rate {rate:.3g}: {accuracy_after_training(by_design, rate):.0%}")
