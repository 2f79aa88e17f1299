"""What a text for readers must be."""

import re


def words_and_sentences(text: str, sentences: int = 3, words: int = 30) -> None:
    """At most so many sentences of so many words."""
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z])", text.strip())
    assert 1 <= len(parts) <= sentences, parts
    assert all(len(part.split()) <= words for part in parts), [(len(part.split()), part) for part in parts]
    assert text.strip()[-1] in ".!"
