"""One document at the command line: its text on stdout, paid for once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest
from commandline import batcher, start
from peer import Peer, accepts_and_hangs_up, hangs_up, once, says

from batcher.errors import LedgerLocked
from batcher.ledger.lock import lock
from batcher.runs import document_cache
from batcher.runs.document_cache import DocumentCache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "batcher"


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "a letter.txt"
    path.write_text("# A letter\n\nto Saint Brannock")
    return path


def asked(peer: Peer, *words: object) -> tuple[object, ...]:
    return ("parse", *words, "--service", peer.url, "-S", "service.settle=1")


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_the_same_bytes_and_options_are_paid_for_once(
    cache: Path, letter: Path, peer: Peer, tmp_path: Path
) -> None:
    """Under another name, in another form, by `run` or from stdin: it is the same question."""
    first = await batcher(*asked(peer, letter))
    assert (first.code, peer.calls["run_job"]) == (0, 1), first.err
    assert first.out and "a letter.txt: 1 page, 1 credit ($0.01" in first.err
    copy = tmp_path / "copy.txt"
    copy.write_bytes(letter.read_bytes())
    answer = tmp_path / "answer.json"
    again = await batcher(*asked(peer, copy, "-o", answer))
    assert (again.code, again.out) == (0, "")
    assert "stored on" in again.err and "nothing is paid" in again.err
    assert json.loads(answer.read_text())["result"]
    assert answer.stat().st_mode & 0o777 == 0o600
    by_run = await batcher("run", copy, "-o", "-", "--service", peer.url, "-q")
    assert (by_run.code, by_run.out, by_run.err) == (0, first.out, "")
    assert peer.calls["run_job"] == 1
    other = await batcher(*asked(peer, copy, "-S", "job.options.settings.force_url_result=true"))
    assert (other.code, peer.calls["run_job"]) == (0, 2), other.err
    paid = await batcher(*asked(peer, copy, "--again"))
    assert (paid.code, peer.calls["run_job"]) == (0, 3), paid.err
    assert cache.stat().st_mode & 0o777 == 0o700
    assert not any("input" in path.parts for path in files_of(cache))


async def test_an_answer_from_stdin_by_the_local_service(cache: Path, letter: Path) -> None:
    """What local work costs is nothing, so nothing is priced."""
    said = await batcher("parse", "-", "--name", "x.md", stdin=letter.read_bytes())
    assert said.code == 0, said.err
    assert said.out.startswith("# A letter") and "Saint Brannock" in said.out
    assert "by the local service" in said.err and "$" not in said.err
    assert not list(cache.rglob("service.db"))
    refused = await batcher("parse", "-", stdin=b"x")
    assert refused.code == 2 and "--name" in refused.err


async def test_killed_it_goes_on_and_two_at_once_share_one_payment(
    cache: Path, letter: Path, peer: Peer
) -> None:
    """The second one waits for the first, and takes its answer."""
    peer.service.work = lambda job: (4.0, None)
    killed = await start(*asked(peer, letter))
    await asyncio.wait_for(peer.accepted.wait(), 20)
    await asyncio.sleep(0.3)
    killed.send_signal(signal.SIGKILL)
    await killed.communicate()
    both = await asyncio.gather(batcher(*asked(peer, letter)), batcher(*asked(peer, letter)))
    assert [said.code for said in both] == [0, 0], both
    assert peer.calls["run_job"] == 1
    assert both[0].out == both[1].out != ""
    assert sum("waiting for it" in said.err for said in both) == 1
    assert sum("nothing is paid (" in said.err for said in both) == 1


async def test_a_failure_says_why_and_is_not_paid_again_unasked(
    cache: Path, letter: Path, peer: Peer
) -> None:
    peer.service.work = lambda job: (0.0, "DOCUMENT_CORRUPT")
    for _ in range(2):
        said = await batcher(*asked(peer, letter, "-q"))
        assert (said.code, said.out) == (1, "")
        assert "a letter.txt: failed" in said.err and "--again" in said.err
    assert peer.calls["run_job"] == 1
    peer.service.work = lambda job: (0.0, None)
    assert (await batcher(*asked(peer, letter, "--again"))).code == 0


@pytest.mark.parametrize(
    ("name", "advice"), [("empty.pdf", "fetch or save it again"), ("odd.xyz", "convert it")]
)
async def test_what_another_attempt_would_not_mend_is_not_advised_to_pay(
    name: str, advice: str, cache: Path, peer: Peer, tmp_path: Path
) -> None:
    """An empty file, and one of a type that isn't read: something is to be done with the file."""
    (tmp_path / name).write_text("" if name.startswith("empty") else "x")
    words = asked(peer, tmp_path / name) if name == "empty.pdf" else ("parse", tmp_path / name)
    said = await batcher(*words)
    assert said.code == 1 and advice in said.err, said.err
    assert "--again" not in said.err and "pays" not in said.err


async def test_an_address_is_asked_for_and_its_signature_is_kept_nowhere(
    cache: Path, peer: Peer
) -> None:
    peer.service.read_addresses = True
    url = "https://files.example/scan.pdf?X-Amz-Signature=sesame&X-Amz-Date=1"
    said = await batcher(*asked(peer, url))
    assert said.code == 0, said.err
    assert "https://files.example/scan.pdf: 1 page" in said.err
    again = await batcher(*asked(peer, url.replace("sesame", "other")))
    assert "may have changed" in again.err and peer.calls["run_job"] == 1
    kept = b"".join(path.read_bytes() for path in files_of(cache))
    assert b"sesame" not in kept and "sesame" not in said.err + again.err
    local = await batcher("parse", url)
    assert local.code == 2 and "-S service.allow_urls=true" in local.err


