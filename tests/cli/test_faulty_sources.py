"""Sources that can't be used: nothing is sent, what is paid for comes home, and it is on record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import Said, batcher, rows, start
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


def _duplicate_row(inbox: Path) -> str:
    with (inbox / "docs.csv").open("a") as listing:
        listing.write(DUPLICATE)
    return "docs.csv: line 5"


def _unknown_option(inbox: Path) -> str:
    (inbox / "docs.csv").write_text("path,options.colour\n0/letter 0.txt,blue\n")
    return "docs.csv: line 2"


def _no_listing(inbox: Path) -> str:
    (inbox / "docs.csv").unlink()
    return "source.listing"


def _no_folder(inbox: Path) -> str:
    shutil.rmtree(inbox)
    return "source."


def _broken_ignore_file(inbox: Path) -> str:
    (inbox / ".batcherignore").write_bytes(b"\xff\xfe\n")
    return ".batcherignore"


def _no_passwords(inbox: Path) -> str:
    inbox.with_name("words.txt").unlink()
    return "source.passwords_file"


LISTING, FOLDER = 'listing = "inbox/docs.csv"', 'directory = "inbox"'
FAULTS = [
    (LISTING, _duplicate_row),
    (LISTING, _unknown_option),
    (LISTING, _no_listing),
    (LISTING, _no_folder),
    (FOLDER, _no_folder),
    (FOLDER, _broken_ignore_file),
    (f'{FOLDER}\npasswords_file = "words.txt"', _no_passwords),
]


@pytest.mark.parametrize(("source", "spoil"), FAULTS)
async def test_jobs_in_flight_come_home_where_a_source_cannot_be_used(
    source: str,
    spoil: Callable[[Path], str],
    manifest: Callable[[str], Path],
    inbox: Path,
    peer: Peer,
    out: Path,
) -> None:
    """They would expire otherwise; nothing more is sent, and the fault is told with exit code 2."""
    (inbox / "docs.csv").write_text(LISTED)
    inbox.with_name("words.txt").write_text("sesame\n")
    path = manifest(source)
    sent = 3 if source == LISTING else 7
    peer.hold_jobs()
    process = await start("run", path)
    await peer.has_jobs(sent)
    process.kill()
    await process.communicate()
    peer.end_jobs()
    told = spoil(inbox)
    said = await batcher("run", path)
    assert said.code == 2 and told in said.err, said.err
    assert "Traceback" not in said.err
    in_flight = "SELECT count(*) FROM documents WHERE state NOT IN ('saved', 'queued', 'uploaded')"
    assert rows(out, in_flight) == [(0,)]
    assert len(list(out.rglob("*.*.json"))) == len(peer.service.jobs) == sent
    latest = latest_run(await batcher("runs", path, "--json"))
    assert latest["exit_code"] == 2 and told in str(latest["reason"])


@pytest.mark.parametrize("words", [(), ("--collect",)])
async def test_a_manifest_whose_listing_is_gone_can_be_collected(
    words: tuple[str, ...], manifest: Callable[[str], Path], inbox: Path, peer: Peer, out: Path
) -> None:
    """Whoever wants only the results needs no source."""
    (inbox / "docs.csv").write_text(LISTED)
    path = manifest(LISTING)
    assert (await batcher("run", path)).code == 0
    (inbox / "docs.csv").unlink()
    said = await batcher("run", path, *words)
    assert said.code == (0 if words else 2)
    if not words:  # nothing was in flight: no run begins for it
        assert "source.listing" in said.err
        assert rows(out, "SELECT count(*) FROM runs") == [(1,)]


async def test_a_folder_that_is_gone_is_told_with_what_is_in_flight(
    inbox: Path, peer: Peer, out: Path
) -> None:
    """And with the command that brings it home: there is no manifest that says whose it is."""
    peer.hold_jobs()
    words = ("run", inbox, "-o", out, "--service", peer.url)
    process = await start(*words)
    await peer.has_jobs(6)
    process.kill()
    await process.communicate()
    shutil.rmtree(inbox)
    said = await batcher(*words)
    assert said.code == 2
    assert "6 jobs are in flight" in said.err and f"batcher run {out} --collect" in said.err
    peer.end_jobs()
    assert (await batcher("run", out, "--collect")).code == 0
    assert len(list(out.rglob("*.txt.json"))) == 6
    assert "in flight" not in (await batcher(*words)).err


@pytest.mark.parametrize("more", [(), ("--strict",)])
async def test_a_source_that_turned_empty_is_told(
    more: tuple[str, ...], manifest: Callable[[str], Path], inbox: Path, out: Path
) -> None:
    """A share that isn't mounted leaves an empty folder; what is saved stays so, with exit code 0.

    The plan says it, too; and nobody says it while something is there.
    """
    path = manifest(FOLDER)
    said = await batcher("run", path, *more)
    assert "nothing in" not in said.err
    assert "nothing in" not in (await batcher("plan", path)).out
    shutil.rmtree(inbox)
    inbox.mkdir()
    said = await batcher("run", path, *more, "--json")
    told = (
        f"nothing in {inbox} is part of the batch now; the ledger has 6 documents of earlier runs"
    )
    assert said.code == 0 and told in said.err
    assert any(words.startswith(told) for words in json.loads(said.out)["warnings"])
    assert told in (await batcher("plan", path)).out
    assert told in (await batcher("runs", path)).out


async def test_one_empty_source_of_several_is_told(
    tmp_path: Path, inbox: Path, peer: Peer, out: Path
) -> None:
    """By its name, also in a first run."""
    (tmp_path / "empty").mkdir()
    path = tmp_path / "batch.toml"
    path.write_text(
        f'service = {{ url = "{peer.url}" }}\n[output]\ndirectory = "out"\n'
        '[[source]]\ndirectory = "inbox"\n[[source]]\ndirectory = "empty"\n'
    )
    said = await batcher("run", path)
    assert said.code == 0
    assert f"nothing in {tmp_path / 'empty'} is part of the batch now" in said.err
    assert f"nothing in {inbox} " not in said.err
