"""Networks that start at the identity, read layer by layer: likelihoods, contribution maps, neurons, roles, drift."""

import freeness.torch as _torch  # noqa: F401  (before PyTorch itself, whose absence it tells in one sentence)
from freeness.interpret.agreement import Agreement, attribution_agreement
from freeness.interpret.along_training import TrainingState, TrainingWatch
from freeness.interpret.checkpoint import load_checkpoint, save_checkpoint
from freeness.interpret.fashion import Recipe as Recipe
from freeness.interpret.fashion import Start as Start
from freeness.interpret.fashion import tell_of as tell_of
from freeness.interpret.fashion import train_and_tell as train_and_tell
from freeness.interpret.identity_layers import identity_initialize_
from freeness.interpret.identity_mlp import IdentityMLP
from freeness.interpret.maps import contribution_maps
from freeness.interpret.neurons import (
    Ablation,
    ablate_class,
    neuron_contributions,
    pixel_contributions,
    top_neurons,
    without_neurons,
)
from freeness.interpret.rate import designed_rate
from freeness.interpret.readings import LayerReadings, logit_lens, read_layers
from freeness.interpret.roles import LayerRole, layer_roles
from freeness.interpret.story import ImageStory, Interpretation, StoryOptions, tell
from freeness.interpret.training import Fit, FitOptions, fit

__all__ = [
    "Ablation",
    "Agreement",
    "Fit",
    "FitOptions",
    "IdentityMLP",
    "ImageStory",
    "Interpretation",
    "LayerReadings",
    "LayerRole",
    "StoryOptions",
    "TrainingState",
    "TrainingWatch",
    "ablate_class",
    "attribution_agreement",
    "contribution_maps",
    "designed_rate",
    "fit",
    "identity_initialize_",
    "layer_roles",
    "load_checkpoint",
    "logit_lens",
    "neuron_contributions",
    "pixel_contributions",
    "read_layers",
    "save_checkpoint",
    "tell",
    "top_neurons",
    "without_neurons",
]
