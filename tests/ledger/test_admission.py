"""How documents enter the ledger: as they were found, under names of their own, each paid for by one of its like."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from batcher.core import events as e
from batcher.core.lifecycle import State
from batcher.ledger.admission import Asked, Version
from batcher.ledger.ledger import Ledger, memory_ledger

NOW: Final = 1_800_000_000.0


@pytest.fixture
def ledger() -> Ledger:
    return memory_ledger(Path("absent.db"), batch="b", clock=lambda: NOW)


def version(source: str, **facts: Any) -> Version:
    """Of bytes that nobody else has, unless said otherwise."""
    values = {
        "folder": "/in",
        "job": "parse",
        "step": "s",
        "content": f"bytes of {source}",
        "size": 1,
        "mtime_ns": 2,
        "inode": 3,
        "output": f"{source}.json",
    }
    return Version(source=source, **{**values, **facts})


def rows(ledger: Ledger, columns: str) -> list[tuple[Any, ...]]:
    return ledger.reader.execute(f"SELECT {columns} FROM documents ORDER BY id").fetchall()


def put(ledger: Ledger, document: int, **columns: Any) -> None:
    """As if it had come to this."""
    names = ", ".join(f"{name} = :{name}" for name in columns)
    ledger.reader.execute(f"UPDATE documents SET {names} WHERE id = :id", {**columns, "id": document})
    ledger.tally.clear()
    ledger.tally.update(ledger.counts())


# --- as they were found ---------------------------------------------------------------------------------------------


async def test_a_document_is_what_the_scanner_found(ledger: Ledger) -> None:
    """Each fact in its column, nothing else, and the finding in its story."""
    found = version("a", options='{"o": 1}', metadata='{"m": 1}', place="x/a")
    refused = version("b", state=State.UNSUPPORTED, reason="a film", content=None)
    await ledger.admit([found, refused])
    facts = "source, folder, job, step, content, size, mtime_ns, inode, output, state, reason, options, metadata, place"
    assert rows(ledger, facts) == [
        ("a", "/in", "parse", "s", "bytes of a", 1, 2, 3, "a.json", "queued", None, '{"o": 1}', '{"m": 1}', "x/a"),
        ("b", "/in", "parse", "s", None, 1, 2, 3, "b.json", "unsupported", "a film", None, None, None),
    ]
    fresh = "current, payer, due_at, tries, paid, kind, file_id, upstream, on_its_own, output_sha256"
    assert rows(ledger, fresh) == [(1, None, 0.0, 0, 0, None, None, None, 0, None)] * 2
    story = ledger.reader.execute("SELECT at, document, event, state, detail FROM events ORDER BY seq").fetchall()
    assert story == [(NOW, 1, "Found", "queued", None), (NOW, 2, "Found", "unsupported", "a film")]
    await ledger.admit([version("c")])
    assert ledger.reader.execute("SELECT count(*) FROM events").fetchone() == (3,)
    assert +ledger.tally == +ledger.counts()


async def test_no_two_documents_are_written_to_one_place(ledger: Ledger) -> None:
    """Whatever letters they are in, in one batch or in two; the later one's name has a tag of its source."""
    await ledger.admit([version("a", output="Letter.json")])
    await ledger.admit([version("b", output="letter.JSON"), version("c", output="LETTER.json"), version("d")])
    outputs = [row[0] for row in rows(ledger, "output")]
    assert outputs[0] == "Letter.json" and outputs[3] == "d.json"
    tags = [sha256(source.encode()).hexdigest()[:8] for source in ("b", "c")]
    assert outputs[1:3] == [f"letter.{tags[0]}.JSON", f"LETTER.{tags[1]}.json"]


async def test_a_newer_version_has_the_place_of_the_older(ledger: Ledger) -> None:
    """There is nobody to tell it apart from."""
    await ledger.admit([version("a")])
    await ledger.admit([version("a", content="newer", replaces=1)])
    assert rows(ledger, "output, current, state") == [("a.json", 0, "superseded"), ("a.json", 1, "queued")]


