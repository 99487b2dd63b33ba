"""Passwords as people write them down, and as requests carry them."""

from __future__ import annotations

import pytest

from batcher.manifest.password_rules import PLACES, Keyring, from_lines, from_table, opening
from batcher.reducto.option_checks import problems


def test_a_line_is_a_password_with_all_its_spaces() -> None:
    """Empty lines are none, whatever ends them."""
    assert from_lines(" one \r\n\r\ntwo\n\nthree,3").all == (" one ", "two", "three,3")


def test_a_table_names_the_documents_of_each() -> None:
    """A document's own comes first; a row without a path is for all; a path is a name as batcher
    writes it.
    """
    ring = from_table(
        [
            "path,password\n",
            './a/b.pdf,"s,1"\n',
            ",all\n",
            "https://h/x.pdf?sig=1,web\n",
            "c.pdf,\n",
        ]
    )
    assert ring.of("a/b.pdf") == ("s,1", "all")
    assert ring.of("https://h/x.pdf") == ("web", "all")
    assert ring.of("c.pdf", None) == ("all",)


def test_a_table_without_its_columns_is_none() -> None:
    """Rather than passwords that are never tried."""
    with pytest.raises(ValueError, match="path and password"):
        from_table(["name,secret\n", "a.pdf,s\n"])


def test_a_keyring_shows_nothing() -> None:
    """In whatever message it ends up; two of them are one."""
    ring = from_lines("secret") + from_table(["path,password\n", "a.pdf,secret-2\n"])
    assert "secret" not in repr(ring)
    assert ring.of("a.pdf") == ("secret-2", "secret") and not Keyring()


@pytest.mark.parametrize("endpoint", PLACES)
def test_a_request_carries_it_where_the_api_wants_it(endpoint: str) -> None:
    """As its own description has it; an endpoint that takes none gets none."""
    found = list(problems(endpoint, opening(endpoint, "s"), key="options"))
    assert not [
        problem for problem in found if "password" in str(problem) or "unknown" in str(problem)
    ]
    assert opening("classify", "s") == {}
