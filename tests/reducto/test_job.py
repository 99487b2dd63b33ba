"""What is asked of the API, and what makes two requests ask for the same."""

from batcher.reducto.job import step_hash


def test_the_step_hash_ignores_how_it_is_asked() -> None:
    """Queue, retention and passwords make no other result; options and endpoint do."""
    plain = step_hash("parse", {"settings": {"page_range": [1]}})
    secret = {
        "settings": {"document_password": "s", "persist_results": True, "page_range": [1]},
        "queue_priority": "batch",
    }
    assert step_hash("parse", secret) == plain
    assert step_hash("parse", {"settings": {"document_password": "s"}}) == step_hash("parse", {})
    within = {"parsing": {"settings": {"document_password": "s"}}}
    assert step_hash("extract", within) == step_hash("extract", {})
    assert within == {"parsing": {"settings": {"document_password": "s"}}}, "it is still to be sent"
    assert (
        step_hash("parse", {"settings": {"page_range": [2]}})
        != plain
        != step_hash("extract", {"settings": {"page_range": [1]}})
    )