# --- copies ---------------------------------------------------------------------------------------------------------

PAYS: Final = (
    *("queued", "uploaded", "sending", "unknown", "waiting", "ready", "saved"),
    *("failed", "expired", "lost", "stuck", "held", "following"),
)
PAYS_NOT: Final = ("source_gone", "source_changed", "unreadable", "unsupported", "cancelled", "blocked")
STILL_OUT: Final = ("sending", "unknown", "waiting", "ready")


@pytest.mark.parametrize("state", [*PAYS, *PAYS_NOT])
async def test_a_copy_waits_for_whoever_pays_for_these_bytes(state: str, ledger: Ledger) -> None:
    """Or has paid, or came to a verdict that is the copy's too; not for one that nothing is paid for any more."""
    await ledger.admit([version("a", content="same")])
    put(ledger, 1, state=state)
    await ledger.admit([version("b", content="same")])
    expected = ("duplicate", 1) if state in PAYS else ("queued", None)
    assert rows(ledger, "state, payer")[1] == expected
    assert +ledger.tally == +ledger.counts()


@pytest.mark.parametrize("state", STILL_OUT)
async def test_a_copy_waits_for_an_older_version_s_job_too(state: str, ledger: Ledger) -> None:
    """Its source has been edited since, but what is out is paid for."""
    await ledger.admit([version("a", content="same")])
    put(ledger, 1, state=state)
    await ledger.admit([version("a", content="other", replaces=1), version("b", content="same")])
    assert rows(ledger, "state, payer, current") == [(state, None, 0), ("queued", None, 1), ("duplicate", 1, 1)]


async def test_a_copy_of_a_copy_waits_for_the_same_payer(ledger: Ledger) -> None:
    """Also where that one is about to make way for the first of them."""
    await ledger.admit([version("a", content="same"), version("b", content="same"), version("c", content="same")])
    assert rows(ledger, "state, payer") == [("queued", None), ("duplicate", 1), ("duplicate", 1)]
    put(ledger, 1, state="source_gone")
    await ledger.admit([version("d", content="same")])
    assert rows(ledger, "state, payer")[3] == ("duplicate", 1)


async def test_of_several_that_pay_the_first_is_waited_for(ledger: Ledger) -> None:
    """One that is paid for itself is none's copy, though it has waited once; a saved copy has what is wanted."""
    await ledger.admit([version("a", content="same"), version("b", content="same"), version("c", content="same")])
    put(ledger, 1, state="cancelled")
    put(ledger, 2, state="saved", payer=1)
    put(ledger, 3, state="saved", payer=None)
    await ledger.admit([version("d", content="same")])
    assert rows(ledger, "payer")[3] == (2,)
    put(ledger, 2, state="failed", payer=1)
    await ledger.admit([version("e", content="same")])
    assert rows(ledger, "payer")[4] == (3,)


async def test_what_differs_is_nobody_s_copy(ledger: Ledger) -> None:
    """In its bytes or in what is asked of them; nor is what has no known bytes, or will never be sent."""
    await ledger.admit([version("a", content="same")])
    other = [version("b"), version("c", content="same", step="another"), version("d", content=None)]
    never = version("e", content="same", state=State.UNSUPPORTED)
    await ledger.admit([*other, never, version("f", content=None)])
    assert [row[0] for row in rows(ledger, "payer")] == [None] * 6
    assert [row[0] for row in rows(ledger, "state")] == ["queued"] * 4 + ["unsupported", "queued"]


# --- newer versions -------------------------------------------------------------------------------------------------

MAKES_WAY: Final = ("queued", "uploaded", "failed", "expired", "held", "saved", "source_gone", "blocked", "following")


