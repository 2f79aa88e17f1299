"""Transformers that normalise each residual sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from freeness.torch.recipes.pre_norm_transformer import is_transformer, normalises_sums, transformer_starts
from freeness.torch.recipes.recipe import Start, StartRecipe, Subject


@dataclass(frozen=True)
class PostNormTransformer(StartRecipe):
    """BERT's start: N(0, σ²) in matrices and tables, biases 0; each sum is normalised, so depth does not enter.

    ``deviation``: σ, 0.02 as published.
    """

    deviation: float = 0.02
    name: ClassVar[str] = "post-LN Transformer"
    source: ClassVar[str] = "Devlin et al. 2019 (BERT), published configuration"

    def fits(self, subject: Subject) -> bool:
        """Attention, and a normalisation of the sums."""
        return is_transformer(subject) and normalises_sums(subject)

    def starts(self, subject: Subject) -> Mapping[str, Start | str]:
        return transformer_starts(subject, self.deviation, frozenset())
