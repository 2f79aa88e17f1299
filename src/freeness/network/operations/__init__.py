"""The operations that a network is made of, one a file."""

from freeness.network.operations.activation import Activation
from freeness.network.operations.attention import Attention
from freeness.network.operations.concatenation import Concatenation
from freeness.network.operations.constant import Constant
from freeness.network.operations.convolution import Convolution
from freeness.network.operations.data import Data
from freeness.network.operations.dense import Dense
from freeness.network.operations.dropout import Dropout
from freeness.network.operations.embedding import Embedding
from freeness.network.operations.flatten import Flatten
from freeness.network.operations.max_pooling import MaxPooling
from freeness.network.operations.normalisation import Normalisation
from freeness.network.operations.pooling import Pooling
from freeness.network.operations.position_wise import PositionWise
from freeness.network.operations.product import Product
from freeness.network.operations.reshape import Reshape
from freeness.network.operations.selection import Selection
from freeness.network.operations.sum import Sum
from freeness.network.operations.token_mixing import TokenMixing
from freeness.network.operations.upsampling import Upsampling

__all__ = [
    "Activation",
    "Attention",
    "Concatenation",
    "Constant",
    "Convolution",
    "Data",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "MaxPooling",
    "Normalisation",
    "Pooling",
    "PositionWise",
    "Product",
    "Reshape",
    "Selection",
    "Sum",
    "TokenMixing",
    "Upsampling",
]
