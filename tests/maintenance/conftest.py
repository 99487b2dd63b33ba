"""The manifest of a batch of letters, for the commands that need one."""

from __future__ import annotations

from pathlib import Path

import pytest
from peer import Peer


@pytest.fixture
def manifest(inbox: Path, out: Path, peer: Peer) -> Path:
    path = inbox.parent / "letters.toml"
    path.write_text(
        f'[service]\nurl = "{peer.url}"\nsettle = "1s"\n'
        f'[source]\ndirectory = "{inbox}"\n[job]\nendpoint = "parse"\n'
        f'[output]\ndirectory = "{out}"\n'
    )
    return path
