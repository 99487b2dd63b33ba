"""What a night leaves behind for people: lines with time stamps, in a file too, and no secrets."""

from __future__ import annotations

import json
import re
from pathlib import Path

from commandline import batcher
from peer import Peer, says

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d ")


async def test_each_line_of_a_log_has_its_time_and_a_document_or_request_its_line(
    words: tuple[object, ...], inbox: Path, out: Path, tmp_path: Path
) -> None:
    """In the file the same as on stderr, added to what was there; nothing of the key or of a
    query.
    """
    log = tmp_path / "night.log"
    log.write_text("an earlier night\n")
    (inbox / "blank.txt").touch()
    said = await batcher(*words, "-vv", "--log-file", log, key="CANARY-KEY")
    assert said.code == 1
    assert log.read_text() == "an earlier night\n" + said.err
    lines = said.err.splitlines()
    assert all(STAMP.match(line) for line in lines), said.err
    told = [STAMP.sub("", line) for line in lines]
    assert re.fullmatch(r'batcher: batch "out" begins: http://\S+, .*out', told[0])
    assert len([line for line in told if re.match(r"saved: \d/letter \d\.txt: 1 page", line)]) == 6
    assert any(re.fullmatch(r"POST /parse_async 200 \d+ ms", line) for line in told)
    assert any(re.fullmatch(r"GET /jobs 200 \d+ ms", line) for line in told)
    assert "?" not in said.err and "CANARY" not in said.err


async def test_a_quiet_run_names_the_batch_and_a_document(
    words: tuple[object, ...], inbox: Path, peer: Peer, tmp_path: Path
) -> None:
    """For the mail of a cron with many batches; the log file has all of it all the same."""
    log = tmp_path / "night.log"
    (inbox / "blank.txt").touch()
    said = await batcher(*words, "-q", "--log-file", log)
    (line,) = said.err.splitlines()
    assert line.endswith('batch "out": 1 unreadable (empty: 0 bytes), e.g. blank.txt')
    assert "6 saved" in log.read_text() and log.stat().st_mode & 0o777 == 0o600
    peer.moods["jobs"] = says(401, {"detail": "Invalid API key"})
    refused = await batcher(*words, "-q", "--log-file", log)
    assert refused.code == 4
    assert STAMP.match(refused.err) and 'batcher: batch "out": GET /jobs' in refused.err
    assert log.read_text().endswith(refused.err)


async def test_lines_of_json_go_to_the_file_too(
    words: tuple[object, ...], peer: Peer, tmp_path: Path
) -> None:
    """With -vv also requests, and with the error that ends a run as a line of its own."""
    log = tmp_path / "night.jsonl"
    said = await batcher(*words, "--log-json", "-vv", "--log-file", log)
    assert said.err == log.read_text()
    events = [json.loads(line)["event"] for line in said.err.splitlines()]
    assert {"Request", "Saved", "RunEnded"} <= set(events)
    peer.moods["jobs"] = says(403, {"detail": "no"})
    refused = await batcher(*words, "--log-json")
    last = json.loads(refused.err.splitlines()[-1])
    assert (last["event"], last["exit_code"]) == ("RunFailed", 4)


async def test_a_log_that_cannot_be_written_is_told_before_anything_is_sent(
    words: tuple[object, ...], peer: Peer, tmp_path: Path
) -> None:
    """Exit 2, with what to type."""
    said = await batcher(*words, "--log-file", tmp_path / "logs" / "night.log")
    assert said.code == 2
    assert "mkdir -p" in said.err and str(tmp_path / "logs") in said.err
    assert not peer.calls


async def test_money_is_rounded_and_the_local_service_has_no_prices(
    words: tuple[object, ...], inbox: Path, out: Path, tmp_path: Path
) -> None:
    """What the local service counts is never added to what another bills."""
    here = tmp_path / "here"
    local = await batcher("run", inbox, "-o", here)
    assert "6 pages, not billed: the local service counted 3 credits" in local.err
    told = json.loads((await batcher("status", here, "--json")).out)["cost"]
    assert (told["is_billed"], told["dollars_per_credit"], told["spent"]) == (False, 0.0, 3.0)
    for command in ("status", "runs"):
        shown = (await batcher(command, here)).out
        assert "not billed" in shown and "$" not in shown
    billed = await batcher(*("run", inbox, "-o", here), *words[4:])
    assert "6 pages, 6 credits ($0.09) in all runs" in billed.err
