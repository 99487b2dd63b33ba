"""The claim beside the results: an older copy of ledger and journal together, or another ledger, is
refused before anything is paid, and can be mended.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from commandline import batcher, rows
from peer import Peer

CLAIM = ".batcher-claim"


async def ran(manifest: Path, *, documents: int = 6) -> None:
    said = await batcher("run", manifest, "-S", f"limits.max_documents={documents}")
    assert said.code in (0, 3), said.err


async def put_back_an_older_folder(manifest: Path, out: Path) -> None:
    """Two letters, then all six, and then everything in `.batcher` as it was between the two."""
    await ran(manifest, documents=2)
    shutil.copytree(out / ".batcher", out.parent / "backup")
    await ran(manifest)
    shutil.rmtree(out / ".batcher")
    shutil.copytree(out.parent / "backup", out / ".batcher")


async def test_an_older_folder_that_is_put_back_whole_pays_nothing_again(
    manifest: Path, out: Path, peer: Peer
) -> None:
    """Ledger and journal agree with each other, and only the results tell. The command that is
    named mends it.
    """
    await put_back_an_older_folder(manifest, out)
    said = await batcher("run", manifest)
    assert (said.code, len(peer.service.jobs)) == (2, 6), said.err
    assert "older copy" in said.err and "batcher rebuild" in said.err
    assert (await batcher("plan", manifest)).code == 2
    assert "older copy" in (await batcher("verify", manifest)).out
    mended = await batcher("rebuild", manifest)
    assert mended.code == 0, mended.err
    assert (await batcher("run", manifest)).code == 0
    verified = await batcher("verify", manifest, "--json")
    assert json.loads(verified.out)["ledger"] == []
    assert rows(out, "SELECT state, count(*) FROM documents GROUP BY state") == [("saved", 6)]
    assert len(peer.service.jobs) == 6


async def test_without_a_manifest_the_rebuild_of_an_older_copy_says_what_it_needs(
    manifest: Path, out: Path
) -> None:
    """Its journal is as old as it is."""
    await put_back_an_older_folder(manifest, out)
    said = await batcher("rebuild", out)
    assert said.code == 2 and "batcher rebuild MANIFEST" in said.err, said.err


async def test_a_copy_from_the_middle_of_a_run_is_older_than_its_end(
    manifest: Path, out: Path, peer: Peer
) -> None:
    """A nightly backup and a nightly batch run at the same time."""
    await put_back_an_older_folder(manifest, out)
    begun = json.loads((out / CLAIM).read_text())["generation"]
    assert begun == 4, "two runs, each with its beginning and its end"


async def test_who_says_so_goes_on_with_the_older_copy(
    manifest: Path, out: Path, peer: Peer
) -> None:
    """By deleting the claim, as the refusal says."""
    await put_back_an_older_folder(manifest, out)
    (out / CLAIM).unlink()
    assert (await batcher("run", manifest)).code == 0


async def test_another_ledger_is_refused_while_the_first_has_no_result_yet(
    manifest: Path, out: Path, tmp_path: Path, peer: Peer
) -> None:
    """Two machines with ledgers of their own and one output directory."""
    await ran(manifest, documents=1)
    for path in out.iterdir():
        if not path.name.startswith("."):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    paid = len(peer.service.jobs)
    elsewhere = f"output.ledger={tmp_path / 'elsewhere' / 'ledger.db'}"
    said = await batcher("run", manifest, "-S", elsewhere)
    assert (said.code, len(peer.service.jobs)) == (2, paid), said.err
    assert "another ledger" in said.err and "output.directory" in said.err
    begun = await batcher("run", manifest, "-S", elsewhere, "--start-over")
    assert begun.code == 0, begun.err
    assert (await batcher("run", manifest, "-S", elsewhere)).code == 0
    assert (await batcher("run", manifest)).code == 2, "now it is the first one's turn"


async def test_an_output_from_before_there_were_claims_goes_on_and_has_one_then(
    manifest: Path, out: Path, peer: Peer
) -> None:
    """Neither its ledger nor its results know of any."""
    await ran(manifest, documents=2)
    (out / CLAIM).unlink()
    rows(out, "SELECT 1")
    _forget_the_claim(out)
    assert (await batcher("run", manifest)).code == 0
    assert (out / CLAIM).exists() and len(peer.service.jobs) == 6


async def test_a_crash_between_ledger_and_claim_locks_nobody_out(
    manifest: Path, out: Path, peer: Peer
) -> None:
    """The ledger is ahead then; also where the very first claim wasn't written."""
    await ran(manifest, documents=2)
    claim = (out / CLAIM).read_bytes()
    await ran(manifest, documents=2)
    (out / CLAIM).write_bytes(claim)
    (out / f"{CLAIM}.part").write_bytes(b'{"led')
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == 6


async def test_a_claim_that_cannot_be_understood_is_told_with_what_to_do(
    manifest: Path, out: Path, peer: Peer
) -> None:
    """It may be anybody's."""
    await ran(manifest, documents=2)
    (out / CLAIM).write_bytes(b"\0" * 80)
    said = await batcher("run", manifest)
    assert said.code == 2 and CLAIM in said.err and "delete" in said.err
    assert len(peer.service.jobs) == 2


async def test_the_whole_output_moved_to_another_place_goes_on(
    manifest: Path, out: Path, tmp_path: Path, peer: Peer
) -> None:
    """The claim goes with it, and names no place."""
    await ran(manifest, documents=2)
    moved = tmp_path / "another machine"
    shutil.move(out, moved)
    said = await batcher("run", manifest, "-S", f"output.directory={moved}")
    assert (said.code, len(peer.service.jobs)) == (0, 6), said.err
    assert json.loads((await batcher("verify", moved, "--json")).out)["strays"] == []


async def test_a_ledger_rebuilt_from_its_journal_takes_the_claim_over(
    manifest: Path, out: Path, peer: Peer
) -> None:
    """And an older copy of the lost one is refused beside it."""
    await ran(manifest, documents=2)
    shutil.copytree(out / ".batcher", out.parent / "backup")
    (out / ".batcher" / "ledger.db").unlink()
    assert (await batcher("rebuild", out)).code == 0
    await ran(manifest)
    shutil.rmtree(out / ".batcher")
    shutil.copytree(out.parent / "backup", out / ".batcher")
    assert (await batcher("run", manifest)).code == 2
    assert len(peer.service.jobs) == 6


async def test_an_older_journal_alone_is_no_journal_to_rebuild_from(
    manifest: Path, out: Path, peer: Peer
) -> None:
    """It says itself how far its ledger had got; the job list has the rest."""
    await put_back_an_older_folder(manifest, out)
    (out / ".batcher" / "ledger.db").unlink()
    said = await batcher("rebuild", out)
    assert said.code == 2 and "batcher rebuild MANIFEST" in said.err, said.err
    assert (await batcher("rebuild", manifest)).code == 0
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == 6


def _forget_the_claim(out: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(out / ".batcher" / "ledger.db")
    with connection:
        connection.execute("DELETE FROM meta WHERE key IN ('ledger', 'generation')")
    connection.close()
