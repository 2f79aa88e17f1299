"""Which signals of a forward pass are made of which, as operations are dispatched: what of a sum is its skip connection."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves

_SCALING = {"mul", "div", "neg", "add", "sub", "clone", "_to_copy", "native_dropout"}  # by numbers and parameters
_WEIGHTS = {"mm", "addmm", "bmm", "baddbmm", "linear", "convolution", "embedding"}
_MIXING = (
    *_WEIGHTS,
    "mv",
    "_scaled_dot_product",
    "mkldnn_rnn_layer",
    "_cudnn_rnn",
    "_thnn_fused",
)  # as their names begin


class Lineage:
    """Signals by the place at which each was made, with those that it was made of.

    A view, what is written in place and what is only scaled or shifted stay the signal that they were.

    Example:
        >>> import torch
        >>> x, lineage = torch.ones(2, 3), Lineage()
        >>> lineage.note("mm", (), x)
        >>> y = x.tanh()
        >>> lineage.note("tanh", (x,), y)
        >>> z = y @ y.T
        >>> lineage.note("mm", (y, y), z)
        >>> lineage.skip_first(y, x) is None, lineage.skip_first(z, x) == (x, z)
        (True, True)
    """

    def __init__(self) -> None:
        self._born: dict[int, int] = {}
        self._noted: dict[int, int] = {}
        self._clock = count()
        self._sources: list[tuple[int, ...]] = []
        self._mixing: list[bool] = []  # made by weights, or by products of signals
        self._straight: list[bool] = []  # behind weights, and nothing since but normalisations and scales
        self._depth: list[int] = []  # weights and products on the longest way to it

    def note(self, name: str, args: Iterable[Any], returned: Any) -> None:
        """An operation was done."""
        given = [one for one in tree_leaves(args) if isinstance(one, Tensor)]
        sources = tuple(dict.fromkeys(self._born[at] for one in given if (at := one.data_ptr()) in self._born))
        alone = sources[0] if len(sources) == 1 else None
        places = {one.data_ptr() for one in given}
        for one in tree_leaves(returned):
            if not isinstance(one, Tensor):
                continue
            self._noted[one.data_ptr()] = next(self._clock)
            if one.data_ptr() in places & self._born.keys():
                self._filled(one, sources)
                continue
            if alone is not None and name in _SCALING:
                self._born[one.data_ptr()] = alone
                continue
            straight = name in _WEIGHTS or ("norm" in name and alone is not None and self._straight[alone])
            self._born[one.data_ptr()] = len(self._sources)
            self._sources.append(sources)
            mixing = name.startswith(_MIXING)
            self._mixing.append(mixing)
            self._depth.append(max((self._depth[source] for source in sources), default=0) + mixing)
            self._straight.append(straight)

    def _filled(self, part: Tensor, sources: Iterable[int]) -> None:
        """Weights are behind what had none, as zeros of which a part is written."""
        deepest = max(self._depth[source] for source in sources)
        for at in (part.data_ptr(), part.untyped_storage().data_ptr()):
            born = self._born.get(at)
            if born is not None and self._depth[born] == 0:
                self._depth[born] = deepest

    def knows(self, *signals: Tensor) -> bool:
        """Whether operations made them."""
        return all(one.data_ptr() in self._born for one in signals)

    def begins(self, *signals: Tensor) -> bool:
        """Whether no weights are behind any of these signals."""
        return all(self._depth[self._born[at]] == 0 for one in signals if (at := one.data_ptr()) in self._born)

    def skip_first(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor] | None:
        """Skip connection and branch of a sum; None where it is none, as of gates and of what a recurrence holds.

        The branch was made of the other signal by weights, as noise on a mean is not. Or both come from weights, as in front of a
        ResNet's stage: then that with fewer weights behind it counts as the skip connection, and the earlier one of equals.
        """
        earlier, later = sorted((one, other), key=lambda signal: self._noted[signal.data_ptr()])
        early, late = self._born[earlier.data_ptr()], self._born[later.data_ptr()]
        if self._made_of(late, early):
            return earlier, later
        if self._straight[early] and self._straight[late]:
            return (later, earlier) if self._depth[late] < self._depth[early] else (earlier, later)
        return (later, earlier) if self._made_of(early, late) else None

    def _made_of(self, late: int, early: int) -> bool:
        """Whether weights, or products of signals, are on a way from the one to the other."""
        waiting = [(late, late > early and self._mixing[late])]
        seen = set(waiting)
        while waiting:
            place, mixed = waiting.pop()
            if place == early and mixed:
                return True
            behind = [
                (one, mixed or (one > early and self._mixing[one])) for one in self._sources[place] if one >= early
            ]
            new = [one for one in behind if one not in seen]
            seen.update(new)
            waiting += new
        return False
