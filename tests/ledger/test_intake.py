"""How documents enter the ledger: as they were found, under names of their own, each paid for by
one of its like.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from batcher.core import events as e
from batcher.core.lifecycle import State
from batcher.ledger.intake import Version
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
    ledger.reader.execute(
        f"UPDATE documents SET {names} WHERE id = :id", {**columns, "id": document}
    )
    ledger.tally.clear()
    ledger.tally.update(ledger.tracking.counts())


# --- as they were found ---------------------------------------------------------------------------


async def test_a_document_is_what_the_scanner_found(ledger: Ledger) -> None:
    """Each fact in its column, nothing else, and the finding in its story."""
    found = version("a", options='{"o": 1}', metadata='{"m": 1}', place="x/a")
    refused = version("b", state=State.UNSUPPORTED, reason="a film", content=None)
    await ledger.admit([found, refused])
    facts = (
        "source, folder, job, step, content, size, mtime_ns, inode, output, state, reason, "
        "options, metadata, place"
    )
    assert rows(ledger, facts) == [
        (
            "a",
            "/in",
            "parse",
            "s",
            "bytes of a",
            1,
            2,
            3,
            "a.json",
            "queued",
            None,
            '{"o": 1}',
            '{"m": 1}',
            "x/a",
        ),
        (
            "b",
            "/in",
            "parse",
            "s",
            None,
            1,
            2,
            3,
            "b.json",
            "unsupported",
            "a film",
            None,
            None,
            None,
        ),
    ]
    fresh = (
        "current, payer, due_at, tries, paid, kind, file_id, upstream, on_its_own, output_sha256"
    )
    assert rows(ledger, fresh) == [(1, None, 0.0, 0, 0, None, None, None, 0, None)] * 2
    story = ledger.reader.execute(
        "SELECT at, document, event, state, detail FROM events ORDER BY seq"
    ).fetchall()
    assert story == [(NOW, 1, "Found", "queued", None), (NOW, 2, "Found", "unsupported", "a film")]
    await ledger.admit([version("c")])
    assert ledger.reader.execute("SELECT count(*) FROM events").fetchone() == (3,)
    assert +ledger.tally == +ledger.tracking.counts()


async def test_no_two_documents_are_written_to_one_place(ledger: Ledger) -> None:
    """Whatever letters they are in, in one batch or in two; the later one's name has a tag of its
    source.
    """
    await ledger.admit([version("a", output="Letter.json")])
    await ledger.admit(
        [version("b", output="letter.JSON"), version("c", output="LETTER.json"), version("d")]
    )
    outputs = [row[0] for row in rows(ledger, "output")]
    assert outputs[0] == "Letter.json" and outputs[3] == "d.json"
    tags = [sha256(source.encode()).hexdigest()[:8] for source in ("b", "c")]
    assert outputs[1:3] == [f"letter.{tags[0]}.JSON", f"LETTER.{tags[1]}.json"]


async def test_a_third_of_one_name_gets_another_tag_again(ledger: Ledger) -> None:
    """Same source, three folders: each result has a place of its own, whatever comes first."""
    await ledger.admit(
        [version("a", folder=f"/in/{number}", output="a.json") for number in range(4)]
    )
    outputs = [row[0] for row in rows(ledger, "output")]
    assert outputs[0] == "a.json" and len(set(outputs)) == 4
    await ledger.admit([version("a", folder="/in/2", output="a.json", content="newer", replaces=3)])
    assert rows(ledger, "output")[4] == (outputs[2],)


@pytest.mark.parametrize("others", [1, 2])
async def test_a_newer_version_keeps_a_name_with_a_tag(others: int, ledger: Ledger) -> None:
    """Also where the name that it once had to leave to others is free by now: people look where it
    was.
    """
    await ledger.admit(
        [version("a", folder=f"/in/{number}", output="a.json") for number in range(others + 1)]
    )
    for number in range(others):
        put(ledger, 1 + number, state="superseded", current=0)
    newer = version(
        "a", folder=f"/in/{others}", output="a.json", content="newer", replaces=others + 1
    )
    await ledger.admit([newer])
    outputs = [row[0] for row in rows(ledger, "output")]
    assert outputs[-1] == outputs[-2] != "a.json"


async def test_where_every_tagged_name_is_taken_they_are_numbered(ledger: Ledger) -> None:
    """By others' plans: there is always one more."""
    tags = [
        sha256(text.encode()).hexdigest()[:8]
        for text in ("a", "/in\0a\0parse", "/in\0a\0parse\0" + "2")
    ]
    taken = ["x.json", f"x.{tags[0]}.json", f"x.{tags[1]}.json"]
    await ledger.admit([version(f"other {name}", output=name) for name in taken])
    await ledger.admit([version("a", output="x.json")])
    assert [row[0] for row in rows(ledger, "output")] == [*taken, f"x.{tags[2]}.json"]


