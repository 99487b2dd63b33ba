"""Who holds a ledger."""

import os
from pathlib import Path

import pytest

from batcher.errors import LedgerLocked
from batcher.ledger.lock import is_held, lock


def test_a_ledger_is_held_as_long_as_its_holder_lives(tmp_path: Path) -> None:
    """And looking changes nothing: it can be taken right after."""
    path = tmp_path / "ledger.db"
    assert not is_held(path)
    held = lock(path)
    assert is_held(path)
    with pytest.raises(LedgerLocked):
        lock(path)
    os.close(held)
    assert not is_held(path)
    os.close(lock(path))
