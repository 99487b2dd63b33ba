"""Sources that can't be used: nothing is sent, and the run's end is on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import Said, batcher, rows
from peer import Peer

DUPLICATE = "0/letter 0.txt\n"
LISTED = "path\n0/letter 0.txt\n1/letter 0.txt\n0/letter 1.txt\n"


@pytest.fixture
def manifest(tmp_path: Path, peer: Peer) -> Callable[[str], Path]:
    def written(source: str) -> Path:
        path = tmp_path / "batch.toml"
        path.write_text(
            f'service = {{ url = "{peer.url}" }}\n[source]\n{source}\n[output]\ndirectory = "out"\n'
        )
        return path

    return written


def latest_run(said: Said) -> dict[str, object]:
    latest: dict[str, object] = json.loads(said.out)[-1]
    return latest


async def test_a_run_that_is_refused_for_its_listing_is_on_record(
    manifest: Callable[[str], Path], inbox: Path, peer: Peer, out: Path
) -> None:
    """With its exit code and its reason, in `runs` and in `status`; nobody killed it."""
    (inbox / "docs.csv").write_text(LISTED + DUPLICATE)
    path = manifest('listing = "inbox/docs.csv"')
    said = await batcher("run", path)
    assert said.code == 2 and "docs.csv: line 5" in said.err
    assert rows(out, "SELECT exit_code, ended_at IS NULL FROM runs") == [(2, 0)]
    told = await batcher("runs", path)
    assert "killed" not in told.out and "docs.csv: line 5" in told.out
    latest = latest_run(await batcher("runs", path, "--json"))
    assert (latest["ended"], latest["exit_code"]) == ("failed", 2)
    assert "without a word" not in (await batcher("status", path)).out
    assert not peer.service.jobs
