"""Published starts by architecture, one a file; the first that fits a model is taken."""

from freeness.torch.recipes.convolutional_network import ConvolutionalNetwork
from freeness.torch.recipes.post_norm_transformer import PostNormTransformer
from freeness.torch.recipes.pre_norm_transformer import PreNormTransformer
from freeness.torch.recipes.recipe import (
    Start,
    StartRecipe,
    Subject,
    fitting_recipe,
    recipes,
    register_recipe,
    subject_of,
)
from freeness.torch.recipes.recurrent_network import RecurrentNetwork
from freeness.torch.recipes.residual_network import NormalisedResidualNetwork
from freeness.torch.recipes.rwkv import Rwkv
from freeness.torch.recipes.state_space_model import StateSpaceModel
from freeness.torch.recipes.unnormalised_residual_network import UnnormalisedResidualNetwork

for _recipe in (
    ConvolutionalNetwork(),
    UnnormalisedResidualNetwork(),
    NormalisedResidualNetwork(),
    PostNormTransformer(),
    PreNormTransformer(),
    RecurrentNetwork(),
    StateSpaceModel(),
    Rwkv(),
):
    register_recipe(_recipe)

__all__ = [
    "ConvolutionalNetwork",
    "NormalisedResidualNetwork",
    "PostNormTransformer",
    "PreNormTransformer",
    "RecurrentNetwork",
    "Rwkv",
    "Start",
    "StartRecipe",
    "StateSpaceModel",
    "Subject",
    "UnnormalisedResidualNetwork",
    "fitting_recipe",
    "recipes",
    "register_recipe",
    "subject_of",
]