@pytest.mark.parametrize("state", [*MAKES_WAY, *STILL_OUT])
async def test_an_older_version_makes_way_unless_its_job_is_out(state: str, ledger: Ledger) -> None:
    """That is brought to its end first, for it is paid."""
    await ledger.admit([version("a")])
    put(ledger, 1, state=state)
    if state == "held":
        ledger.reader.execute(
            "INSERT INTO attempts (document, number, nonce, service, key_print, content, step, outcome, cost, sent_at)"
            " VALUES (1, 1, 'n', 's', 'k', 'c', 's', 'open', 1, 1)"
        )
    await ledger.admit([version("a", content="newer", replaces=1)])
    old = state if state in STILL_OUT else "superseded"
    assert rows(ledger, "state, current") == [(old, 0), ("queued", 1)]
    assert +ledger.tally == +ledger.counts()


@pytest.mark.parametrize("has_result", [True, False])
async def test_copies_of_what_makes_way_pay_for_themselves_unless_there_is_a_result(
    has_result: bool, ledger: Ledger
) -> None:
    """The first of them pays, the others wait for it; where the file is there it is good for all of them."""
    await ledger.admit([version(name, content="same") for name in "abcd"])
    put(ledger, 1, state="saved" if has_result else "failed", output_sha256="00" if has_result else None)
    put(ledger, 2, state="cancelled")
    await ledger.admit([version("a", content="newer", replaces=1)])
    waits = [("duplicate", 1), ("duplicate", 1)] if has_result else [("queued", None), ("duplicate", 3)]
    assert rows(ledger, "state, payer")[1:4] == [("cancelled", 1), *waits]
    assert +ledger.tally == +ledger.counts()


async def test_what_nobody_waits_for_makes_way_alone(ledger: Ledger) -> None:
    """Others' copies stay where they are."""
    await ledger.admit([version("a", content="same"), version("b", content="same"), version("c")])
    await ledger.admit([version("c", content="newer", replaces=3)])
    assert rows(ledger, "state, payer")[:2] == [("queued", None), ("duplicate", 1)]


# --- chains ---------------------------------------------------------------------------------------------------------


def step(source: str, job: str, upstream: str | None = None, **facts: Any) -> Version:
    return version(source, job=job, step=job, output=f"{source}.{job}.json", upstream=upstream, **facts)


async def test_a_later_step_follows_the_one_before_it_of_the_same_source(ledger: Ledger) -> None:
    """In the same folder, under the job that it names, and of its current version."""
    await ledger.admit([step("a", "parse"), step("a", "other"), step("b", "parse")])
    elsewhere = version("a", job="parse", step="parse", folder="/elsewhere", output="elsewhere.json")
    await ledger.admit([elsewhere, step("a", "extract", "parse"), step("b", "extract", "parse")])
    assert rows(ledger, "source, upstream, state")[4:] == [("a", 1, "following"), ("b", 3, "following")]
    await ledger.admit([step("a", "parse", content="newer", replaces=1), step("a", "split", "parse", content="newer")])
    assert rows(ledger, "upstream, state")[7] == (7, "following")
    assert rows(ledger, "upstream")[:4] == [(None,)] * 4


@pytest.mark.parametrize(
    ("upstream", "state"),
    [("saved", "queued"), ("queued", "following"), ("failed", "following"), ("waiting", "following")],
)
async def test_a_later_step_s_turn_comes_when_the_one_before_it_is_saved(
    upstream: str, state: str, ledger: Ledger
) -> None:
    """What was found to be unsendable stays so."""
    await ledger.admit([step("a", "parse"), step("b", "parse")])
    put(ledger, 1, state=upstream)
    put(ledger, 2, state=upstream)
    await ledger.admit([step("a", "extract", "parse"), step("b", "extract", "parse", state=State.UNSUPPORTED)])
    assert [row[0] for row in rows(ledger, "state")][2:] == [state, "unsupported"]