async def test_a_result_never_lies_where_another_s_folder_is(ledger: Ledger) -> None:
    """A folder may be called like a result: neither takes the other's place, in one batch or in
    two.
    """
    pairs = [
        ("in/x.json", "in/X.json/y.json"),
        ("in/z.json/y.json", "in/z.json"),
        ("w.json", "W.json/in/deep/y.json"),
    ]
    for first, second in pairs:
        await ledger.admit([version(first, output=first), version(second, output=second)])
        await ledger.admit([version(f"again {second}", output=second)])
    outputs = [row[0].casefold() for row in rows(ledger, "output")]
    assert len(set(outputs)) == 9
    assert not [(one, other) for one in outputs for other in outputs if other.startswith(f"{one}/")]


async def test_a_saved_result_of_another_source_keeps_its_place(ledger: Ledger) -> None:
    """Its document is no longer current, but the file is there, paid for; its own successor may
    write there.
    """
    await ledger.admit([version("a", output="x.json")])
    put(ledger, 1, state="superseded", current=0, output_sha256="00")
    await ledger.admit([version("b", output="x.json")])
    await ledger.admit([version("a", content="newer", output="x.json")])
    outputs = [row[0] for row in rows(ledger, "output")]
    assert outputs[1] != "x.json" and outputs[2] == "x.json"


async def test_a_newer_version_has_the_place_of_the_older(ledger: Ledger) -> None:
    """There is nobody to tell it apart from."""
    await ledger.admit([version("a")])
    await ledger.admit([version("a", content="newer", replaces=1)])
    assert rows(ledger, "output, current, state") == [
        ("a.json", 0, "superseded"),
        ("a.json", 1, "queued"),
    ]


async def test_a_newer_version_that_belongs_elsewhere_leaves_the_older_s_place(
    ledger: Ledger,
) -> None:
    """The manifest lays results out otherwise by now: the old name is none of those that it would
    give.
    """
    await ledger.admit([version("a")])
    await ledger.admit([version("a", content="newer", output="letters/a.json", replaces=1)])
    assert rows(ledger, "output")[1] == ("letters/a.json",)


# --- copies ---------------------------------------------------------------------------------------

PAYS: Final = (
    "queued",
    "uploaded",
    "sending",
    "unknown",
    "waiting",
    "ready",
    "saved",
    "failed",
    "expired",
    "lost",
    "stuck",
    "held",
    "following",
)
PAYS_NOT: Final = (
    "source_gone",
    "source_changed",
    "unreadable",
    "unsupported",
    "cancelled",
    "blocked",
)
STILL_OUT: Final = ("sending", "unknown", "waiting", "ready")


@pytest.mark.parametrize("state", [*PAYS, *PAYS_NOT])
async def test_a_copy_waits_for_whoever_pays_for_these_bytes(state: str, ledger: Ledger) -> None:
    """Or has paid, or came to a verdict that is the copy's too; not for one that nothing is paid
    for any more.
    """
    await ledger.admit([version("a", content="same")])
    put(ledger, 1, state=state)
    await ledger.admit([version("b", content="same")])
    expected = ("duplicate", 1) if state in PAYS else ("queued", None)
    assert rows(ledger, "state, payer")[1] == expected
    assert +ledger.tally == +ledger.tracking.counts()


@pytest.mark.parametrize("state", STILL_OUT)
async def test_a_copy_waits_for_an_older_version_s_job_too(state: str, ledger: Ledger) -> None:
    """Its source has been edited since, but what is out is paid for."""
    await ledger.admit([version("a", content="same")])
    put(ledger, 1, state=state)
    await ledger.admit([version("a", content="other", replaces=1), version("b", content="same")])
    assert rows(ledger, "state, payer, current") == [
        (state, None, 0),
        ("queued", None, 1),
        ("duplicate", 1, 1),
    ]


@pytest.mark.parametrize("copies", [1, 2])
async def test_a_copy_of_a_copy_waits_for_the_same_payer(copies: int, ledger: Ledger) -> None:
    """Also where that one is about to make way for the first of them, be there several or one."""
    await ledger.admit([version(name, content="same") for name in "abc"[: 1 + copies]])
    assert rows(ledger, "state, payer") == [("queued", None), *[("duplicate", 1)] * copies]
    put(ledger, 1, state="source_gone")
    await ledger.admit([version("d", content="same")])
    assert rows(ledger, "state, payer")[-1] == ("duplicate", 1)


