"""How much of a text somebody may have written."""

from __future__ import annotations

import pytest

from batcher.service.parsing.scans.plausibility import worth


@pytest.mark.parametrize(
    "text", ["an ordinary line", "Rechnung über 4711", "договор", "請求書", "NASA MRT"]
)
def test_words_of_any_language_count(text: str) -> None:
    """All their letters do."""
    assert worth([text]) == len("".join(text.split()))


@pytest.mark.parametrize(
    "text", ["xkqzwrt", "a\ufffdb\ufffdc", "\ue001\ue002\ue003", "|| ~ --", ""]
)
def test_nonsense_counts_nothing(text: str) -> None:
    """As broken fonts leave it."""
    assert worth([text]) == 0
