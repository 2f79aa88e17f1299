"""Tables of vectors, looked up by tokens."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from freeness.network import Embedding
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.operations.trained_weights import check_trained, module_name
from freeness.torch.record.elementwise import Slot
from freeness.torch.record.layout import Typing, holds, of_axis, size_of, whole
from freeness.torch.record.steps import Calls, GivenTensor
from freeness.torch.record.walk import Asked, Signal

KIND = Kind("embedding", ("embedding", "embedding_bag"), "none", "tokens carry no signal that theory could follow")


def read(asked: Asked) -> Signal:
    """A vector for every token of the input."""
    walk, weight, found = asked.walk, asked.parameter("weight"), asked.arguments["indices"]
    if asked.name == "embedding_bag":
        raise Unread
    assert weight is not None
    check_trained(asked, weight[1])
    count, width = weight[1].shape
    silent = partial(_silent, weight[1], asked.arguments["padding_idx"])
    own = isinstance(found, GivenTensor) and found.by_sample
    given = walk.brought(found, asked.shape[:-1], count, silent) if own else asked.signal("indices")
    free = [axis for axis, atoms in enumerate(given.dims) if not holds(atoms, "samples")]
    layout = walk.typed(given, [])
    if of_axis(layout, "positions") != whole("positions", given.place.typing.count):
        raise Unread("of tokens in another order")
    given = walk.close(given)
    behind = Typing(channels=width, positions=tuple(size_of(given.dims[axis]) for axis in free))
    name = module_name(asked, weight)
    tensor = weight[1]
    asked.note("none", KIND.limits)
    calls = Calls((asked.call(indices=Slot(0)),), tensor)

    def record() -> Embedding:
        heard, quiet = tensor.detach().double(), silent()
        size = float((heard.square().sum() / max(width * (count - len(quiet)), 1)).sqrt())
        return Embedding(count, width, size, name, quiet)

    return walk.weigh(asked, name, given, calls, record, (behind, (*layout, whole("channels", width))))


def _silent(weight: Tensor, padding: int) -> tuple[int, ...]:
    """The token of padding, if its vector is 0."""
    return (padding,) if padding >= 0 and not bool(weight[padding].any()) else ()


READERS = ((KIND, read),)