async def test_of_several_that_pay_the_first_is_waited_for(ledger: Ledger) -> None:
    """One that is paid for itself is none's copy, though it has waited once; a saved copy has what
    is wanted.
    """
    await ledger.admit(
        [version("a", content="same"), version("b", content="same"), version("c", content="same")]
    )
    put(ledger, 1, state="cancelled")
    put(ledger, 2, state="saved", payer=1)
    put(ledger, 3, state="saved", payer=None)
    await ledger.admit([version("d", content="same")])
    assert rows(ledger, "payer")[3] == (2,)
    put(ledger, 2, state="failed", payer=1)
    await ledger.admit([version("e", content="same")])
    assert rows(ledger, "payer")[4] == (3,)


async def test_what_comes_back_is_not_paid_for_again(ledger: Ledger) -> None:
    """Its bytes were paid for under another name or in another night: the latest result of them is
    waited for.
    """
    await ledger.admit([version("a", content="same"), version("b", content="other")])
    put(ledger, 1, state="superseded", current=0, output_sha256="00", superseded_from="saved")
    await ledger.admit([version("c", content="same")])
    assert rows(ledger, "state, payer")[2] == ("duplicate", 1)
    put(
        ledger,
        3,
        state="superseded",
        current=0,
        payer=None,
        output_sha256="00",
        superseded_from="saved",
    )
    await ledger.admit([version("d", content="same")])
    assert rows(ledger, "state, payer")[3] == ("duplicate", 3)


@pytest.mark.parametrize("fails", [True, False])
async def test_a_result_whose_job_has_failed_since_is_nobody_s(fails: bool, ledger: Ledger) -> None:
    """It was another document's; its own job came to nothing, and then nobody asked for it."""
    await ledger.admit([version("a", content="same")])
    await ledger.record(
        e.Uploaded(1, "reducto://1"),
        e.Sending(1, "n", "service", "print", 1.0),
        e.Accepted(1, "job of another", NOW + 1000.0),
        e.Ended(1, 1, 1.0),
        e.Saved(1, "a.json", "00", 1),
    )
    if fails:
        await ledger.record(
            e.JobExchanged(1, "its own job"),
            e.FileMissed(1, "it had another document's result"),
            e.JobToRepeat(1, "as ordered", NOW, "TIMEOUT"),
        )
    else:
        await ledger.record(e.Retried(1))
    await scan(ledger)
    await ledger.admit([version("b", content="same")])
    assert rows(ledger, "state, payer")[1] == (("queued", None) if fails else ("duplicate", 1))


async def test_of_several_that_come_back_at_once_all_wait_for_what_was_paid_for(
    ledger: Ledger,
) -> None:
    """None waits for one of the others, which is only a copy itself; whatever their turns."""
    await ledger.admit([version("a", content="same"), step("b", "parse")])
    put(ledger, 1, state="superseded", current=0, output_sha256="00", superseded_from="saved")
    comes_later = step("b", "extract", "parse", content="same", step="s")
    await ledger.admit([version("c", content="same"), comes_later, version("d", content="same")])
    assert rows(ledger, "state, payer")[2:] == [("duplicate", 1)] * 3


async def test_what_was_called_off_leaves_nobody_its_earlier_result(ledger: Ledger) -> None:
    """A person wanted it made anew: whatever lies there isn't what is wanted of these bytes."""
    await ledger.admit([version("a", content="same")])
    put(ledger, 1, state="cancelled", output_sha256="00")
    await ledger.admit([version("b", content="same")])
    assert rows(ledger, "state, payer")[1] == ("queued", None)


@pytest.mark.parametrize(
    "was", ["failed", "expired", "lost", "stuck", "held", "queued", "cancelled", "source_gone"]
)
@pytest.mark.parametrize(
    ("outcome", "job_id"),
    [("void", "j"), ("lost", "j"), ("open", None), ("void", None), (None, None)],
)
async def test_a_verdict_that_cost_something_counts_when_its_bytes_come_back(
    was: str, outcome: str | None, job_id: str | None, ledger: Ledger
) -> None:
    """One that no job reached, or that nothing was paid for, doesn't."""
    await ledger.admit([version("a", content="same")])
    put(ledger, 1, state="superseded", current=0, superseded_from=was)
    if outcome is not None:
        ledger.reader.execute(
            "INSERT INTO attempts (document, number, nonce, service, key_print, content, step, "
            "outcome, cost, sent_at,"
            " job_id) VALUES (1, 1, 'n', 's', 'k', 'same', 's', ?, 1, 1, ?)",
            (outcome, job_id),
        )
    await ledger.admit([version("b", content="same")])
    reached = outcome is not None and (outcome, job_id) != ("void", None)
    counts = reached and was in ("failed", "expired", "lost", "stuck", "held")
    assert rows(ledger, "state, payer")[1] == (("duplicate", 1) if counts else ("queued", None))


