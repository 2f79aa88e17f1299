"""A refusal that is one sentence, as users meet it."""

import pytest

from freeness.errors import InputError


def refused(words, call, *arguments):
    """The call fails by one sentence that has these words."""
    with pytest.raises(InputError, match=words) as caught:
        call(*arguments)
    text = str(caught.value)
    assert text.startswith("expected ") and text.endswith(".") and text.isprintable()
