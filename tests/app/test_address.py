from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeness.app.address import Choice, Number, Text, read_query, written_query
from freeness.errors import InputError

FIELDS = {
    "depth": Number(10, 1, 30, whole=True),
    "q": Number(0.5, 0.01, 5.0),
    "weights": Choice("haar", ("haar", "gaussian")),
    "text": Text("x*y", 50),
}


@given(
    st.integers(1, 30),
    st.floats(0.01, 5.0),
    st.sampled_from(["haar", "gaussian"]),
    st.text("az09 .,:;!?/&=#%+-_~'\"()<>[]{}|\\^`@*$λ²é中🙂", max_size=50),
)
def test_address_gives_back_what_was_written(depth, q, weights, text):
    values = {"depth": depth, "q": q, "weights": weights, "text": text}
    query = dict(parse_qsl(written_query(FIELDS, values), keep_blank_values=True, strict_parsing=False))
    assert read_query(FIELDS, query) == (values, ())


def test_address_of_the_defaults_is_empty():
    assert written_query(FIELDS, {name: field.default for name, field in FIELDS.items()}) == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("depth", "0"), ("depth", "2.5"), ("depth", "1e3"), ("depth", "9" * 5000), ("depth", ""), ("q", "nan"), ("q", "inf"),
        ("q", "-1"), ("q", "0x1"), ("weights", "Haar"), ("text", "x" * 51), ("text", "x\ny"), ("text", "\x1b[31m"),
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_in_one_sentence(name, text):
    with pytest.raises(InputError) as refusal:
        FIELDS[name].read(name, text)
    message = str(refusal.value)
    assert message.startswith("expected") and message.endswith(".") and len(message) < 200
    values, complaints = read_query(FIELDS, {name: text})
    assert values[name] == FIELDS[name].default and complaints == (message,)