async def test_what_differs_is_nobody_s_copy(ledger: Ledger) -> None:
    """In its bytes or in what is asked of them; nor is what has no known bytes, or will never be
    sent.
    """
    await ledger.admit([version("a", content="same")])
    other = [version("b"), version("c", content="same", step="another"), version("d", content=None)]
    never = version("e", content="same", state=State.UNSUPPORTED)
    await ledger.admit([*other, never, version("f", content=None)])
    assert [row[0] for row in rows(ledger, "payer")] == [None] * 6
    assert [row[0] for row in rows(ledger, "state")] == ["queued"] * 4 + ["unsupported", "queued"]


# --- newer versions -------------------------------------------------------------------------------

MAKES_WAY: Final = (
    "queued",
    "uploaded",
    "failed",
    "expired",
    "held",
    "saved",
    "source_gone",
    "blocked",
    "following",
)


@pytest.mark.parametrize("state", [*MAKES_WAY, *STILL_OUT])
async def test_an_older_version_makes_way_unless_its_job_is_out(state: str, ledger: Ledger) -> None:
    """That is brought to its end first, for it is paid."""
    await ledger.admit([version("a")])
    put(ledger, 1, state=state)
    if state == "held":
        ledger.reader.execute(
            "INSERT INTO attempts (document, number, nonce, service, key_print, content, step, "
            "outcome, cost, sent_at)"
            " VALUES (1, 1, 'n', 's', 'k', 'c', 's', 'open', 1, 1)"
        )
    await ledger.admit([version("a", content="newer", replaces=1)])
    old = state if state in STILL_OUT else "superseded"
    assert rows(ledger, "state, current") == [(old, 0), ("queued", 1)]
    assert +ledger.tally == +ledger.tracking.counts()


@pytest.mark.parametrize(
    "state", ["queued", "uploaded", "source_gone", "cancelled", "saved", "failed", "expired"]
)
async def test_copies_of_what_makes_way_pay_for_themselves_unless_it_came_to_something(
    state: str, ledger: Ledger
) -> None:
    """The first of them pays, the others wait for it; a result or a verdict that was reached is
    theirs too.
    """
    await ledger.admit([version(name, content="same") for name in "abcd"])
    put(ledger, 1, state=state, output_sha256="00" if state == "saved" else None)
    put(ledger, 2, state="cancelled")
    await ledger.admit([version("a", content="newer", replaces=1)])
    came_to_something = state in ("saved", "failed", "expired")
    shared = [("duplicate", 1), ("duplicate", 1)]
    alone = [("queued", None), ("duplicate", 3)]
    assert rows(ledger, "state, payer")[1:4] == [
        ("cancelled", 1),
        *(shared if came_to_something else alone),
    ]
    assert +ledger.tally == +ledger.tracking.counts()


async def test_what_nobody_waits_for_makes_way_alone(ledger: Ledger) -> None:
    """Others' copies stay where they are."""
    await ledger.admit([version("a", content="same"), version("b", content="same"), version("c")])
    await ledger.admit([version("c", content="newer", replaces=3)])
    assert rows(ledger, "state, payer")[:2] == [("queued", None), ("duplicate", 1)]


# --- chains ---------------------------------------------------------------------------------------


def step(source: str, job: str, upstream: str | None = None, **facts: Any) -> Version:
    return version(
        source,
        **{
            "job": job,
            "step": job,
            "output": f"{source}.{job}.json",
            "upstream": upstream,
            **facts,
        },
    )


async def test_a_later_step_follows_the_one_before_it_of_the_same_source(ledger: Ledger) -> None:
    """In the same folder, under the job that it names, and of its current version."""
    await ledger.admit([step("a", "parse"), step("a", "other"), step("b", "parse")])
    elsewhere = version(
        "a", job="parse", step="parse", folder="/elsewhere", output="elsewhere.json"
    )
    await ledger.admit([elsewhere, step("a", "extract", "parse"), step("b", "extract", "parse")])
    assert rows(ledger, "source, upstream, state")[4:] == [
        ("a", 1, "following"),
        ("b", 3, "following"),
    ]
    await ledger.admit(
        [
            step("a", "parse", content="newer", replaces=1),
            step("a", "split", "parse", content="newer"),
        ]
    )
    assert rows(ledger, "upstream, state")[7] == (7, "following")
    assert rows(ledger, "upstream")[:4] == [(None,)] * 4


