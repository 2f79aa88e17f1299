"""Tables of vectors, looked up by tokens."""

from __future__ import annotations

from freeness.network import Embedding
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.operations.trained_weights import check_trained, module_name
from freeness.torch.record.elementwise import Slot
from freeness.torch.record.layout import Typing, holds, of_axis, size_of, whole
from freeness.torch.record.steps import Calls
from freeness.torch.record.walk import Asked, Signal

KIND = Kind("embedding", ("embedding", "embedding_bag"), "none", "tokens carry no signal that theory could follow")


def read(asked: Asked) -> Signal:
    """A vector for every token of the input."""
    walk, given, weight = asked.walk, asked.signal("indices"), asked.parameter("weight")
    if asked.name == "embedding_bag":
        raise Unread
    assert weight is not None
    check_trained(asked, weight[1])
    free = [axis for axis, atoms in enumerate(given.dims) if not holds(atoms, "samples")]
    layout = walk.typed(given, [])
    if of_axis(layout, "positions") != whole("positions", given.place.typing.count):
        raise Unread("of tokens in another order")
    given = walk.close(given)
    count, width = weight[1].shape
    behind = Typing(channels=width, positions=tuple(size_of(given.dims[axis]) for axis in free))
    name = module_name(asked, weight)
    tensor = weight[1]
    asked.note("none", KIND.limits)
    calls = Calls((asked.call(indices=Slot(0)),), tensor)

    def record() -> Embedding:
        return Embedding(count, width, float(tensor.detach().double().square().mean().sqrt()), name)

    return walk.weigh(asked, name, given, calls, record, (behind, (*layout, whole("channels", width))))


READERS = ((KIND, read),)
