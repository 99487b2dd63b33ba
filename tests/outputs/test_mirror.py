"""Results in an object store too: each whole, each once, and the disk first."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from bucket import bucket, make_bucket, remove_all_buckets
from commandline import batcher, rows, start
from obstore.store import S3Store
from peer import Peer
from shelf import Shelf, parsed

from batcher.errors import MirrorError
from batcher.outputs.mirror import Mirror
from batcher.stages.deriver import Deriver
from batcher.stages.mirroring import Mirrored, MirroredSets
from batcher.stages.run_control import RunControl


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    with bucket(monkeypatch) as store:
        yield store


def objects(store: S3Store) -> dict[str, bytes]:
    """All but the claim."""
    found = [meta["path"] for page in obstore.list(store) for meta in page]
    return {
        path: bytes(obstore.get(store, path).bytes())
        for path in found
        if not path.endswith("/.batcher-claim")
    }


MIRROR = ("-S", 'output.mirror="s3://out/night 1"', "-S", 'output.formats=["markdown"]')


async def test_results_and_what_is_made_of_them_are_mirrored(
    words: tuple[object, ...], out: Path, s3: S3Store
) -> None:
    """Under the prefix, by the names they have on disk; a second run puts nothing."""
    said = await batcher(*words, *MIRROR)
    assert said.code == 0, said.err
    on_disk = {f"night 1/{p.relative_to(out)}": p.read_bytes() for p in out.rglob("*.txt.*")}
    assert objects(s3) == on_disk and len(on_disk) == 12
    obstore.delete(s3, sorted(on_disk)[0])
    assert (await batcher(*words, *MIRROR)).code == 0
    assert len(objects(s3)) == 11


async def test_a_bucket_that_is_not_there_costs_no_result(
    words: tuple[object, ...], out: Path, s3: S3Store, peer: Peer
) -> None:
    """Exit code 3, by name, with all that was out on disk; the next run mirrors it and pays
    nothing.
    """
    assert (await batcher(*words)).code == 0
    said = await batcher(*words, "-S", 'output.mirror="s3://nowhere/x"')
    assert said.code == 3 and "s3://nowhere/x" in said.err
    again = await batcher(*words, *MIRROR)
    assert again.code == 0, again.err
    assert len(peer.service.jobs) == 6
    assert len(objects(s3)) == 12


async def test_a_bucket_that_is_not_there_is_found_before_anything_is_sent(
    words: tuple[object, ...], inbox: Path, out: Path, s3: S3Store, peer: Peer
) -> None:
    """Neither a submission nor an upload; what an earlier run left out comes home to the disk all
    the same.
    """
    said = await batcher(*words, "-S", 'output.mirror="s3://nowhere/x"')
    assert said.code == 3 and "s3://nowhere/x" in said.err and "nothing was sent" in said.err
    assert not peer.calls["run_job"] and not peer.calls["upload"]
    peer.service.work = lambda job: (3600.0, None)
    process = await start(*words)
    await peer.has_jobs(6)
    process.kill()
    await process.wait()
    for job in peer.service.jobs.values():
        job.ends_at = 0.0
    (inbox / "0" / "new.txt").write_text("a new letter")
    said = await batcher(*words, "-S", 'output.mirror="s3://nowhere/x"')
    assert said.code == 3 and len(peer.service.jobs) == 6
    assert len(list(out.rglob("*.txt.json"))) == 6, said.err


async def test_an_address_that_is_none_is_refused_at_once(
    words: tuple[object, ...], out: Path
) -> None:
    """Exit code 2, before anything is sent."""
    said = await batcher(*words, "-S", 'output.mirror="ftp://x"')
    assert said.code == 2 and "output.mirror" in said.err
    assert not out.exists()


async def test_a_rehearsal_puts_nothing_there(
    words: tuple[object, ...], out: Path, s3: S3Store
) -> None:
    """It has an output of its own, on this machine."""
    said = await batcher(*words, *MIRROR, "--rehearse", "--chaos", "slow=0.1:1")
    assert said.code == 0, said.err
    assert (out / ".batcher" / "rehearsal").is_dir()
    assert objects(s3) == {}


SETS = ("-S", 'output.mirror="s3://out/night 1"', "-S", 'output.formats=["jsonl", "parquet"]')


def sets_on_disk(out: Path) -> dict[str, bytes]:
    files = [out / "results.jsonl", *(out / "results.parquet").rglob("*.parquet")]
    return {f"night 1/{file.relative_to(out)}": file.read_bytes() for file in files}


def sets_there(store: S3Store) -> dict[str, bytes]:
    return {
        name: data for name, data in objects(store).items() if name.endswith((".jsonl", ".parquet"))
    }


async def test_lines_and_parquet_are_mirrored_at_a_run_s_end(
    words: tuple[object, ...], inbox: Path, out: Path, s3: S3Store
) -> None:
    """As they are on disk; a run that makes nothing puts nothing; of a changed document the older
    part goes.
    """
    assert (await batcher(*words, *SETS)).code == 0
    assert sets_there(s3) == sets_on_disk(out) and len(sets_on_disk(out)) == 2
    obstore.delete(s3, "night 1/results.jsonl")
    assert (await batcher(*words, *SETS)).code == 0
    assert "night 1/results.jsonl" not in objects(s3)
    (inbox / "0" / "letter 0.txt").write_text("another letter")
    obstore.put(s3, "night 1/results.parquet/mine.parquet", b"not ours")
    said = await batcher(*words, *SETS, "--yes")
    assert said.code == 0, said.err
    there = sets_there(s3)
    assert there.pop("night 1/results.parquet/mine.parquet") == b"not ours"
    assert there == sets_on_disk(out)


async def test_sets_that_could_not_be_mirrored_are_by_the_next_run(
    words: tuple[object, ...], out: Path, s3: S3Store
) -> None:
    """To an address that works: exit code 3 by name, and nothing is paid again."""
    said = await batcher(
        *words, "-S", 'output.mirror="s3://nowhere/x"', "-S", 'output.formats=["jsonl"]'
    )
    assert said.code == 3 and "s3://nowhere/x" in said.err
    again = await batcher(*words, *SETS)
    assert again.code == 0, again.err
    assert sets_there(s3) == sets_on_disk(out)
    assert rows(out, "SELECT count(*) FROM attempts WHERE outcome = 'saved'") == [(6,)]


class Choosy(Mirror):
    """A store that refuses what is called so, and takes the rest."""

    async def put(self, name: str, path: Path, *, length: int | None = None) -> None:
        if "refused" in name:
            raise MirrorError(f"{self.url}/{name}: a name that the store doesn't take")
        await super().put(name, path, length=length)


async def mirrored(shelf: Shelf, url: str) -> RunControl:
    control = RunControl()
    mirror = Choosy(url)
    maker = Mirrored(shelf.ledger, shelf.store, mirror, control, after=None)
    deriver = Deriver(
        shelf.ledger, control, [maker], closing=MirroredSets(shelf.ledger, shelf.store, mirror)
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(deriver.run())
        await deriver.finish()
        task.cancel()
    return control


@pytest.mark.parametrize("refused", [1, 2, 5])
async def test_a_name_that_the_store_refuses_keeps_no_other_from_it(
    tmp_path: Path, s3: S3Store, refused: int
) -> None:
    """It is told; nothing is stopped; the next run tries it again, and puts what it had put before
    no second time.
    """
    shelf = Shelf(tmp_path)
    for number in range(refused):
        await shelf.save(f"refused {number}.pdf", parsed("text"))
    for number in range(20):
        await shelf.save(f"{number}.pdf", parsed("text"))
    control = await mirrored(shelf, "s3://out/x")
    assert not control.stopped.is_set() and len(control.warnings) == refused
    assert sorted(objects(s3)) == sorted(f"x/{number}.pdf.json" for number in range(20))
    obstore.delete(s3, "x/7.pdf.json")
    again = await mirrored(shelf, "s3://out/x")
    assert len(again.warnings) == refused and len(objects(s3)) == 19
    shelf.ledger.close()


async def test_a_store_that_is_not_there_is_no_document_s_trouble(
    tmp_path: Path, s3: S3Store
) -> None:
    """Even of one: exit code 3, and nothing is noted that the next run would have to undo."""
    shelf = Shelf(tmp_path)
    await shelf.save("a.pdf", parsed("text"))
    control = await mirrored(shelf, "s3://nowhere/x")
    assert control.exit_code == 3 and "s3://nowhere/x" in control.reason and control.warnings == []
    shelf.ledger.close()


CLAIM = "night 1/.batcher-claim"


async def test_the_claim_is_in_the_mirror_too_and_another_ledger_is_refused_there(
    words: tuple[object, ...], out: Path, s3: S3Store, tmp_path: Path, peer: Peer
) -> None:
    """Two outputs, each with its ledger, and one mirror: nothing is sent, and deleting the claim
    there is what goes on all the same.
    """
    assert (await batcher(*words, *MIRROR)).code == 0
    there = bytes(obstore.get(s3, CLAIM).bytes())
    assert there == (out / ".batcher-claim").read_bytes()
    paid = len(peer.service.jobs)
    other = ("-S", f"output.directory={tmp_path / 'other'}")
    said = await batcher(*words, *MIRROR, *other)
    assert (said.code, len(peer.service.jobs)) == (2, paid), said.err
    assert "another ledger" in said.err and CLAIM in said.err
    assert bytes(obstore.get(s3, CLAIM).bytes()) == there
    obstore.delete(s3, CLAIM)
    assert (await batcher(*words, *MIRROR, *other)).code == 0
    assert (await batcher(*words, *MIRROR)).code == 2


async def test_what_was_started_over_takes_over_its_mirror_once_that_can_be_reached(
    words: tuple[object, ...], out: Path, s3: S3Store
) -> None:
    """The claim there is the lost ledger's; the run that started over couldn't replace it."""
    assert (await batcher(*words, *MIRROR)).code == 0
    lost = bytes(obstore.get(s3, CLAIM).bytes())
    shutil.rmtree(out / ".batcher")
    remove_all_buckets()
    assert (await batcher(*words, *MIRROR, "--start-over")).code == 3
    make_bucket("out")
    obstore.put(s3, CLAIM, lost)
    said = await batcher(*words, *MIRROR)
    assert said.code == 0, said.err
    assert bytes(obstore.get(s3, CLAIM).bytes()) == (out / ".batcher-claim").read_bytes()
    obstore.put(s3, CLAIM, lost)
    assert (await batcher(*words, *MIRROR)).code == 2, "it was taken over once"


async def test_an_older_copy_of_the_whole_output_is_noticed_in_the_mirror(
    words: tuple[object, ...], out: Path, s3: S3Store, peer: Peer, tmp_path: Path
) -> None:
    """Its claim is as old as its ledger."""
    assert (await batcher(*words, *MIRROR, "-S", "limits.max_documents=2")).code in (0, 3)
    shutil.copytree(out, tmp_path / "backup")
    assert (await batcher(*words, *MIRROR)).code == 0
    paid = len(peer.service.jobs)
    shutil.rmtree(out)
    shutil.copytree(tmp_path / "backup", out)
    said = await batcher(*words, *MIRROR)
    assert (said.code, len(peer.service.jobs)) == (2, paid), said.err
    assert "older copy" in said.err and "output.mirror" in said.err


async def test_a_claim_in_the_mirror_that_cannot_be_understood_is_told(
    words: tuple[object, ...], s3: S3Store, peer: Peer
) -> None:
    obstore.put(s3, CLAIM, b"what?")
    said = await batcher(*words, *MIRROR)
    assert said.code == 2 and CLAIM in said.err and "delete" in said.err
    assert len(peer.service.jobs) == 0