@pytest.mark.parametrize(
    ("upstream", "state"),
    [
        ("saved", "queued"),
        ("queued", "following"),
        ("failed", "following"),
        ("waiting", "following"),
    ],
)
async def test_a_later_step_s_turn_comes_when_the_one_before_it_is_saved(
    upstream: str, state: str, ledger: Ledger
) -> None:
    """What was found to be unsendable stays so."""
    await ledger.admit([step("a", "parse"), step("b", "parse")])
    put(ledger, 1, state=upstream)
    put(ledger, 2, state=upstream)
    await ledger.admit(
        [step("a", "extract", "parse"), step("b", "extract", "parse", state=State.UNSUPPORTED)]
    )
    assert [row[0] for row in rows(ledger, "state")][2:] == [state, "unsupported"]


async def test_a_later_step_is_a_copy_before_it_is_a_follower(ledger: Ledger) -> None:
    """Its like pays for it; and when that one makes way, it follows its own upstream step again."""
    await ledger.admit([step("a", "parse", content="x"), step("b", "parse", content="y")])
    await ledger.admit(
        [
            step("a", "extract", "parse", content="same"),
            step("b", "extract", "parse", content="same"),
        ]
    )
    assert rows(ledger, "state, payer, upstream")[2:] == [
        ("following", None, 1),
        ("duplicate", 3, 2),
    ]
    await ledger.admit([step("a", "extract", "parse", content="newer", replaces=3)])
    assert rows(ledger, "state, payer")[3] == ("following", None)
    put(ledger, 2, state="saved")
    await ledger.admit([step("c", "extract", content="same")])
    assert rows(ledger, "state, payer")[5] == ("duplicate", 4)
    put(ledger, 4, state="uploaded")
    await ledger.admit([step("b", "extract", "parse", content="third", replaces=4)])
    assert rows(ledger, "state, payer")[5] == ("queued", None)


# --- what is asked for no longer ------------------------------------------------------------------


async def scan(ledger: Ledger, *found: int) -> int:
    """A scan that finds these documents as they were, and nothing else; how many are withdrawn."""
    await ledger.begin_scan()
    await ledger.confirm(found)
    return await ledger.end_scan()


async def test_what_a_scan_does_not_find_is_withdrawn(ledger: Ledger) -> None:
    """It is sent neither now nor later in the run, and says why; what was found or admitted
    meanwhile stays.
    """
    await ledger.admit([version("a"), version("b"), version("c")])
    put(ledger, 3, state="uploaded")
    await ledger.begin_scan()
    await ledger.confirm([2])
    await ledger.admit([version("d")])
    assert await ledger.end_scan() == 2
    assert rows(ledger, "state, current") == [
        ("superseded", 0),
        ("queued", 1),
        ("superseded", 0),
        ("queued", 1),
    ]
    assert [reason and "no longer asked for" in reason for (reason,) in rows(ledger, "reason")] == [
        True,
        None,
        True,
        None,
    ]
    assert +ledger.tally == +ledger.tracking.counts()
    assert await scan(ledger, 2, 4) == 0


@pytest.mark.parametrize("state", [*STILL_OUT, "saved", "failed", "held"])
async def test_what_was_sent_is_never_withdrawn(state: str, ledger: Ledger) -> None:
    """It is paid for, or has come to its end."""
    await ledger.admit([version("a")])
    put(ledger, 1, state=state)
    assert await scan(ledger) == 0
    assert rows(ledger, "state, current") == [(state, 1)]


async def test_a_copy_of_what_is_withdrawn_is_asked_for_by_itself(ledger: Ledger) -> None:
    """The first of those that are wanted still pays, the others wait for it."""
    await ledger.admit([version(name, content="same") for name in "abc"])
    assert await scan(ledger, 2, 3) == 1
    assert rows(ledger, "state, payer") == [
        ("superseded", None),
        ("queued", None),
        ("duplicate", 2),
    ]
    assert +ledger.tally == +ledger.tracking.counts()


async def test_who_was_called_off_by_a_newer_version_tells_so(ledger: Ledger) -> None:
    """In its story, at its moment."""
    await ledger.admit([version("a")])
    await ledger.record(e.Uploaded(1, "reducto://1"))
    await ledger.admit([version("a", content="newer", replaces=1)])
    story = ledger.reader.execute(
        "SELECT at, document, event, state FROM events ORDER BY seq"
    ).fetchall()
    assert story[-2:] == [(NOW, 1, "Superseded", "superseded"), (NOW, 2, "Found", "queued")]
