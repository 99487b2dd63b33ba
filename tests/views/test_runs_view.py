"""What `batcher runs` tells of earlier runs, also of one that was killed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from commandline import batcher
from peer import Peer

from batcher.ledger.queries.run_history import KILLED, UNDER_WAY, run_history


async def test_each_run_tells_how_it_ended_and_what_it_saved(
    words: tuple[object, ...], inbox: Path, out: Path, peer: Peer
) -> None:
    (inbox / "0" / "letter 2.txt").write_text("")  # an empty file is a verdict
    for _ in range(2):
        await batcher(*words)
    told = await batcher("runs", out)
    assert told.code == 0
    first, second = (line for line in told.out.splitlines() if "saved" in line)
    assert "failed with exit code 1" in first and "5 saved, 1 failed" in first
    assert "finished" in second and "0 saved" in second and "nothing spent" in second
    (last,) = json.loads((await batcher("runs", out, "--json", "--last", 1)).out)
    assert (last["number"], last["ended"], last["exit_code"], last["saved"]) == (
        2,
        "finished",
        0,
        0,
    )


async def test_a_run_that_was_killed_says_so(words: tuple[object, ...], out: Path) -> None:
    await batcher(*words)
    ledger = out / ".batcher" / "ledger.db"
    with sqlite3.connect(ledger) as connection:
        connection.execute("UPDATE runs SET ended_at = NULL, exit_code = NULL, summary = NULL")
    told = (await batcher("runs", out)).out
    assert f", {KILLED}, after an unknown time: 6 saved" in told
    assert "ended without a word" in told
    with sqlite3.connect(ledger) as connection:
        (running,) = run_history(connection, under_way=True)
    assert running.ended == UNDER_WAY


@pytest.mark.parametrize("clocks", [(100.0, 50.0), (100.0, 100.0)])
def test_a_clock_that_was_set_back_loses_no_run(clocks: tuple[float, float]) -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.executescript(
            "CREATE TABLE runs (id, started_at, ended_at, exit_code, summary, version, service);"
            "CREATE TABLE events (at, event, state, document);"
            "CREATE TABLE attempts (ended_at, pages, credits, cost, outcome);"
        )
        for number, at in enumerate(clocks, start=1):
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, NULL, NULL, NULL, '', '')", (number, at)
            )
        connection.execute("INSERT INTO events VALUES (200.0, 'Saved', 'saved', 1)")
        found = run_history(connection, under_way=False)
    assert [(record.number, record.saved) for record in found] == [(1, 0), (2, 1)]
