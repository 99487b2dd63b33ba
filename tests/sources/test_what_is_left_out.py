"""What a run leaves out, as people and programs are told of it at the command line."""

from __future__ import annotations

import json
import time
from math import inf
from pathlib import Path

from commandline import batcher
from peer import Peer

from batcher.common.names import SETTLING
from batcher.ledger.ledger import memory_ledger
from batcher.manifest.loading import for_directory
from batcher.sources.left_out import Reason
from batcher.stages.repay_guard import Consent
from batcher.stages.run_control import RunControl
from batcher.stages.scanner import GROUP, Scanner


async def test_what_is_left_out_is_told_by_plan_and_run(inbox: Path, out: Path, peer: Peer) -> None:
    """By reason, in words and as JSON."""
    for name in ("notes.tex", "~$letter.docx", ".hidden.txt"):
        (inbox / name).write_text("x")
    (inbox / "linked").symlink_to(inbox.parent)
    words = (inbox, "-o", out, "--service", peer.url)
    planned = json.loads((await batcher("plan", *words, "--json")).out)
    assert planned["left_out"]["reasons"] == {"type": 1, "hidden": 1, "lock": 1, "link": 1}
    assert planned["left_out"]["words"] in (await batcher("plan", *words)).out
    said = await batcher("run", *words)
    assert said.code == 0, said.err
    assert "4 left out: 1 of other types (.tex 1), 1 hidden (.hidden.txt)" in said.err
    assert "1 links to folders (linked)" in said.err


async def test_what_was_left_out_can_be_read_in_the_morning(
    inbox: Path, out: Path, peer: Peer
) -> None:
    """By `status` in words and as JSON and in the report, also after a second timer has brought
    home what was out.
    """
    (inbox / "<b>.tex").write_text("x")
    words = ("run", inbox, "-o", out, "--service", peer.url)
    for more in ((), ("--collect",)):
        said = await batcher(*words, *more)
        assert said.code == 0, said.err
    told = json.loads((await batcher("status", out, "--json")).out)["left_out"]
    assert (
        told["reasons"] == {"type": 1} and told["words"] == "1 left out: 1 of other types (.tex 1)"
    )
    assert told["words"] in (await batcher("status", out)).out
    (inbox / "~$<b>.docx").write_text("x")
    assert (await batcher(*words)).code == 0
    await batcher("report", out, "-o", out / "report.html")
    page = (out / "report.html").read_text()
    assert "1 of other types (.tex 1), 1 lock files and the like (~$&lt;b&gt;.docx)" in page
    (inbox / "<b>.tex").unlink()
    (inbox / "~$<b>.docx").unlink()
    assert (await batcher(*words)).code == 0
    assert "left out" not in (await batcher("status", out)).out


async def test_patterns_that_fit_nothing_end_in_exit_code_2(
    inbox: Path, out: Path, peer: Peer
) -> None:
    """With what is there instead; an empty folder is no mistake of anybody's."""
    words = ("run", inbox, "-o", out, "--service", peer.url, "-S", 'source.include=["**/*.pfd"]')
    said = await batcher(*words)
    assert said.code == 2
    assert "include fits nothing there" in said.err and ".txt" in said.err
    (inbox / "drafts").mkdir()
    (inbox / ".batcherignore").write_text("drafts\n")
    for command in ("run", "plan"):
        said = await batcher(command, *words[1:])
        assert said.code == 2, (command, said.out, said.err)
        assert "include fits nothing there" in said.err
        assert "1 matched by an ignore file (drafts)" in said.err
    empty = inbox.parent / "empty"
    empty.mkdir()
    said = await batcher("run", empty, "-o", out.with_name("other"), *words[4:])
    assert said.code == 0, said.err


async def test_a_file_that_is_still_being_written_is_told(inbox: Path, out: Path) -> None:
    """Looked at twice and still not at rest, it is left for the next run."""
    (inbox / "copying.txt").write_text("not all of it yet")
    manifest = for_directory(inbox, out)
    ledger = memory_ledger(manifest.output.ledger_path, batch=manifest.batch, clock=time.time)
    moment = (inbox / "copying.txt").stat().st_mtime + SETTLING / 2
    scanner = Scanner(
        ledger, manifest, Consent(ledger, RunControl(), unasked=inf), clock=lambda: moment
    )
    await scanner.run()
    ledger.close()
    assert scanner.left_out.counts == {Reason.GROWING: 1}
    assert "copying.txt" in scanner.left_out.words()


async def test_an_ignore_file_that_cannot_be_read_ends_a_plan_in_words(
    inbox: Path, out: Path, peer: Peer
) -> None:
    """However deep it lies and however much was found before it."""
    for number in range(GROUP + 1):
        (inbox / f"{number}.txt").write_text(str(number))
    (inbox / "z").mkdir()
    (inbox / "z" / ".batcherignore").write_bytes("Entwürfe\n".encode("latin-1"))
    for command in ("plan", "run"):
        said = await batcher(command, inbox, "-o", out, "--service", peer.url)
        assert said.code == 2 and "Traceback" not in said.err
        assert "z/.batcherignore: line 1: byte 0xfc is not UTF-8; save it as UTF-8" in said.err
