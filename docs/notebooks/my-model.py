# %% [markdown]
# # Does my network train, and how fast may it learn?
#
# Take a PyTorch model and a batch of your data. `analyze` reads the model, measures it, and puts theory beside the measurement.

# %%
import torch
from torch import nn

from freeness.torch import analyze, load_data

torch.manual_seed(0)
model = nn.Sequential(
    nn.Flatten(),
    nn.Linear(784, 256), nn.Tanh(),
    nn.Linear(256, 256), nn.Tanh(),
    nn.Linear(256, 256), nn.Tanh(),
    nn.Linear(256, 10),
)  # fmt: skip
images, labels, about = load_data("fashion-mnist", model)
about

# %%
report = analyze(model, (images, labels), loss="cross_entropy", optimizer="sgd")
report

# %% [markdown]
# The first lines are the answer. A picture shows how signal and gradient fare from layer to layer.

# %%
report.plot(title="The start of PyTorch")

# %% [markdown]
# JJᵀ says how strongly each output reacts to small changes of the input. Orange is measured on this network, blue is theory.

# %%
report.jacobian.plot(title="JJᵀ at the start of PyTorch")

# %% [markdown]
# The learning rate comes with an interval and with its reason.

# %%
report.learning_rate

# %% [markdown]
# ## A better start
#
# `design` tells an initialisation for the same shape. `initialize_` puts it into the model, in place.

# %%
import freeness as fr
from freeness.torch import initialize_

plan = fr.design(4, [784, 256, 256, 256, 10], "tanh")
initialize_(model, plan)
better = analyze(model, (images, labels), loss="cross_entropy", optimizer="sgd")
print("before:", report.headline)
print("after: ", better.headline)

# %% [markdown]
# Gradients keep their size in every layer now, and so does the signal.

# %%
better.plot(title="The start by design")
