"""What is said of one thing is said in the singular."""

from __future__ import annotations

import json
from pathlib import Path

from commandline import batcher
from peer import Peer


async def test_one_document_is_no_documents(tmp_path: Path, peer: Peer) -> None:
    """Of a name in two folders, and of a replaced result that stays."""
    out = tmp_path / "out"
    for folder in ("january", "february"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(f"the text of {folder}\n")
    more = ("-o", out, "--service", peer.url)
    assert (await batcher("run", tmp_path / "january", *more)).code == 0
    said = await batcher("run", tmp_path / "february", *more)
    assert said.code == 0 and "1 document has the same name as another document of " in said.err
    (tmp_path / "february" / "a.txt").write_text("another text\n")
    assert (await batcher("run", tmp_path / "february", *more)).code == 0
    notes = json.loads((await batcher("prune", out, "--json")).out)["notes"]
    assert any(note.startswith("1 replaced result stays: with it a source") for note in notes)
