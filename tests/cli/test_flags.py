"""The flags that people try first: of a directory and of a manifest, in `run` and in `plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from commandline import batcher, rows
from peer import Peer

from batcher.cli import main

UNFIT = {
    "--rate 20/x": "a rate as in 20/s, 90/m or 1000/h is wanted",
    "--rate 0": "a rate as in",
    "--stop-at 25:00": "a time of day as in 06:00 is wanted",
    "--max-cost lots": "a number above 0 is wanted",
    "-j 0": "a whole number above 0 is wanted",
    "--format pdf": "'markdown'",
    "--include a.pdf b.pdf": "quote it, as in --include '*.pdf'",
    "--dry-run --collect": "batcher status",
    "--dry-run --log-json": "say --json",
    "--dry-run --rehearse": "leave out --dry-run",
}


def said(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("flags", UNFIT)
def test_a_value_that_cannot_be_says_what_is_wanted(flags: str, inbox: Path, out: Path) -> None:
    """Exit 2, and nothing is made."""
    refused = said("run", inbox, "-o", out, *flags.split())
    assert refused.exit_code == 2
    assert UNFIT[flags] in refused.output.replace("\n", " "), refused.output
    assert not out.exists()


async def test_flags_of_a_directory_do_what_the_keys_do(
    words: tuple[object, ...], inbox: Path, out: Path, peer: Peer
) -> None:
    """Which files, which formats, how many pages; the plan says the same beforehand."""
    (inbox / "0" / "notes.md").write_text("# not asked for")
    flags = ("--include", "*.txt", "--exclude", "/1/", "--max-pages", 2, "--format", "markdown")
    planned = await batcher(*words, *flags, "--dry-run", "--json", "--max-cost", "$75")
    assert (planned.code, json.loads(planned.out)["to_send"]) == (0, 3)
    assert not peer.calls and not out.exists()
    run = await batcher(*words, *flags, "-j", 1, "--rate", "600/m")
    assert (run.code, "limits.max_pages = 2 is reached" in run.err) == (3, True), run.err
    assert len(peer.service.jobs) == 2
    assert {source for (source,) in rows(out, "SELECT source FROM documents")} == {
        f"0/letter {number}.txt" for number in range(3)
    }
    assert len(list(out.rglob("*.txt.md"))) == 2


def test_flags_of_a_manifest_count_before_it(tmp_path: Path, inbox: Path) -> None:
    """And `-S` before these; each is told on stderr, apart from the plan."""
    path = tmp_path / "nightly.toml"
    path.write_text(
        '[source]\ndirectory = "inbox"\n[output]\ndirectory = "out"\n'
        "[limits]\nmax_cost = 50\nstop_at = 05:00:00\n"
    )
    flags = ("--max-cost", 75, "--stop-at", "06:30", "--max-pages", 9)
    planned = said("plan", path, *flags, "-S", "limits.max_pages=8")
    assert planned.exit_code == 0
    assert "limits     max_pages = 8, max_cost = 75, stop_at = 06:30" in planned.stdout
    assert f"--max-cost 75 counts in this run; {path} says limits.max_cost = 50" in planned.stderr
    assert "-S limits.max_pages counts before --max-pages 9" in planned.stderr
    assert "$" not in planned.stdout, "the local service bills nothing"
    assert "$0.04 or 3 credits for 6 pages" in said("plan", path, "-S", "service=reducto").stdout


def test_a_strict_plan_fails_where_a_document_would_not_be_saved(inbox: Path, out: Path) -> None:
    """As the run would."""
    (inbox / "blank.txt").touch()
    assert said("plan", inbox, "-o", out).exit_code == 0
    assert said("run", inbox, "-o", out, "-n", "--strict").exit_code == 1


async def test_collecting_from_an_output_takes_no_flags_for_documents(
    words: tuple[object, ...], out: Path
) -> None:
    """They would change nothing, and so are refused."""
    await batcher(*words)
    refused = said("run", out, "--collect", "--include", "*.pdf")
    assert (refused.exit_code, "--include *.pdf goes with" in refused.output) == (2, True)