async def test_what_cannot_be_meant_is_refused_before_anything_is_paid(
    cache: Path, letter: Path, peer: Peer, tmp_path: Path
) -> None:
    cases: list[tuple[tuple[object, ...], str]] = [
        ((letter, letter), "batcher run FOLDER -o results"),
        ((tmp_path,), "-o results"),
        ((tmp_path / "a leter.txt",), "did you mean"),
        ((letter, "-o", tmp_path), "name a file in it"),
        ((letter, "-o", letter), "this is the document itself"),
        ((letter, "-o", tmp_path / "no" / "x.md"), "make it first"),
        ((letter, "-S", "output.directory=x"), "output.directory: one document has none"),
        ((letter, "--extract", tmp_path / "none.json"), "job.schema_file"),
        ((letter, "-S", "job.options.enhanse=1"), "did you mean enhance?"),
    ]
    for words, told in cases:
        said = await batcher(*asked(peer, *words))
        assert said.code == 2 and told in said.err, said
    said = await batcher("run", letter, "-o", "-", "--sample", 3)
    assert said.code == 2 and "--sample doesn't go with -o -" in said.err
    assert not peer.calls["run_job"]


async def test_an_outage_is_told_and_the_same_command_goes_on(
    cache: Path, letter: Path, peer: Peer
) -> None:
    peer.moods["jobs"] = says(503)
    said = await batcher(*asked(peer, letter, "-S", "service.patience=1s"))
    assert said.code == 4 and not said.out
    del peer.moods["jobs"]
    peer.moods["run_job"] = once(says(429, None, **{"Retry-After": "1"}), "run_job")
    said = await batcher(*asked(peer, letter))
    assert said.code == 0 and said.out, said.err


NOTHING_LISTED = says(200, {"jobs": [], "next_cursor": None})
AT_ONCE = ("-S", "service.settle=0.2")


async def test_a_job_whose_answer_was_lost_is_found_by_the_next_command(
    cache: Path, letter: Path, peer: Peer
) -> None:
    """The job list didn't show it in time, so the first command could not tell."""
    peer.moods["run_job"] = once(accepts_and_hangs_up, "run_job")
    peer.moods["jobs"] = NOTHING_LISTED
    said = await batcher(*asked(peer, letter, *AT_ONCE))
    assert (said.code, said.out) == (1, "") and "held" in said.err, said.err
    assert "the same command looks for its job once more" in said.err
    assert said.err.index("looks for its job") < said.err.index("--again")
    del peer.moods["jobs"]
    found = await batcher(*asked(peer, letter, *AT_ONCE))
    assert found.code == 0 and found.out, found.err
    assert peer.calls["run_job"] == len(peer.service.jobs) == 1


async def test_again_looks_for_the_lost_job_before_it_pays(
    cache: Path, letter: Path, peer: Peer
) -> None:
    """Who wants an answer need not pay for it a second time."""
    peer.moods["run_job"] = once(accepts_and_hangs_up, "run_job")
    peer.moods["jobs"] = NOTHING_LISTED
    assert (await batcher(*asked(peer, letter, *AT_ONCE))).code == 1
    del peer.moods["jobs"]
    found = await batcher(*asked(peer, letter, *AT_ONCE, "--again"))
    assert found.code == 0 and found.out, found.err
    assert "looked for" in found.err
    assert peer.calls["run_job"] == 1


async def test_what_never_arrived_comes_to_an_end_by_again(
    cache: Path, letter: Path, peer: Peer
) -> None:
    """Nobody can prove it where the job list has nothing of ours; the person decides."""
    peer.moods["run_job"] = once(hangs_up, "run_job")
    for _ in range(2):
        said = await batcher(*asked(peer, letter, *AT_ONCE))
        assert (said.code, said.out) == (1, "") and "--again" in said.err, said.err
    assert peer.calls["run_job"] == 1
    anew = await batcher(*asked(peer, letter, *AT_ONCE, "--again"))
    assert anew.code == 0 and anew.out, anew.err
    assert len(peer.service.jobs) == 1 and peer.calls["run_job"] == 2
    assert "stored on" in (await batcher(*asked(peer, letter))).err


def test_stored_results_expire_by_age_and_by_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in use stays, and so does one that was never fetched, unless it is old."""
    cache = DocumentCache(tmp_path / "cache")
    cache.make()
    days = {"now": 0, "old": 31, "used": 31, "big": 2, "sent": 3, "oldest": 40}
    for name, age in days.items():
        entry = cache.entry(name)
        entry.output.mkdir(parents=True)
        file = "ledger" if name == "sent" else "document.pdf.json"
        (entry.output / file).write_bytes(bytes(600))
        at = tmp_path.stat().st_mtime - age * 86_400
        os.utime(entry.folder, (at, at))
    monkeypatch.setattr(document_cache, "KEPT_BYTES", 700)
    told: list[str] = []
    with cache.held("used", told.append):
        cache.expire(but="now", tell=told.append)
    assert sorted(path.name for path in cache.documents.iterdir()) == ["now", "sent", "used"]
    assert len(told) == 1 and told[0].startswith("removed 3 stored results (1.8 kB)")
    assert not list(cache.locks.glob("old*"))


def test_a_document_that_another_holds_too_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = DocumentCache(tmp_path)
    cache.make()
    monkeypatch.setattr(document_cache, "WAIT", 0.1)
    fd = lock(cache.locks / "key")
    told: list[str] = []
    with pytest.raises(LedgerLocked, match="nothing is paid twice"), cache.held("key", told.append):
        pass
    os.close(fd)
    assert len(told) == 1