async def test_a_later_step_is_a_copy_before_it_is_a_follower(ledger: Ledger) -> None:
    """Its like pays for it; and when that one makes way, it follows its own upstream step again."""
    await ledger.admit([step("a", "parse", content="x"), step("b", "parse", content="y")])
    await ledger.admit([step("a", "extract", "parse", content="same"), step("b", "extract", "parse", content="same")])
    assert rows(ledger, "state, payer, upstream")[2:] == [("following", None, 1), ("duplicate", 3, 2)]
    await ledger.admit([step("a", "extract", "parse", content="newer", replaces=3)])
    assert rows(ledger, "state, payer")[3] == ("following", None)
    put(ledger, 2, state="saved")
    await ledger.admit([step("c", "extract", content="same")])
    assert rows(ledger, "state, payer")[5] == ("duplicate", 4)
    put(ledger, 4, state="failed")
    await ledger.admit([step("b", "extract", "parse", content="third", replaces=4)])
    assert rows(ledger, "state, payer")[5] == ("queued", None)


# --- what is asked for no longer ------------------------------------------------------------------------------------


async def _unsent(ledger: Ledger) -> None:
    await ledger.admit([step("a", "parse"), step("b", "parse", options='{"o": 1}'), step("c", "parse")])
    await ledger.admit([step("b", "extract", "parse", options='{"o": 2}')])


async def test_everything_unsent_is_asked_for_once_for_its_kind(ledger: Ledger) -> None:
    """By job, step, its own options and its upstream's: of a million alike there is one question."""
    await _unsent(ledger)
    asked: list[Asked] = []
    await ledger.retire(lambda one: not asked.append(one))  # type: ignore[func-returns-value]
    assert sorted(asked, key=str) == sorted(
        [
            Asked("parse", "parse", None, None),
            Asked("parse", "parse", '{"o": 1}', None),
            Asked("extract", "extract", '{"o": 2}', '{"o": 1}'),
        ],
        key=str,
    )
    assert [row[0] for row in rows(ledger, "state")] == ["queued", "queued", "queued", "following"]


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (lambda one: one.options is None, ["queued", "superseded", "queued", "superseded"]),
        (lambda one: one.options == '{"o": 1}', ["superseded", "queued", "superseded", "superseded"]),
        (lambda one: one.job == "extract", ["superseded", "superseded", "superseded", "following"]),
        (lambda one: one.upstream_options is None, ["queued", "queued", "queued", "superseded"]),
    ],
    ids=["without options", "with options", "by job", "by its upstream's"],
)
async def test_what_is_asked_for_no_longer_makes_way(
    wanted: Callable[[Asked], bool], left: list[str], ledger: Ledger
) -> None:
    """And nothing else does."""
    await _unsent(ledger)
    await ledger.retire(wanted)
    assert [row[0] for row in rows(ledger, "state")] == left
    assert [row[0] for row in rows(ledger, "current")] == [int(state != "superseded") for state in left]
    assert +ledger.tally == +ledger.counts()


@pytest.mark.parametrize("state", [*STILL_OUT, "saved", "failed", "held"])
async def test_what_was_sent_is_never_retired(state: str, ledger: Ledger) -> None:
    """It is paid for, or has come to its end."""
    await ledger.admit([version("a")])
    put(ledger, 1, state=state)
    await ledger.retire(lambda one: False)
    assert rows(ledger, "state, current") == [(state, 1)]


async def test_a_copy_of_what_is_retired_is_asked_for_by_itself(ledger: Ledger) -> None:
    """It is of another job, that is wanted still: so it pays."""
    same = {"content": "same", "step": "s"}
    await ledger.admit([version("a", **same), version("a", job="again", output="again.json", **same)])
    assert rows(ledger, "state, payer") == [("queued", None), ("duplicate", 1)]
    await ledger.retire(lambda one: one.job == "again")
    assert rows(ledger, "state, payer") == [("superseded", None), ("queued", None)]


async def test_who_was_called_off_by_a_newer_version_tells_so(ledger: Ledger) -> None:
    """In its story, at its moment."""
    await ledger.admit([version("a")])
    await ledger.record(e.Uploaded(1, "reducto://1"))
    await ledger.admit([version("a", content="newer", replaces=1)])
    story = ledger.reader.execute("SELECT at, document, event, state FROM events ORDER BY seq").fetchall()
    assert story[-2:] == [(NOW, 1, "Superseded", "superseded"), (NOW, 2, "Found", "queued")]
